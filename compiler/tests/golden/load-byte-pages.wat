;; test: asm
;; A memory whose pages are smaller than the host's: accesses are compared with its length.
(module (memory 7 (pagesize 1)) (func (export "g") (param i32) (result i32) (i32.load offset=3 (local.get 0))))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %r9d
;;   movq %r9, %r10
;;   addq $0x7, %r10
;;   jb #trap=user2
;;   movq 0x78(%rdi), %r11
;;   cmpq %r11, %r10
;;   jnbe #trap=user2
;;   movq 0x70(%rdi), %rax
;;   leaq 3(%rax, %r9), %rcx
;;   cmpq %r11, %r10
;;   cmovaq %rax, %rcx
;;   movl (%rcx), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
