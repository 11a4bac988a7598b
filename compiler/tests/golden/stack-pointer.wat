;; test: clif
;; The guest's stack pointer lives in the head of the vmctx.
(module (global $__stack_pointer (mut i32) (i32.const 65536))
  (func (export "push") (result i32)
    global.get $__stack_pointer i32.const 16 i32.sub global.set $__stack_pointer global.get $__stack_pointer))
;; ---- output ----
;; push:
;; function u0:0(i64 vmctx) -> i32 tail {
;;     region0 = 7 "defined global 0"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @002c                               v2 = load.i32 notrap aligned region0 v0+64
;; @002e                               v3 = iconst.i32 16
;; @0030                               v4 = isub v2, v3  ; v3 = 16
;; @0031                               store notrap aligned region0 v4, v0+64
;; @0033                               v5 = load.i32 notrap aligned region0 v0+64
;; @0035                               jump block1(v5)
;;
;;                                 block1(v1: i32):
;; @0036                               return v1
;; }
