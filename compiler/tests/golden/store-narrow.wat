;; test: asm
;; A narrow store is one instruction.
(module (memory 1) (func (export "store") (param i32 i64) local.get 0 local.get 1 i64.store16 offset=8))
;; ---- output ----
;; store:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   movw %dx, 0x2008(%rdi, %rsi)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
