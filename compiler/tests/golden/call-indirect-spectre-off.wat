;; test: asm spectre=off
;; Without mitigations the comparison of the index with the table's length is all.
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
;;   movq 0x70(%rdi), %r10
;;   movq (%r10, %r8, 8), %r10
;;   testq %r10, %r10
;;   jz #trap=user5
;;   movl 0x10(%r10), %eax
;;   cmpl 0x80(%rdi), %eax
;;   jnz #trap=user6
;;   movq (%r10), %rax
;;   movq 8(%r10), %rdi
;;   call    *%rax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
