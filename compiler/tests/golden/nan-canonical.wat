;; test: asm deterministic
;; If asked for, every NaN that arithmetic makes is the canonical one.
(module (func (export "add") (param f32 f32) (result f32) local.get 0 local.get 1 f32.add))
;; ---- output ----
;; add:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   addss %xmm1, %xmm0
;;   movdqa %xmm0, %xmm1
;;   uninit  %xmm0
;;   xorps %xmm0, %xmm0
;;   movss %xmm1, %xmm0
;;   movdqa %xmm0, %xmm1
;;   cmpunordps %xmm0, %xmm1
;;   movups (%rip), %xmm2
;;   movdqa %xmm0, %xmm3
;;   movdqa %xmm1, %xmm0
;;   movdqa %xmm3, %xmm1
;;   pblendvb %xmm0, %xmm2, %xmm1
;;   movdqa %xmm1, %xmm0
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
