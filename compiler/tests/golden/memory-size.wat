;; test: asm
;; The size is read from the memory's definition, in bytes.
(module (memory 1) (func (export "size") (result i32) memory.size))
;; ---- output ----
;; size:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq 0x78(%rdi), %rax
;;   jmp     label1
;; block1:
;;   shrq $0x10, %rax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
