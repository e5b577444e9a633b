;; Fails every batch that contains the marker, and keeps all records of every other.
(func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 0))

(func (export "weir:filter/packed@1.0.0#process") (param $at i32) (param $length i32) (result i32)
  (local $end i32) (local $verdicts i32) (local $count i32)
  (local.set $end (i32.add (local.get $at) (local.get $length)))
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then
      (i32.store8 (i32.const 256) (i32.const 1))
      (call $pair (i32.const 260) (i32.const 16) (i32.const 7))
      (return (i32.const 256))))
  (local.set $verdicts (call $take (local.get $length)))
  (block $done
    (loop $each
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $at (call $skip (local.get $at)))
      (i32.store8 (i32.add (local.get $verdicts) (local.get $count)) (i32.const 0))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br $each)))
  (i32.store8 (i32.const 256) (i32.const 0))
  (call $pair (i32.const 260) (local.get $verdicts) (local.get $count))
  (call $pair (i32.const 268) (i32.const 0) (i32.const 0))
  (i32.const 256))

(func (export "cabi_post_weir:filter/packed@1.0.0#process") (param i32)
  (global.set $free (i32.const 65536)))
