;; test: asm
;; An atomic addition is one locked instruction on an operand of the vmctx, behind a test of the alignment.
(module (memory 1 1 shared)
  (func (export "g") (param i32 i32) (result i32) (i32.atomic.rmw.add offset=8 (local.get 0) (local.get 1))))
;; ---- output ----
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   testl $0x3, %esi
;;   jnz #trap=user11
;;   movl %esi, %r8d
;;   movq %rdx, %rax
;;   lock xaddl %eax, 0x2008(%rdi, %r8)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
