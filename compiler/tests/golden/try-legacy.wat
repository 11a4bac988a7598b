;; test: clif
;; The `try` that came before the standard's: its clauses are handlers of the calls in its body, past those of a `try` that delegates; `rethrow` throws the same exception.
(module
  (tag $a (param i32))
  (tag $b)
  (import "env" "f" (func $f (param externref) (result i32)))
  (func (export "legacy") (result i32)
    try $outer (result i32)
      try (result i32)
        try (result i32)
          (call $f (ref.null extern))
        delegate $outer
      catch $b
        i32.const 1
      end
    catch $a
    catch_all
      rethrow $outer
    end))
;; ---- output ----
;; legacy:
;; function u0:1(i64 vmctx) -> i32 tail {
;;     region0 = 4 "objects"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     sig0 = (i64 vmctx, i64) -> i32 tail
;;     sig1 = (i64, i64) system_v
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @0048                               v5 = iconst.i64 0
;; @004a                               v6 = load.i64 notrap aligned readonly can_move v0+112
;; @004a                               v7 = load.i64 notrap aligned readonly can_move v0+120
;; @004a                               try_call_indirect v6(v7, v5), sig0, block7(ret0), [ context v0, tag0: block5(exn0), default: block6(exn0) ]  ; v5 = 0
;;
;;                                 block7(v10: i32):
;; @004c                               jump block4(v10)
;;
;;                                 block4(v4: i32):
;; @004e                               jump block3(v4)
;;
;;                                 block3(v3: i32):
;; @0053                               jump block2(v3)
;;
;;                                 block5(v8: i64) cold:
;; @0053                               v11 = load.i32 notrap aligned region0 v8+24
;; @0055                               jump block2(v11)
;;
;;                                 block6(v9: i64) cold:
;; @0056                               v12 = load.i64 notrap aligned readonly can_move v0+48
;; @0056                               v13 = load.i64 notrap aligned readonly can_move v12+224
;; @0056                               call_indirect sig1, v13(v0, v9)
;; @0056                               trap user17
;;
;;                                 block2(v2: i32):
;; @0059                               jump block1(v2)
;;
;;                                 block1(v1: i32):
;; @005a                               return v1
;; }
