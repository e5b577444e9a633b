;; Recurses endlessly on a record with the marker.
(func $deeper (param $depth i32) (result i32)
  (i32.add (i32.const 1) (call $deeper (i32.add (local.get $depth) (i32.const 1)))))
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then (drop (call $deeper (i32.const 0)))))
  (call $decide (i32.const 0)))
