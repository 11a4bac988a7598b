;; test: clif
;; Nothing is translated after an instruction that does not go on, until a block ends that something jumps to.
(module (func (export "f") (result i32)
  (block (result i32) i32.const 1 br 0 i32.const 2 i32.add (block unreachable) drop i32.const 3) unreachable drop))
;; ---- output ----
;; f:
;; function u0:0(i64 vmctx) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @0021                               v3 = iconst.i32 1
;; @0023                               jump block2(v3)  ; v3 = 1
;;
;;                                 block2(v2: i32):
;; @0030                               trap user1
;; }
