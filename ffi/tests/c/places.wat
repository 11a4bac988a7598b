;; Globals and tables for the host to look at.
(module
  (global (export "number") (mut i64) (i64.const 7))
  (global (export "fixed") f64 (f64.const 1.5))
  (global (export "ref") (mut externref) (ref.null extern))
  (global (export "function") funcref (ref.null func))
  (table (export "refs") 2 5 externref)
  (table (export "functions") 1 funcref)
  (func (export "from_table") (param i32) (result externref) (table.get 0 (local.get 0)))
  (func (export "from_global") (result externref) (global.get 2)))
