;; test: asm opt=none
;; Nothing is taken out of loops where nothing is optimised: then the base is not loaded at all.
(module (memory 1)
  (func (export "chase") (param i32) (result i32)
    (loop $again (local.set 0 (i32.load (local.get 0))) (br_if $again (local.get 0)))
    (local.get 0)))
;; ---- output ----
;; chase:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movl %esi, %esi
;;   movl 0x2000(%rdi, %rsi), %eax
;;   testl %eax, %eax
;;   jnz     label2; j label3
;; block2:
;;   movq %rax, %rsi
;;   jmp     label1
;; block3:
;;   jmp     label4
;; block4:
;;   jmp     label5
;; block5:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
