;; test: asm
;; A constant offset is part of the displacement.
(module (memory 1) (func (export "load") (param i32) (result i64) local.get 0 i64.load offset=1000))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movq 0x23e8(%rdi, %rsi), %rax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
