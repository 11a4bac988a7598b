;; test: asm
;; A memory other than 0 is reached through its base in the vmctx.
(module (memory 1) (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load 1))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r8
;;   movq 0x88(%rdi), %rsi
;;   movq %r8, %rdi
;;   movl %edi, %edi
;;   movl (%rsi, %rdi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
