;; test: asm
;; An offset that does not fit a displacement is added: it is not sign-extended into an address below the memory.
(module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load offset=0xffffffff))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   leaq (%rdi, %rsi), %rsi
;;   movabsq $0x100001fff, %rdi
;;   movl (%rsi, %rdi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
