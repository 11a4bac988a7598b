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
;;   cmpq 0x78(%rdi), %r8
;;   jnbe #trap=user2
;;   movq 0x70(%rdi), %r8
;;   movl 0x10(%r8, %rsi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
