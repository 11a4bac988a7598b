;; test: asm
;; A call in the reach of handlers is a call like any other: what catches is behind the function's end. The handler loads the value from the exception.
(module
  (tag $e (param i32))
  (func $may_throw (param i32))
  (func (param i32) (result i32)
    (block $caught (result i32)
      (try_table (catch $e $caught) (call $may_throw (local.get 0)))
      (i32.const 7))))
;; ---- output ----
;; may_throw:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; wasm-function[1]:
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
;;   movq %rdi, <offset:1>+(%rsp)
;;   call    User(userextname0); jmp MachLabel(1); catch [context stack0, tag0: MachLabel(3)]
;; block1:
;;   jmp     label2
;; block2:
;;   movl $0x7, %eax
;;   jmp     label4
;; block4:
;;   jmp     label5
;; block5:
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
;;   movl 0x18(%rax), %eax
;;   jmp     label4
