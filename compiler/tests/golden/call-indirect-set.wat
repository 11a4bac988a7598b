;; test: asm spectre=off
;; One `table.set` anywhere in the module, and the type is compared.
(module (type $t (func)) (table $a 4 4 funcref) (elem (i32.const 0) func $f)
  (func $f (type $t))
  (func (export "set") (param i32 funcref) local.get 0 local.get 1 table.set $a)
  (func (export "g") (param i32) local.get 0 call_indirect (type $t)))
;; ---- output ----
;; f:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; set:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   movl %esi, %esi
;;   cmpq $0x4, %rsi
;;   jnb #trap=user3
;;   movq 0x70(%rdi), %rdi
;;   movq %rdx, (%rdi, %rsi, 8)
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
;; g:
;;   pushq %rbp
;;   movq %rsp, %rbp
;;   movq 8(%rdi), %r10
;;   addq $0x10, %r10
;;   cmpq %rsp, %r10
;;   jnbe #trap=stk_ovf
;; block0:
;;   movl %esi, %r8d
;;   cmpq $0x4, %r8
;;   jnb #trap=user4
;;   movq 0x70(%rdi), %r10
;;   movq (%r10, %r8, 8), %r10
;;   movl 0x10(%r10), %r11d
;;   cmpl 0x80(%rdi), %r11d
;;   jnz #trap=user6
;;   movq (%r10), %rax
;;   movq 8(%r10), %rdi
;;   call    *%rax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
