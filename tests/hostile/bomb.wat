;; Expands a record with the marker to hundreds of thousands of records of one byte each.
(func $verdict (param $at i32) (param $end i32)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (global.set $records (call $take (i32.const 400000)))
      (memory.fill (global.get $records) (i32.const 0x80) (i32.const 400000))
      (global.set $records_length (i32.const 400000))
      (call $decide (i32.const 4))
      (call $decide (i32.const 0x80))
      (call $decide (i32.const 0x1a))
      (call $decide (i32.const 0x06))
      (call $decide (i32.const 0)))
    (else (call $decide (i32.const 0)))))
