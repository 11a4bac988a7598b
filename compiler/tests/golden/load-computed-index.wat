;; test: asm
;; An index that a 32-bit instruction computed is zero-extended by that instruction.
(module (memory 1) (func (export "load") (param i32 i32) (result i32)
  local.get 0 local.get 1 i32.add i32.load8_u))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   leal (%rsi, %rdx), %esi
;;   movzbq 0x2000(%rdi, %rsi), %rax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
