;; test: asm
;; A wide product is one multiplication, a wide sum an addition and one with carry.
(module
  (func (export "mul") (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1)))
  (func (export "add") (param i64 i64 i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))
;; ---- output ----
;; mul:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %rax
;;   mulq %rdx ;; implicit: %rax, %rdx
;;   jmp     label1
;; block1:
;;   movq %rdx, %rcx
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; add:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %rax
;;   addq %rcx, %rax
;;   movq %rdx, %rcx
;;   adcq %r8, %rcx
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
