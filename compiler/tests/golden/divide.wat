;; test: asm
;; Division by zero is an explicit trap, overflow the processor's.
(module (func (export "div") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s))
;; ---- output ----
;; div:
;;   pushq %rbp
;;   unwind PushFrameRegs { offset_upward_to_caller_sp: 16 }
;;   movq %rsp, %rbp
;;   unwind DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 }
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
