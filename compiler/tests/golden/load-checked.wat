;; test: asm reservation=65601536
;; With a small reservation the index is compared with a constant first; the trap is out of line.
(module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load offset=16))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   unwind PushFrameRegs { offset_upward_to_caller_sp: 16 }
;;   movq %rsp, %rbp
;;   unwind DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 }
;; block0:
;;   movl %esi, %esi
;;   cmpq $0x3e7ffec, %rsi
;;   jnbe #trap=user2
;;   movl 0x2010(%rdi, %rsi), %eax
;;   jmp     label1
;; block1:
;;   movq %rbp, %rsp
;;   popq %rbp
;;   retq
