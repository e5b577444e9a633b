;; Adds {"patched": true} to every record.
(data (i32.const 512) "\81\a7patched\c3")
(func $verdict (param $at i32) (param $end i32)
  (call $emit (i32.const 512) (i32.const 10))
  (call $decide (i32.const 2)))
