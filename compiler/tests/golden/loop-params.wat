;; test: clif
;; A loop's parameters are those of its first CLIF block.
(module (func (export "f") (param i32) (result i32)
  local.get 0 (loop (param i32) (result i32) i32.const 1 i32.sub local.tee 0 local.get 0 br_if 0)))
;; ---- output ----
;; f:
;; function u0:0(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0022                               jump block2(v1)
;;
;;                                 block2(v3: i32):
;; @0024                               v5 = iconst.i32 1
;; @0026                               v6 = isub v3, v5  ; v5 = 1
;; @002b                               brif v6, block2(v6), block4
;;
;;                                 block4:
;; @002d                               jump block3(v6)
;;
;;                                 block3(v4: i32):
;; @002e                               jump block1(v4)
;;
;;                                 block1(v2: i32):
;; @002f                               return v2
;; }
