;; test: asm
;; An imported memory's base is loaded once for both accesses.
(module (import "m" "m" (memory 1))
  (func (export "sum") (param i32) (result i32) local.get 0 i32.load local.get 0 i32.load offset=4 i32.add))
;; ---- output ----
;; sum:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movq 0x70(%rdi), %r8
;;   movq (%r8), %r8
;;   movl %esi, %r10d
;;   movl (%r8, %r10), %r9d
;;   movl 4(%r8, %r10), %r8d
;;   jmp     label1
;; block1:
;;   leal (%r9, %r8), %eax
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
