;; The app of the C programs beside this file.
(module $app
    (import "env" "host_add" (func $host_add (param i32 i32) (result i32)))
    (import "env" "each" (func $each (param i32 i32) (result i32)))
    (type $visit (func (param i32) (result i32)))
    (memory (export "memory") 2)
    (table (export "table") 4 funcref)
    (elem (i32.const 1) func $twice $fail $compare)
    (global $initialized (mut i32) (i32.const 0))
    (global $__stack_pointer (mut i32) (i32.const 65536))
    (data (i32.const 1024) "hello\00")

    (func (export "_initialize") (global.set $initialized (i32.add (global.get $initialized) (i32.const 1))))
    (func (export "initialized") (result i32) (global.get $initialized))

    (func (export "nothing"))
    (func (export "echo_i32") (param i32) (result i32) (local.get 0))
    (func (export "echo_i64") (param i64) (result i64) (local.get 0))
    (func (export "echo_f32") (param f32) (result f32) (local.get 0))
    (func (export "echo_f64") (param f64) (result f64) (local.get 0))
    (func (export "echo_externref") (param externref) (result externref) (local.get 0))
    (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
    (func (export "function") (result funcref) (ref.func $twice))
    (func (export "add") (param i32 i32) (result i32) (call $host_add (local.get 0) (local.get 1)))

    (func $twice (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $compare (export "compare") (param i32 i32) (result i32)
        (i32.sub (i32.load (local.get 0)) (i32.load (local.get 1))))
    (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
    (func (export "half_fails") (param f64) (result f64) (unreachable))

    (func $inner (unreachable))
    (func $fail (export "fail") (param i32) (result i32) (call $inner) (i32.const 1))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "store") (param i32 i32) (result i32) (i32.store (local.get 0) (local.get 1)) (i32.const 0))
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    ;; Counts at an address for ever.
    (func (export "spin") (param i32) (result i32)
        (loop $again (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1))) (br $again)) (unreachable))
    ;; Walks a native list of { next, int value } with 64-bit pointers, and adds up the values.
    (func (export "sum_list") (param $at i32) (result i32) (local $sum i32)
        (block $end
            (loop $next
                (br_if $end (i32.eqz (local.get $at)))
                (local.set $sum (i32.add (local.get $sum) (i32.load offset=8 (local.get $at))))
                (local.set $at (i32.load (local.get $at)))
                (br $next)))
        (local.get $sum))
    (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func $forever (export "forever") (result i32) (i32.add (call $forever) (i32.const 1)))
    (func (export "indirect") (param i32) (result i32) (call_indirect (type $visit) (i32.const 7) (local.get 0)))
    ;; Gives the function at a table index to the host's `each`.
    (func (export "each") (param i32 i32) (result i32) (call $each (local.get 0) (local.get 1)))
    (func (export "stack_pointer") (result i32) (global.get $__stack_pointer))
    ;; The same with `twice`, while it has 64 bytes of its own stack in use.
    (func (export "framed") (param i32) (result i32)
        (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 64)))
        (call $each (i32.const 1) (local.get 0))
        (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (i32.const 64))))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))

    ;; Throws its argument, unless that is 0.
    (tag $refused (export "refused") (param i32 f64))
    (func $throw (export "throw") (param i32) (result i32)
        (if (local.get 0) (then (throw $refused (local.get 0) (f64.const 1.5))))
        (i32.const 1))
    (func (export "catch") (param i32) (result i32)
        (block $caught (result i32 f64)
            (return (try_table (result i32) (catch $refused $caught) (call $throw (local.get 0)))))
        drop)
    (type $bytes (array i8))
    (func (export "allocate") (param i32) (result i32) (array.len (array.new_default $bytes (local.get 0))))
    (func (export "wrap") (param i32) (result externref) (extern.convert_any (ref.i31 (local.get 0))))
)
