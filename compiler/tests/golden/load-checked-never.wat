;; test: asm reservation=65601536
;; An offset beyond a small reservation traps whatever the index.
(module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load offset=0x10000000))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   unwind PushFrameRegs { offset_upward_to_caller_sp: 16 }
;;   movq %rsp, %rbp
;;   unwind DefineNewFrame { offset_upward_to_caller_sp: 16, offset_downward_to_clobbers: 0 }
;; block0:
;;   ud2
