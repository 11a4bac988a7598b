;; test: asm
;; Division by zero is an explicit trap, overflow the processor's.
(module (func (export "div") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s))
;; ---- output ----
;; div:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq %rsi, %rax
;;   movq %rdx, %r11
;;   cltd  ;; implicit: %edx, %eax
;;   testl %r11d, %r11d
;;   jz #trap=int_divz
;;   idivl %r11d ;; implicit: %eax, %edx, trap=252
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
