;; test: asm
;; A `return` is a way out of its own, not a jump to the function's end.
(module (import "m" "f" (func $f (param i32) (result i32)))
  (func (export "g") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
    (i32.add (call $f (local.get 0)) (local.get 0))))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x20, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x10, %rsp
;;   movq %r12, (%rsp)
;; block0:
;;   testl %esi, %esi
;;   movq %rsi, %r12
;;   jz      label4; j label1
;; block1:
;;   jmp     label2
;; block2:
;;   movq 0x80(%rdi), %r9
;;   movq %r12, %rdi
;;   call    *%r9
;;   jmp     label3
;; block3:
;;   movq %r12, %rsi
;;   leal (%rax, %rsi), %eax
;;   movq (%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block4:
;;   movl $0x7, %eax
;;   movq (%rsp), %r12
;;   addq $0x10, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
