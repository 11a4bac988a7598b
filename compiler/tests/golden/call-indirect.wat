;; test: asm
;; An indirect call checks the index, null and the type, each with its own trap out of line.
(module (table 4 funcref) (type $t (func (param i32) (result i32)))
  (func (export "g") (param i32) (result i32) i32.const 7 local.get 0 call_indirect (type $t)))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq 0x78(%rdi), %rax
;;   movl %esi, %r10d
;;   cmpq %rax, %r10
;;   jnb #trap=user4
;;   movq 0x70(%rdi), %rcx
;;   uninit  %rdx
;;   xorq %rdx, %rdx
;;   cmpq %rax, %r10
;;   cmovaeq %rdx, %r10
;;   movq (%rcx, %r10, 8), %rax
;;   movl 0x10(%rax), %ecx
;;   cmpl 0x80(%rdi), %ecx
;;   jnz #trap=user6
;;   movq (%rax), %rcx
;;   movq 8(%rax), %rdi
;;   movl $0x7, %esi
;;   call    *%rcx
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
