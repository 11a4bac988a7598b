;; test: asm
;; An indirect call through a table of non-null references to functions of the type checks the index and nothing else.
(module (type $t (func (param i32) (result i32)))
  (func $f (type $t) local.get 0) (table 4 (ref $t) (ref.func $f))
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
