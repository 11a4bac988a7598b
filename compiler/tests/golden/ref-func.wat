;; test: clif
;; A funcref is the address of its place in the vmctx.
(module (func $f (export "f")) (func (export "g") (result funcref) ref.func $f))
;; ---- output ----
;; f:
;; function u0:0(i64 vmctx) tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @0027                               jump block1
;;
;;                                 block1:
;; @0028                               return
;; }
;; g:
;; function u0:1(i64 vmctx) -> i64 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @002a                               v2 = iconst.i64 120
;; @002a                               v3 = iadd v0, v2  ; v2 = 120
;; @002c                               jump block1(v3)
;;
;;                                 block1(v1: i64):
;; @002d                               return v1
;; }
