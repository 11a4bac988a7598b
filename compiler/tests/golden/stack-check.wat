;; test: asm
;; A function that calls compares the stack pointer with the limit, after the frame pointer is set up. The limit is loaded anew.
(module (func $f (export "f") call $f))
;; ---- output ----
;; f:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   call    User(userextname0)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
