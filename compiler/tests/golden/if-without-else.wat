;; test: clif
;; Without an `else` the parameters are the results.
(module (func (export "f") (param i32 i32) (result i32)
  local.get 0 (if (param i32) (result i32) (local.get 1) (then i32.const 1 i32.add))))
;; ---- output ----
;; f:
;; function u0:0(i64 vmctx, i32, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i32):
;; @002a                               brif v2, block2, block3
;;
;;                                 block2:
;; @002c                               v5 = iconst.i32 1
;; @002e                               v6 = iadd.i32 v1, v5  ; v5 = 1
;; @002f                               jump block4(v6)
;;
;;                                 block3:
;; @002f                               jump block4(v1)
;;
;;                                 block4(v4: i32):
;; @0030                               jump block1(v4)
;;
;;                                 block1(v3: i32):
;; @0031                               return v3
;; }
