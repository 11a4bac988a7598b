;; test: asm
;; An imported function is called by its code, with its own vmctx.
(module (import "m" "f" (func $f (param i32) (result i32))) (func (export "g") (result i32) i32.const 7 call $f))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq 0x80(%rdi), %rsi
;;   movl $0x7, %edi
;;   call    *%rsi
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
