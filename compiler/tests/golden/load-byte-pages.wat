;; test: asm
;; A memory whose pages are smaller than the host's: accesses are compared with its length.
(module (memory 7 (pagesize 1)) (func (export "g") (param i32) (result i32) (i32.load offset=3 (local.get 0))))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movq %rsi, %r8
;;   addq $0x7, %r8
;;   jb #trap=user2
;;   cmpq 0x78(%rdi), %r8
;;   jnbe #trap=user2
;;   movq 0x70(%rdi), %r9
;;   movl 3(%r9, %rsi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
