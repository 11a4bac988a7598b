;; test: asm
;; A fill of a few bytes is stores: of a constant, and of a byte that is repeated. If it is one store, it is nothing else.
(module (memory 1)
  (func (export "zero") (param i32) local.get 0 i32.const 0 i32.const 24 memory.fill)
  (func (export "byte") (param i32 i32) local.get 0 local.get 1 i32.const 7 memory.fill)
  (func (export "one") (param i32 i32) local.get 0 local.get 1 i32.const 16 memory.fill))
;; ---- output ----
;; zero:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq %rsi, %rax
;;   andl $0xfff, %eax
;;   cmpl $0xfe8, %eax
;;   jnbe    label2; j label1
;; block1:
;;   uninit  %xmm0
;;   pxor %xmm0, %xmm0
;;   movl %esi, %eax
;;   movdqu %xmm0, 0x2000(%rdi, %rax)
;;   movdqu %xmm0, 0x2008(%rdi, %rax)
;;   jmp     label3
;; block3:
;;   jmp     label4
;; block4:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq 0x30(%rdi), %rax
;;   movq 0x10(%rax), %rax
;;   uninit  %rcx
;;   xorl %ecx, %ecx
;;   movl %esi, %edx
;;   movl $0x18, %r8d
;;   movq %rcx, %rsi
;;   call    *%rax
;;   testl %eax, %eax
;;   jnz #trap=user2
;;   jmp     label3
;; byte:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq %rsi, %rax
;;   andl $0xfff, %eax
;;   cmpl $0xff9, %eax
;;   jnbe    label2; j label1
;; block1:
;;   movzbl %dl, %eax
;;   imull $0x1010101, %eax, %eax
;;   movl %esi, %ecx
;;   movl %eax, 0x2000(%rdi, %rcx)
;;   movl %eax, 0x2003(%rdi, %rcx)
;;   jmp     label3
;; block3:
;;   jmp     label4
;; block4:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block2:
;;   movq %rsi, %rcx
;;   movq %rdx, %r9
;;   movq 0x30(%rdi), %rax
;;   movq 0x10(%rax), %rax
;;   uninit  %rsi
;;   xorl %esi, %esi
;;   movl %ecx, %edx
;;   movl $0x7, %r8d
;;   movq %r9, %rcx
;;   call    *%rax
;;   testl %eax, %eax
;;   jnz #trap=user2
;;   jmp     label3
;; one:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movd %edx, %xmm0
;;   uninit  %xmm1
;;   pxor %xmm1, %xmm1
;;   pshufb %xmm1, %xmm0
;;   movl %esi, %r8d
;;   movdqu %xmm0, 0x2000(%rdi, %r8)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
