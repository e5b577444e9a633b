;; Returns two verdicts for a record with the marker.
(func $verdict (param $at i32) (param $end i32)
  (call $decide (i32.const 0))
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then (call $decide (i32.const 0)))))
