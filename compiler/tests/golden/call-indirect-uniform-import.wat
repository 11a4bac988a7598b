;; test: asm spectre=off
;; If one of the functions is imported, its vmctx is loaded, but its type is still known.
(module (type $t (func (param i32) (result i32))) (import "m" "f" (func $imported (type $t)))
  (table 4 4 funcref) (elem (i32.const 0) func $imported $own)
  (func $own (type $t) local.get 0)
  (func (export "g") (param i32) (result i32) i32.const 7 local.get 0 call_indirect (type $t)))
;; ---- output ----
;; own:
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
;;   movl %esi, %r9d
;;   cmpq $0x4, %r9
;;   jnb #trap=user4
;;   movq 0x90(%rdi), %r11
;;   movq (%r11, %r9, 8), %rax
;;   movq (%rax), %r11
;;   movq 8(%rax), %rdi
;;   movl $0x7, %esi
;;   call    *%r11
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
