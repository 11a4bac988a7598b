;; test: asm
;; Relaxed instructions are single ones of the processor's, where it has one. Without FMA the product is rounded.
(module
  (func (export "madd") (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd)
  (func (export "swizzle") (param v128 v128) (result v128) local.get 0 local.get 1 i8x16.relaxed_swizzle)
  (func (export "trunc") (param v128) (result v128) local.get 0 i32x4.relaxed_trunc_f64x2_s_zero)
  (func (export "min") (param v128 v128) (result v128) local.get 0 local.get 1 f64x2.relaxed_min)
  (func (export "dot") (param v128 v128) (result v128) local.get 0 local.get 1 i16x8.relaxed_dot_i8x16_i7x16_s)
  (func (export "dot_add") (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 i32x4.relaxed_dot_i8x16_i7x16_add_s))
;; ---- output ----
;; madd:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   mulps %xmm1, %xmm0
;;   addps %xmm2, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; swizzle:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   pshufb %xmm1, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; trunc:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   cvttpd2dq %xmm0, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; min:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movdqa %xmm0, %xmm5
;;   movdqa %xmm1, %xmm0
;;   minpd %xmm5, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; dot:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movdqa %xmm0, %xmm5
;;   movdqa %xmm1, %xmm0
;;   pmaddubsw %xmm5, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; dot_add:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   pmaddubsw %xmm0, %xmm1
;;   pmaddwd (%rip), %xmm1
;;   movdqa %xmm1, %xmm0
;;   paddd %xmm2, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
