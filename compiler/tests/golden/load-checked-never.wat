;; test: asm reservation=65601536
;; An offset beyond a small reservation traps whatever the index.
(module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load offset=0x10000000))
;; ---- output ----
;; load:
;;   pushq %rbp
;;   movq %rsp, %rbp
;; block0:
;;   ud2
