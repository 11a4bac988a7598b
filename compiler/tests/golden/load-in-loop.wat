;; test: asm
;; In a loop the memory's base is loaded once, before it, so that the vmctx is not needed where the loop makes no calls.
(module (memory 1)
  (func $next (param i32) (result i32) local.get 0)
  (func (export "chase") (param i32 i32) (result i32)
    (loop $again
      (local.set 0 (i32.load (local.get 0)))
      (br_if $again (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (call $next (local.get 0))))
;; ---- output ----
;; next:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movq %rsi, %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; chase:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movq 0x20(%rdi), %r10
;;   jmp     label1
;; block1:
;;   movl %esi, %r11d
;;   movl (%r10, %r11), %esi
;;   subl $0x1, %edx
;;   testl %edx, %edx
;;   jnz     label2; j label3
;; block2:
;;   jmp     label1
;; block3:
;;   jmp     label4
;; block4:
;;   call    User(userextname0)
;;   jmp     label5
;; block5:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
