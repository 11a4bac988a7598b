;; test: asm
;; A call through a typed reference checks for null and nothing else.
(module (type $t (func (param i32) (result i32)))
  (func (export "g") (param (ref null $t)) (result i32) i32.const 7 local.get 0 call_ref $t))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq (%rsi), %r8
;;   movq 8(%rsi), %rdi
;;   movl $0x7, %esi
;;   call    *%r8
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
