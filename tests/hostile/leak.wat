;; Allocates a page of memory for every 64th record with the marker, and does not use it.
(global $seen (mut i32) (i32.const 0))
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
      (if (i32.eqz (i32.and (global.get $seen) (i32.const 63)))
        (then (drop (memory.grow (i32.const 1)))))))
  (call $decide (i32.const 0)))
