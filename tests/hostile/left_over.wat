;; Returns a map that no verdict refers to, for a record with the marker.
(data (i32.const 512) "\81\a7patched\c3")
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then (call $emit (i32.const 512) (i32.const 10))))
  (call $decide (i32.const 0)))
