;; test: asm
;; Atomic loads are plain ones, atomic stores are followed by a fence; bytes need no test of the alignment.
(module (memory 1 1 shared)
  (func (export "load") (param i32) (result i64) (i64.atomic.load offset=4 (local.get 0)))
  (func (export "store") (param i32 i32) (i32.atomic.store8 (local.get 0) (local.get 1)))
  (func (export "fence") atomic.fence))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   leal 4(%rsi), %r8d
;;   testl $0x7, %r8d
;;   jnz #trap=user11
;;   movl %esi, %r8d
;;   movq 0x2004(%rdi, %r8), %rax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; store:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movb %dl, 0x2000(%rdi, %rsi)
;;   mfence
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; fence:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   mfence
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
