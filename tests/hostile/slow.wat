;; Counts to ten million for a record with the marker, which takes thousands of times longer than any other.
(func $verdict (param $at i32) (param $end i32)
  (local $count i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (loop $more
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (i32.store (i32.const 700) (local.get $count))
        (br_if $more (i32.lt_u (local.get $count) (i32.const 10000000))))))
  (call $decide (i32.const 0)))
