;; test: asm
;; A bulk operation calls a builtin, and traps itself if that says so.
(module (memory 1) (func (export "copy") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.copy))
;; ---- output ----
;; copy:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq %rdx, %r8
;;   movq %rcx, %r9
;;   movq 0x30(%rdi), %rax
;;   movq 8(%rax), %rax
;;   uninit  %rdx
;;   xorl %edx, %edx
;;   movl %esi, %ecx
;;   movq %r8, %rsi
;;   movl %esi, %r8d
;;   movq %r9, %rsi
;;   movl %esi, %r9d
;;   movq %rdx, %rsi
;;   call    *%rax
;;   testl %eax, %eax
;;   jnz #trap=user2
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
