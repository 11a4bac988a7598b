;; test: asm reservation=65601536
;; With a small reservation the index is compared with a constant first; the trap is out of line.
(module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load offset=16))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   cmpq $0x3e7ffec, %rsi
;;   jnbe #trap=user2
;;   uninit  %r9
;;   xorq %r9, %r9
;;   cmpq $0x3e7ffec, %rsi
;;   cmovaq %r9, %rsi
;;   movl 0x2010(%rdi, %rsi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
