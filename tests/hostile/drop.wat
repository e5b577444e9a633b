;; Drops every record with the marker.
(func $verdict (param $at i32) (param $end i32)
  (call $decide (call $is_hostile (local.get $at) (local.get $end))))
