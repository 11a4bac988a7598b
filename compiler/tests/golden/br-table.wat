;; test: clif
;; Targets that take values are reached through one block for each target, not for each entry of the table.
(module (func (export "f") (param i32) (result i32)
  (block $a (result i32)
    (block $b (result i32)
      i32.const 10 local.get 0 br_table $a $b $a $b $a)
    i32.const 1 i32.add)))
;; ---- output ----
;; f:
;; function u0:0(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0024                               v5 = iconst.i32 10
;; @0028                               br_table v1, block4, [block4, block5, block4, block5]
;;
;;                                 block4:
;; @0028                               jump block2(v5)  ; v5 = 10
;;
;;                                 block5:
;; @0028                               jump block3(v5)  ; v5 = 10
;;
;;                                 block3(v4: i32):
;; @0030                               v6 = iconst.i32 1
;; @0032                               v7 = iadd v4, v6  ; v6 = 1
;; @0033                               jump block2(v7)
;;
;;                                 block2(v3: i32):
;; @0034                               jump block1(v3)
;;
;;                                 block1(v2: i32):
;; @0035                               return v2
;; }
