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
;;   movl %esi, %esi
;;   cmpq $0x4, %rsi
;;   jnb #trap=user4
;;   movq 0x70(%rdi), %r8
;;   movq (%r8, %rsi, 8), %r8
;;   movq (%r8), %r8
;;   call    *%r8
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
