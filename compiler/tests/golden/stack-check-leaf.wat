;; test: asm
;; A leaf function that needs no stack beyond its frame pointer is not checked: its caller's check has counted that.
(module (func (export "id") (param i32) (result i32) local.get 0))
;; ---- output ----
;; id:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movq %rsi, %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
