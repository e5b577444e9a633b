;; Patches a record with the marker with a truncated map that ends with the one reserved byte.
(data (i32.const 512) "\82\a7patched\c1")
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (call $emit (i32.const 512) (i32.const 10))
      (call $decide (i32.const 2)))
    (else (call $decide (i32.const 0)))))
