;; test: clif
;; An immutable global with a constant value is that constant; an imported one is behind a pointer.
(module (import "m" "g" (global $imported (mut i64))) (global $constant i32 (i32.const 5)) (global $own (mut f32) (f32.const 0))
  (func (export "get") (result i64 i32 f32) global.get $imported global.get $constant global.get $own))
;; ---- output ----
;; get:
;; function u0:0(i64 vmctx) -> i64, i32, f32 tail {
;;     region0 = 3 "imported globals"
;;     region1 = 8 "defined global 1"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64):
;; @003d                               v4 = load.i64 notrap aligned readonly can_move v0+112
;; @003d                               v5 = load.i64 notrap aligned region0 v4
;; @003f                               v6 = iconst.i32 5
;; @0041                               v7 = load.f32 notrap aligned region1 v0+144
;; @0043                               jump block1(v5, v6, v7)  ; v6 = 5
;;
;;                                 block1(v1: i64, v2: i32, v3: f32):
;; @0044                               return v1, v2, v3
;; }
