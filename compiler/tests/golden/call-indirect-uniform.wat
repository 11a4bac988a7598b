;; test: asm
;; A table that nothing changes and whose functions are all of the type and the module's own: the index is compared, null is found by the load
;; of the code's address, and there is no type to compare and no other vmctx to load.
(module (type $t (func (param i32) (result i32))) (table 4 4 funcref) (elem (i32.const 1) $f $f)
  (func $f (type $t) local.get 0)
  (func (export "g") (param i32) (result i32) i32.const 7 local.get 0 call_indirect (type $t)))
;; ---- output ----
;; f:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movq %rsi, %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
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
;;   movq (%rax), %rax
;;   movl $0x7, %esi
;;   call    *%rax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
