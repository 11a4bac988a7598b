;; test: asm
;; A copy of a few bytes is loads, then stores, where the destination lies in one host page; else the runtime does it, out of line.
(module (memory 1) (func (export "copy") (param i32 i32) local.get 0 local.get 1 i32.const 40 memory.copy))
;; ---- output ----
;; copy:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq %rsi, %rax
;;   andl $0xfff, %eax
;;   cmpl $0xfd8, %eax
;;   jnbe    label2; j label1
;; block1:
;;   movl %edx, %eax
;;   movdqu 0x2000(%rdi, %rax), %xmm0
;;   movdqu 0x2010(%rdi, %rax), %xmm1
;;   movdqu 0x2018(%rdi, %rax), %xmm2
;;   movl %esi, %eax
;;   movdqu %xmm0, 0x2000(%rdi, %rax)
;;   movdqu %xmm1, 0x2010(%rdi, %rax)
;;   movdqu %xmm2, 0x2018(%rdi, %rax)
;;   jmp     label3
;; block3:
;;   jmp     label4
;; block4:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq %rdx, %r8
;;   movq 0x30(%rdi), %rax
;;   movq 8(%rax), %rax
;;   uninit  %rdx
;;   xorl %edx, %edx
;;   movl %esi, %ecx
;;   movq %r8, %rsi
;;   movl %esi, %r8d
;;   movl $0x28, %r9d
;;   movq %rdx, %rsi
;;   call    *%rax
;;   testl %eax, %eax
;;   jnz #trap=user2
;;   jmp     label3
