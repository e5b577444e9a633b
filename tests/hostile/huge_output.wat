;; Returns all of its memory, 48 MiB, for a record with the marker.
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (global.set $records (call $take (i32.const 50331648)))
      (global.set $records_length (i32.const 50331648))))
  (call $decide (i32.const 0)))
