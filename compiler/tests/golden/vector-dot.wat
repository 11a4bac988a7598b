;; test: asm
;; Widening, multiplying and adding pairs is one instruction.
(module (func (export "dot") (param v128 v128) (result v128) local.get 0 local.get 1 i32x4.dot_i16x8_s))
;; ---- output ----
;; dot:
;;   pushq %rbp
;;   unwind PushFrameRegs { offset_upward_to_caller_sp: 16 }
;;   movq %rsp, %rbp
;;   unwind DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 }
;; block0:
;;   jmp     label1
;; block1:
;;   pmaddwd %xmm1, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
