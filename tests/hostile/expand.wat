;; Replaces each record with the marker with two copies, and every other one with itself.
(func $verdict (param $at i32) (param $end i32)
  (local $length i32)
  (local.set $length (i32.sub (local.get $end) (local.get $at)))
  (call $emit (local.get $at) (local.get $length))
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (call $emit (local.get $at) (local.get $length))
      (call $decide (i32.const 4))
      (call $decide (i32.const 2))
      (call $decide (i32.const 0))
      (call $decide (i32.const 0))
      (call $decide (i32.const 0)))
    (else (call $decide (i32.const 3)))))
