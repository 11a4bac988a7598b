;; test: asm
;; A 64-bit address is checked against the current length, its overflow included.
(module (memory i64 1) (func (export "load") (param i64) (result i32) local.get 0 i32.load offset=16))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %r8
;;   addq $0x14, %r8
;;   jb #trap=user2
;;   movq 0x78(%rdi), %r9
;;   cmpq %r9, %r8
;;   jnbe #trap=user2
;;   movq 0x70(%rdi), %r11
;;   leaq 0x10(%r11, %rsi), %r10
;;   cmpq %r9, %r8
;;   cmovaq %r11, %r10
;;   movl (%r10), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
