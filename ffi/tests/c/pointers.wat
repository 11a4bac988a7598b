;; The app of pointers.c: passes on what it is given, and answers callbacks.
(module $pointers
    (import "env" "sum_longs" (func $sum_longs (param i32 i32) (result i32)))
    (import "env" "scale" (func $scale (param i32 i32 i32) (result i32)))
    (import "env" "open_object" (func $open_object (param i32 i32) (result i32)))
    (import "env" "object_name" (func $object_name (param i32) (result i32)))
    (import "env" "message" (func $message (param i32) (result i32)))
    (import "env" "join" (func $join (param i32 i32 i32 i32) (result i32)))
    (import "env" "count_all" (func $count_all (param i32) (result i32)))
    (import "env" "sum_objects" (func $sum_objects (param i32 i32) (result i32)))
    (import "env" "receive" (func $receive (param i32 i32 i32) (result i32)))
    (import "env" "receive_after" (func $receive_after (param i32 i32 i32) (result i32)))
    (import "env" "find" (func $find (param i32 i32 i32) (result i32)))
    (import "env" "huge" (func $huge (param i32) (result i32)))
    (import "env" "pick" (func $pick (param i32 i32) (result i32)))
    (import "env" "again" (func $again (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (table (export "table") 10 funcref)
    (elem (i32.const 1) func $cheat $deep $longjmp)
    (type $int_int (func (param i32) (result i32)))
    (data (i32.const 1024) "hello\00world\00")
    (global $len (mut i32) (i32.const 0))

    (func (export "sum_longs") (param i32 i32) (result i32) (call $sum_longs (local.get 0) (local.get 1)))
    (func (export "scale") (param i32 i32 i32) (result i32) (call $scale (local.get 0) (local.get 1) (local.get 2)))
    (func (export "open_object") (param i32 i32) (result i32) (call $open_object (local.get 0) (local.get 1)))
    (func (export "object_name") (param i32) (result i32) (call $object_name (local.get 0)))
    (func (export "message") (param i32) (result i32) (call $message (local.get 0)))
    (func (export "join") (param i32 i32 i32 i32) (result i32)
        (call $join (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
    (func (export "count_all") (param i32) (result i32) (call $count_all (local.get 0)))
    (func (export "sum_objects") (param i32 i32) (result i32) (call $sum_objects (local.get 0) (local.get 1)))
    (func (export "receive") (param i32 i32 i32) (result i32) (call $receive (local.get 0) (local.get 1) (local.get 2)))
    (func (export "receive_after") (param i32 i32) (result i32)
        (global.set $len (local.get 1))
        (call $receive_after (local.get 0) (local.get 1) (i32.const 1)))
    (func (export "find") (param i32 i32 i32) (result i32) (call $find (local.get 0) (local.get 1) (local.get 2)))
    (func (export "huge") (param i32) (result i32) (call $huge (local.get 0)))
    (func (export "pick") (param i32 i32) (result i32)
        (drop (call $pick (local.get 0) (i32.const 64)))
        (call_indirect (type $int_int) (local.get 1) (i32.load (i32.const 64))))

    ;; Raises the length that the C function has been checked for.
    (func $cheat (param i32) (result i32) (i32.store (global.get $len) (i32.const 1000000)) (i32.const 0))

    ;; Callbacks. Writes 1, 2, 3... to all but the last byte; how many.
    (func (export "fill") (param $p i32) (param $n i32) (result i32) (local $i i32)
        (if (i32.le_s (local.get $n) (i32.const 0)) (then (return (local.get $n))))
        (block $end (loop $next
            (br_if $end (i32.ge_u (i32.add (local.get $i) (i32.const 1)) (local.get $n)))
            (i32.store8 (i32.add (local.get $p) (local.get $i)) (i32.add (local.get $i) (i32.const 1)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next)))
        (local.get $i))
    ;; The sum of what it is shown in bytes.
    (func $look (export "look") (param $p i32) (param $n i32) (result i32) (local $sum i32)
        (loop $next
            (if (local.get $n) (then
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (local.set $sum (i32.add (local.get $sum) (i32.load8_u (i32.add (local.get $p) (local.get $n)))))
                (br $next))))
        (local.get $sum))
    ;; Doubles each of n words.
    (func (export "twice_all") (param $p i32) (param $n i32) (local $at i32)
        (loop $next
            (if (local.get $n) (then
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (local.set $at (i32.add (local.get $p) (i32.shl (local.get $n) (i32.const 2))))
                (i32.store (local.get $at) (i32.shl (i32.load (local.get $at)) (i32.const 1)))
                (br $next)))))
    ;; Writes a word.
    (func (export "put") (param $where i32) (param $what i32) (result i32)
        (i32.store (local.get $where) (local.get $what)) (i32.const 1))
    ;; What there is, before it writes a word.
    (func (export "swap") (param $where i32) (param $what i32) (result i32)
        (i32.load (local.get $where))
        (i32.store (local.get $where) (local.get $what)))
    (func (export "leave") (param $where i32) (result i32) (i32.load (local.get $where)))
    ;; Writes the address of the third character of its argument.
    (func (export "third") (param $text i32) (param $end i32)
        (i32.store (local.get $end) (i32.add (local.get $text) (i32.const 2))))
    (func (export "third_of") (param $text i32) (result i32) (i32.add (local.get $text) (i32.const 2)))
    (func (export "constant") (param i32) (result i32) (i32.const 1030))
    (func (export "receive_up_to") (param $p i32) (param $len i32) (result i32)
        (i32.store8 (local.get $p) (i32.const 65))
        (i32.store8 offset=1 (local.get $p) (i32.const 66))
        (i32.store (local.get $len) (i32.const 2))
        (i32.const 0))
    (func (export "trap_after") (param $p i32) (param $n i32) (result i32)
        (i32.store8 (local.get $p) (i32.const 65))
        (unreachable))
    (func (export "strings") (param $v i32) (result i32) (local $n i32)
        (loop $next
            (if (i32.load (i32.add (local.get $v) (i32.shl (local.get $n) (i32.const 2)))) (then
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br $next))))
        (local.get $n))
    ;; Adds one to each byte, after the host has called `deeper` with another buffer; then what it has itself is still there.
    (func $deep (export "deeper") (param $p i32) (param $n i32) (result i32) (local $i i32) (local $sum i32)
        (local.set $sum (call $look (local.get $p) (local.get $n)))
        (drop (call $again (i32.const 2) (i32.sub (local.get $n) (i32.const 1))))
        (if (i32.ne (local.get $sum) (call $look (local.get $p) (local.get $n))) (then (unreachable)))
        (loop $next
            (if (i32.lt_u (local.get $i) (local.get $n)) (then
                (i32.store8 (i32.add (local.get $p) (local.get $i))
                    (i32.add (i32.load8_u (i32.add (local.get $p) (local.get $i))) (i32.const 1)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $next))))
        (local.get $sum))
    (func $longjmp (param i32 i32) (result i32) (call $again (i32.const 3) (i32.const -1)))
)
