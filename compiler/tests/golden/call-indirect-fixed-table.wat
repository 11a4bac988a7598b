;; test: asm
;; The length of a table that cannot grow is a constant.
(module (table 4 4 funcref) (type $t (func)) (func (export "g") (param i32) local.get 0 call_indirect (type $t)))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movl %esi, %r8d
;;   cmpq $0x4, %r8
;;   jnb #trap=user4
;;   movq 0x70(%rdi), %rax
;;   uninit  %rcx
;;   xorq %rcx, %rcx
;;   cmpq $0x4, %r8
;;   cmovaeq %rcx, %r8
;;   movq (%rax, %r8, 8), %rax
;;   testq %rax, %rax
;;   jz #trap=user5
;;   movl 0x10(%rax), %ecx
;;   cmpl 0x80(%rdi), %ecx
;;   jnz #trap=user6
;;   movq (%rax), %rcx
;;   movq 8(%rax), %rdi
;;   call    *%rcx
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
