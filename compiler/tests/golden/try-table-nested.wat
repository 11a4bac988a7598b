;; test: clif
;; The handlers of a call: those of the inner block first, and none behind one that takes everything. `throw` is a call in their reach, too.
(module
  (tag $a (param i32))
  (tag $b)
  (func
    (block $outer
      (try_table (catch $b $outer) (catch_all $outer) (catch $b $outer)
        (block $inner (result i32)
          (try_table (catch $a $inner)
            (throw $b))
          (unreachable))
        (drop)))))
;; ---- output ----
;; wasm-function[0]:
;; function u0:0(i64 vmctx) tail {
;;     region0 = 4 "objects"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     sig0 = (i64, i64) -> i64 system_v
;;     sig1 = (i64, i64) system_v
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @0037                               v2 = load.i64 notrap aligned readonly can_move v0+128
;; @0037                               v3 = load.i64 notrap aligned readonly can_move v0+48
;; @0037                               v4 = load.i64 notrap aligned readonly can_move v3+216
;; @0037                               v5 = call_indirect sig0, v4(v0, v2)
;; @0037                               trapz v5, user15
;; @0037                               v6 = load.i64 notrap aligned readonly can_move v0+48
;; @0037                               v7 = load.i64 notrap aligned readonly can_move v6+224
;; @0037                               try_call_indirect v7(v0, v5), sig1, block9, [ context v0, tag0: block6(exn0), tag1: block7(exn0), default: block8(exn0) ]
;;
;;                                 block9:
;; @0037                               trap user17
;;
;;                                 block6(v8: i64) cold:
;; @0039                               v11 = load.i32 notrap aligned region0 v8+24
;; @0039                               jump block4(v11)
;;
;;                                 block4(v1: i32):
;; @003d                               jump block3
;;
;;                                 block7(v9: i64) cold:
;; @003d                               jump block2
;;
;;                                 block8(v10: i64) cold:
;; @003d                               jump block2
;;
;;                                 block3:
;; @003e                               jump block2
;;
;;                                 block2:
;; @003f                               jump block1
;;
;;                                 block1:
;; @0040                               return
;; }
