;; test: asm deterministic
;; In the deterministic profile relaxed instructions do what the strict ones do.
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
;;   movdqa %xmm0, %xmm4
;;   jmp     label1
;; block1:
;;   movdqa %xmm4, %xmm0
;;   mulps %xmm1, %xmm0
;;   movdqa %xmm0, %xmm1
;;   movdqa %xmm0, %xmm4
;;   movdqa %xmm0, %xmm3
;;   cmpunordps %xmm1, %xmm3
;;   movups (%rip), %xmm1
;;   movdqa %xmm3, %xmm0
;;   movdqa %xmm4, %xmm3
;;   pblendvb %xmm0, %xmm1, %xmm3
;;   movdqa %xmm3, %xmm0
;;   movdqa %xmm3, %xmm4
;;   addps %xmm2, %xmm0
;;   movdqa %xmm0, %xmm2
;;   movdqa %xmm0, %xmm4
;;   cmpunordps %xmm2, %xmm0
;;   movdqa %xmm4, %xmm2
;;   pblendvb %xmm0, %xmm1, %xmm2
;;   movdqa %xmm2, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; swizzle:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   paddusb (%rip), %xmm1
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
;;   movdqa %xmm0, %xmm4
;;   cmpeqpd %xmm0, %xmm4
;;   andps (%rip), %xmm4
;;   minpd %xmm4, %xmm0
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
;;   movdqa %xmm0, %xmm2
;;   minpd %xmm1, %xmm0
;;   minpd %xmm2, %xmm1
;;   movdqa %xmm0, %xmm2
;;   orpd %xmm1, %xmm2
;;   cmpunordpd %xmm1, %xmm0
;;   orpd %xmm0, %xmm2
;;   psrlq $0xd, %xmm0
;;   andnpd %xmm2, %xmm0
;;   movdqa %xmm0, %xmm1
;;   cmpunordpd %xmm0, %xmm1
;;   movupd (%rip), %xmm2
;;   movdqa %xmm0, %xmm3
;;   movdqa %xmm1, %xmm0
;;   movdqa %xmm3, %xmm1
;;   pblendvb %xmm0, %xmm2, %xmm1
;;   movdqa %xmm1, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; dot:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   pmovsxbw %xmm0, %xmm4
;;   pmovsxbw %xmm1, %xmm2
;;   movdqa %xmm4, %xmm3
;;   pmaddwd %xmm2, %xmm3
;;   movdqa %xmm3, %xmm4
;;   palignr $0x8, %xmm0, %xmm0
;;   pmovsxbw %xmm0, %xmm2
;;   palignr $0x8, %xmm1, %xmm1
;;   pmovsxbw %xmm1, %xmm1
;;   pmaddwd %xmm1, %xmm2
;;   movdqa %xmm4, %xmm0
;;   packssdw %xmm2, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; dot_add:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   pmovsxbw %xmm0, %xmm5
;;   pmovsxbw %xmm1, %xmm3
;;   movdqa %xmm5, %xmm4
;;   pmaddwd %xmm3, %xmm4
;;   movdqa %xmm4, %xmm5
;;   palignr $0x8, %xmm0, %xmm0
;;   pmovsxbw %xmm0, %xmm3
;;   palignr $0x8, %xmm1, %xmm1
;;   pmovsxbw %xmm1, %xmm0
;;   pmaddwd %xmm0, %xmm3
;;   movdqa %xmm5, %xmm0
;;   packssdw %xmm3, %xmm0
;;   pmaddwd (%rip), %xmm0
;;   paddd %xmm2, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
