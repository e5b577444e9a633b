;; A packed guest that calls `$verdict` for each record. `$emit` adds to the maps that the verdicts refer to.
(global $verdicts (mut i32) (i32.const 0))
(global $verdicts_length (mut i32) (i32.const 0))
(global $records (mut i32) (i32.const 0))
(global $records_length (mut i32) (i32.const 0))

(func $emit (param $at i32) (param $length i32)
  (memory.copy
    (i32.add (global.get $records) (global.get $records_length)) (local.get $at) (local.get $length))
  (global.set $records_length (i32.add (global.get $records_length) (local.get $length))))

(func $decide (param $byte i32)
  (i32.store8 (i32.add (global.get $verdicts) (global.get $verdicts_length)) (local.get $byte))
  (global.set $verdicts_length (i32.add (global.get $verdicts_length) (i32.const 1))))

(func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 0))

(func (export "weir:filter/packed@1.0.0#process") (param $at i32) (param $length i32) (result i32)
  (local $end i32) (local $next i32)
  (local.set $end (i32.add (local.get $at) (local.get $length)))
  (global.set $verdicts (call $take (local.get $length)))
  (global.set $records (call $take (i32.add (i32.const 1024) (i32.mul (i32.const 4) (local.get $length)))))
  (global.set $verdicts_length (i32.const 0))
  (global.set $records_length (i32.const 0))
  (block $done
    (loop $each
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $next (call $skip (local.get $at)))
      (call $verdict (local.get $at) (local.get $next))
      (local.set $at (local.get $next))
      (br $each)))
  (i32.store8 (i32.const 256) (i32.const 0))
  (call $pair (i32.const 260) (global.get $verdicts) (global.get $verdicts_length))
  (call $pair (i32.const 268) (global.get $records) (global.get $records_length))
  (i32.const 256))

(func (export "cabi_post_weir:filter/packed@1.0.0#process") (param i32)
  (global.set $free (i32.const 65536)))
