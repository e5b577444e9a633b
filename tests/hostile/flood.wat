;; Expands every record to 60,000 records of one byte each.
(func $verdict (param i32 i32)
  (drop (call $take (i32.const 60000)))
  (memory.fill
    (i32.add (global.get $records) (global.get $records_length)) (i32.const 0x80) (i32.const 60000))
  (global.set $records_length (i32.add (global.get $records_length) (i32.const 60000)))
  (call $decide (i32.const 4))
  (call $decide (i32.const 0x60))
  (call $decide (i32.const 0xea))
  (call $decide (i32.const 0))
  (call $decide (i32.const 0)))
