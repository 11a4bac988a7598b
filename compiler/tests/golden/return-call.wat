;; test: asm
;; A tail call leaves no frame behind.
(module (func $f (param i32) (result i32) local.get 0 i32.const 1 i32.sub return_call $f))
;; ---- output ----
;; f:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   subl $0x1, %esi
;;   return_call_known User(userextname0) (0) tmp=%r11 %rdi=%rdi %rsi=%rsi
