;; test: asm opt=none
;; Nothing is taken out of loops where nothing is optimised: then the base is not loaded at all.
(module (memory 1)
  (func (export "chase") (param i32) (result i32)
    (loop $again (local.set 0 (i32.load (local.get 0))) (br_if $again (local.get 0)))
    (local.get 0)))
;; ---- output ----
;; chase:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x40, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x40, %rsp
;;   movq %r12, 0x20(%rsp)
;;   movq %r13, 0x28(%rsp)
;;   movq %r14, 0x30(%rsp)
;;   movq %r15, 0x38(%rsp)
;; block0:
;;   movq %rsi, <offset:1>+0x18(%rsp)
;;   movq %rdi, <offset:1>+0x10(%rsp)
;;   movq <offset:1>+0x18(%rsp), %r9
;;   movq %r9, <offset:1>+8(%rsp)
;;   jmp     label1
;; block1:
;;   movq <offset:1>+0x10(%rsp), %r12
;;   movq <offset:1>+8(%rsp), %r10
;;   movl %r10d, %r11d
;;   movl 0x2000(%r12, %r11), %r13d
;;   movq %r13, <offset:1>+(%rsp)
;;   movq <offset:1>+(%rsp), %r14
;;   movq <offset:1>+(%rsp), %r15
;;   testl %r14d, %r15d
;;   jnz     label2; j label3
;; block2:
;;   movq <offset:1>+(%rsp), %r15
;;   movq %r15, <offset:1>+8(%rsp)
;;   jmp     label1
;; block3:
;;   jmp     label4
;; block4:
;;   jmp     label5
;; block5:
;;   movq <offset:1>+(%rsp), %rax
;;   movq 0x20(%rsp), %r12
;;   movq 0x28(%rsp), %r13
;;   movq 0x30(%rsp), %r14
;;   movq 0x38(%rsp), %r15
;;   addq $0x40, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
