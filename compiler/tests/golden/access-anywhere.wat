;; test: asm
;; What an address points into, the app's own memory or a window, is nothing that the code asks: `copy` reads from the one and writes to the other, or
;; the other way round, with one instruction each, and so do atomics and SIMD. `window` has the address of a window as a constant.
(module (memory 1)
  (func (export "copy") (param i32 i32) (i32.store (local.get 0) (i32.load (local.get 1))))
  (func (export "copy_wide") (param i32 i32) (v128.store offset=16 (local.get 0) (v128.load offset=16 (local.get 1))))
  (func (export "count") (param i32) (result i64) (i64.atomic.rmw.add (local.get 0) (i64.const 1)))
  (func (export "own") (result i32) (i32.load (i32.const 64)))
  (func (export "window") (result i32) (i32.load (i32.const 0xc4000040))))
;; ---- output ----
;; copy:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %edx, %r8d
;;   movl 0x2000(%rdi, %r8), %r8d
;;   movl %esi, %esi
;;   movl %r8d, 0x2000(%rdi, %rsi)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; copy_wide:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %edx, %r8d
;;   movdqu 0x2010(%rdi, %r8), %xmm6
;;   movl %esi, %esi
;;   movdqu %xmm6, 0x2010(%rdi, %rsi)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; count:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   testl $0x7, %esi
;;   jnz #trap=user11
;;   movl %esi, %r8d
;;   movl $0x1, %eax
;;   lock xaddq %rax, 0x2000(%rdi, %r8)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; own:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl 0x2040(%rdi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; window:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl $0xc4000040, %esi
;;   movl 0x2000(%rdi, %rsi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
