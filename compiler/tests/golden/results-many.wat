;; test: asm
;; Results beyond the registers are returned through memory of the caller's.
(module
  (func $f (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    i32.const 1 i32.const 2 i32.const 3 i32.const 4 i32.const 5 i32.const 6 i32.const 7 i32.const 8 i32.const 9 i32.const 10)
  (func (export "last") (result i32) (local i32)
    call $f local.set 0 drop drop drop drop drop drop drop drop drop local.get 0))
;; ---- output ----
;; f:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rsi), %r10
;;   addq $0x20, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x20, %rsp
;;   movq %rbx, (%rsp)
;;   movq %r12, 8(%rsp)
;;   movq %r13, 0x10(%rsp)
;; block0:
;;   movq %rdi, %r13
;;   jmp     label1
;; block1:
;;   movl $0x1, %eax
;;   movl $0x2, %ecx
;;   movl $0x3, %edx
;;   movl $0x4, %esi
;;   movl $0x5, %edi
;;   movl $0x6, %r8d
;;   movl $0x7, %r9d
;;   movl $0x8, %r10d
;;   movl $0x9, %r11d
;;   movl $0xa, %r12d
;;   movq %r13, %rbx
;;   movl %r11d, (%rbx)
;;   movl %r12d, 8(%rbx)
;;   movq (%rsp), %rbx
;;   movq 8(%rsp), %r12
;;   movq 0x10(%rsp), %r13
;;   addq $0x20, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; last:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x30, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;;   subq $0x20, %rsp
;;   movq %r12, 0x10(%rsp)
;;   movq %r13, 0x18(%rsp)
;; block0:
;;   movq %rdi, %rsi
;;   leaq (%rsp), %rdi
;;   call    User(userextname0)
;;   jmp     label1
;; block1:
;;   movq %r13, %rax
;;   movq 0x10(%rsp), %r12
;;   movq 0x18(%rsp), %r13
;;   addq $0x20, %rsp
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
