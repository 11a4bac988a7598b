;; test: asm
;; A function that calls an import in a loop leaves one crossing frame for all of the calls. After each of them a comparison says whether it is still the innermost one.
(module (import "m" "f" (func $f (param i32 i32) (result i32)))
  (global $__stack_pointer (mut i32) (i32.const 65536)) (export "__stack_pointer" (global $__stack_pointer))
  (func (export "g") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (call $f (local.get $sum) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_s (local.get $i) (local.get $n))))
    (local.get $sum)))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x50, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x40, %rsp
;;   movq %rbx, 0x10(%rsp)
;;   movq %r12, 0x18(%rsp)
;;   movq %r13, 0x20(%rsp)
;;   movq %r14, 0x28(%rsp)
;;   movq %r15, 0x30(%rsp)
;; block0:
;;   movq %rsi, %r15
;;   movq 0x18(%rdi), %rax
;;   movq    %rsp, %rdx
;;   leaq -0x18(%rax), %rcx
;;   movq %rdx, -0x18(%rax)
;;   movq    %rbp, %rdx
;;   leaq 1(%rdx), %rdx
;;   movq %rdx, -8(%rax)
;;   movq %rcx, 0x18(%rdi)
;;   movq 0x18(%rdi), %r14
;;   movl 0x40(%rdi), %eax
;;   movq %rdi, %rbx
;;   movq %rax, 8(%r14)
;;   uninit  %rdi
;;   xorl %edi, %edi
;;   movq %rbx, %rax
;;   movq 0x88(%rax), %r12
;;   movq %rdi, %r13
;;   jmp     label1
;; block1:
;;   movq %r13, %rsi
;;   call    *%r12
;;   movq 0x18(%rbx), %rcx
;;   cmpq %rcx, %r14
;;   jnz     label3; j label2
;; block2:
;;   movq %rax, %rdi
;;   jmp     label4
;; block4:
;;   leal 1(%r13), %r13d
;;   movq %r15, %rsi
;;   cmpl %esi, %r13d
;;   jl      label5; j label6
;; block5:
;;   movq %rsi, %r15
;;   jmp     label1
;; block6:
;;   jmp     label7
;; block7:
;;   jmp     label8
;; block8:
;;   movq %rdi, %rax
;;   leaq 0x18(%r14), %rcx
;;   movq %rcx, 0x18(%rbx)
;;   movq 0x10(%rsp), %rbx
;;   movq 0x18(%rsp), %r12
;;   movq 0x20(%rsp), %r13
;;   movq 0x28(%rsp), %r14
;;   movq 0x30(%rsp), %r15
;;   addq $0x40, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; block3:
;;   movl %eax, <offset:1>+(%rsp)
;;   movq (%r14), %rsi
;;   movq 0x30(%rbx), %rax
;;   movq 0x160(%rax), %rax
;;   movq %rbx, %rdi
;;   call    *%rax
;;   testl %eax, %eax
;;   jz #trap=user19
;;   movl <offset:1>+(%rsp), %edi
;;   jmp     label4
