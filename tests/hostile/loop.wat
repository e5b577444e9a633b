;; Runs forever on a record with the marker.
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then (loop $ever (br $ever))))
  (call $decide (i32.const 0)))
