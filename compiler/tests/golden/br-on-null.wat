;; test: clif
;; Branches on null compare the reference with 0; what is known not to be null is the same value.
(module
  (func (param funcref) (result (ref func)) block local.get 0 br_on_null 0 return end unreachable)
  (func (param funcref) (result (ref func)) local.get 0 br_on_non_null 0 unreachable))
;; ---- output ----
;; wasm-function[0]:
;; function u0:0(i64 vmctx, i64) -> i64 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i64):
;; @001f                               v3 = iconst.i64 0
;; @001f                               v4 = icmp eq v1, v3  ; v3 = 0
;; @001f                               brif v4, block2, block3
;;
;;                                 block3:
;; @0021                               return v1
;;
;;                                 block2:
;; @0023                               trap user1
;; }
;; wasm-function[1]:
;; function u0:1(i64 vmctx, i64) -> i64 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i64):
;; @0029                               brif v1, block1(v1), block2
;;
;;                                 block2:
;; @002b                               trap user1
;;
;;                                 block1(v2: i64):
;; @002d                               return v2
;; }
