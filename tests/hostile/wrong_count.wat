;; Returns no verdict for a record with the marker.
(func $verdict (param $at i32) (param $end i32)
  (if (i32.eqz (call $is_hostile (local.get $at) (local.get $end)))
    (then (call $decide (i32.const 0)))))
