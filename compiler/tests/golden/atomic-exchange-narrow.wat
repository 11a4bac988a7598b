;; test: clif
;; What is narrower than its type is cut going in and zero-extended coming out.
(module (memory 1)
  (func (param i32 i64 i64) (result i64) (i64.atomic.rmw16.cmpxchg_u (local.get 0) (local.get 1) (local.get 2))))
;; ---- output ----
;; wasm-function[0]:
;; function u0:0(i64 vmctx, i32, i64, i64) -> i64 tail {
;;     region0 = 0 "linear memory"
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32, v2: i64, v3: i64):
;; @0026                               v5 = ireduce.i16 v3
;; @0026                               v6 = ireduce.i16 v2
;; @0026                               v7 = iconst.i32 1
;; @0026                               v8 = band v1, v7  ; v7 = 1
;; @0026                               trapnz v8, user11
;; @0026                               v9 = uextend.i64 v1
;; @0026                               v10 = iadd v0, v9
;; @0026                               v11 = iconst.i64 8192
;; @0026                               v12 = iadd v10, v11  ; v11 = 8192
;; @0026                               v13 = atomic_cas v12, v6, v5
;; @0026                               v14 = uextend.i64 v13
;; @002a                               jump block1(v14)
;;
;;                                 block1(v4: i64):
;; @002b                               return v4
;; }
