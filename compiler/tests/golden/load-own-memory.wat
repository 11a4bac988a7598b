;; test: asm
;; A load from the module's own memory 0 is one instruction: no bounds check, no base register.
(module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movl 0x2000(%rdi, %rsi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
