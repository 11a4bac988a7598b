;; test: asm
;; A narrow store is one instruction.
(module (memory 1) (func (export "store") (param i32 i64) local.get 0 local.get 1 i64.store16 offset=8))
;; ---- output ----
;; store:
;;   pushq %rbp
;;   unwind PushFrameRegs { offset_upward_to_caller_sp: 16 }
;;   movq %rsp, %rbp
;;   unwind DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 }
;; block0:
;;   movl %esi, %esi
;;   movw %dx, 0x2008(%rdi, %rsi)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
