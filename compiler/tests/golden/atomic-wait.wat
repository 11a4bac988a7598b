;; test: clif
;; A wait checks the alignment and leaves the bounds to the builtin; on a memory that is not shared it traps.
(module (memory 1 1 shared) (memory 1)
  (func (param i32) (result i32) (memory.atomic.wait32 offset=4 (local.get 0) (i32.const 7) (i64.const -1)))
  (func (param i32) (result i32) (memory.atomic.wait32 1 (local.get 0) (i32.const 7) (i64.const -1))))
;; ---- output ----
;; wasm-function[0]:
;; function u0:0(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     sig0 = (i64, i32, i64, i32, i64) -> i64 system_v
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0024                               v3 = iconst.i32 7
;; @0026                               v4 = iconst.i64 -1
;; @0028                               v5 = iconst.i32 3
;; @0028                               v6 = band v1, v5  ; v5 = 3
;; @0028                               trapnz v6, user11
;; @0028                               v7 = uextend.i64 v1
;; @0028                               v8 = iconst.i64 4
;; @0028                               v9 = uadd_overflow_trap v7, v8, user2  ; v8 = 4
;; @0028                               v10 = iconst.i32 0
;; @0028                               v11 = load.i64 notrap aligned readonly can_move v0+48
;; @0028                               v12 = load.i64 notrap aligned readonly can_move v11+184
;; @0028                               v13 = call_indirect sig0, v12(v0, v10, v9, v3, v4)  ; v10 = 0, v3 = 7, v4 = -1
;; @0028                               v14 = iconst.i64 63
;; @0028                               v15 = ushr v13, v14  ; v14 = 63
;; @0028                               trapnz v15, user2
;; @0028                               v16 = ireduce.i32 v13
;; @002c                               jump block1(v16)
;;
;;                                 block1(v2: i32):
;; @002d                               return v2
;; }
;; wasm-function[1]:
;; function u0:1(i64 vmctx, i32) -> i32 tail {
;;     gv0 = vmctx
;;     gv1 = load.i64 notrap aligned gv0+8
;;     stack_limit = gv1
;;
;;                                 block0(v0: i64, v1: i32):
;; @0031                               v3 = iconst.i32 7
;; @0033                               v4 = iconst.i64 -1
;; @0035                               v5 = iconst.i32 3
;; @0035                               v6 = band v1, v5  ; v5 = 3
;; @0035                               trapnz v6, user11
;; @0035                               v7 = uextend.i64 v1
;; @0035                               v8 = iconst.i64 0
;; @0035                               v9 = uadd_overflow_trap v7, v8, user2  ; v8 = 0
;; @0035                               trap user16
;; }
