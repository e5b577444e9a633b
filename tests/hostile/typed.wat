;; A typed guest: the message of each record becomes the path of the first field that it is shown; a record without
;; fields is dropped.
(func (export "weir:filter/typed@1.0.0#process") (param $views i32) (param $count i32) (result i32)
  (local $verdicts i32) (local $verdict i32) (local $fields i32) (local $change i32)
  (i32.store8 (i32.const 256) (i32.const 0))
  (local.set $verdicts (call $take (i32.mul (i32.const 12) (local.get $count))))
  (call $pair (i32.const 260) (local.get $verdicts) (local.get $count))
  (local.set $verdict (local.get $verdicts))
  (block $done
    (loop $each
      (br_if $done (i32.eqz (local.get $count)))
      (if (i32.eqz (i32.load offset=32 (local.get $views)))
        (then (i32.store8 (local.get $verdict) (i32.const 1)))
        (else
          (local.set $fields (i32.load offset=28 (local.get $views)))
          (i32.store8 (local.get $verdict) (i32.const 2))
          (local.set $change (call $take (i32.const 32)))
          (call $pair (i32.add (local.get $verdict) (i32.const 4)) (local.get $change) (i32.const 1))
          (i32.store8 (local.get $change) (i32.const 3))
          (i64.store offset=8 (local.get $change) (i64.load (local.get $fields)))))
      (local.set $views (i32.add (local.get $views) (i32.const 40)))
      (local.set $verdict (i32.add (local.get $verdict) (i32.const 12)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $each)))
  (i32.const 256))
(func (export "cabi_post_weir:filter/typed@1.0.0#process") (param i32)
  (global.set $free (i32.const 65536)))
