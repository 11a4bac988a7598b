;; test: clif
;; The size of a shared memory is read atomically.
(module (memory 1 2 shared) (func (export "size") (result i32) memory.size))
;; ---- output ----
;; size:
;; function u0:0(i64 vmctx) -> i32 tail {
;;     region0 = 2 "definitions"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @0028                               v2 = iconst.i64 120
;; @0028                               v3 = iadd v0, v2  ; v2 = 120
;; @0028                               v4 = atomic_load.i64 notrap aligned region0 v3
;; @0028                               v5 = iconst.i64 16
;; @0028                               v6 = ushr v4, v5  ; v5 = 16
;; @0028                               v7 = ireduce.i32 v6
;; @002a                               jump block1(v7)
;;
;;                                 block1(v1: i32):
;; @002b                               return v1
;; }
