;; The pass-through filter: counts the records of a batch and keeps them all. The cost of calling it is the minimum cost
;; of any filter.
(module
  (memory (export "memory") 2)
  (data (i32.const 16) "pass")
  (data (i32.const 32) "1.0.0")
  (data (i32.const 48) "keeps every record")
  (global $free (mut i32) (i32.const 65536))

  ;; Allocates the next bytes. All are freed after each batch.
  (func $take (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (block $enough
      (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.ne (i32.const -1) (memory.grow
        (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 65536))))))
      (unreachable))
    (local.get $at))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (call $take (local.get 3)))

  (func $pair (param $at i32) (param $pointer i32) (param $length i32)
    (i32.store (local.get $at) (local.get $pointer))
    (i32.store offset=4 (local.get $at) (local.get $length)))

  ;; Integers as MessagePack writes them, most significant byte first.
  (func $u16 (param $at i32) (result i32)
    (i32.or
      (i32.shl (i32.load8_u (local.get $at)) (i32.const 8))
      (i32.load8_u offset=1 (local.get $at))))
  (func $u32 (param $at i32) (result i32)
    (i32.or
      (i32.shl (call $u16 (local.get $at)) (i32.const 16))
      (call $u16 (i32.add (local.get $at) (i32.const 2)))))

  (func (export "weir:filter/lifecycle@1.0.0#describe") (result i32)
    (call $pair (i32.const 128) (i32.const 16) (i32.const 4))
    (call $pair (i32.const 136) (i32.const 32) (i32.const 5))
    (call $pair (i32.const 144) (i32.const 48) (i32.const 18))
    (call $pair (i32.const 152) (i32.const 0) (i32.const 0))
    (call $pair (i32.const 160) (i32.const 0) (i32.const 0))
    (i32.const 128))
  (func (export "weir:filter/lifecycle@1.0.0#configure") (param i32 i32) (result i32)
    (i32.store8 (i32.const 192) (i32.const 0))
    (i32.const 192))
  (func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 0))

  ;; The number of values between two positions.
  (func $count (param $at i32) (param $end i32) (result i32)
    (local $byte i32) (local $records i32) (local $left i32)
    (block $done
      (loop $value
        (if (i32.eqz (local.get $left))
          (then
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $records (i32.add (local.get $records) (i32.const 1)))
            (local.set $left (i32.const 1))))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $value (i32.lt_u (local.get $byte) (i32.const 0x80)))
        (br_if $value (i32.ge_u (local.get $byte) (i32.const 0xe0)))
        (if (i32.lt_u (local.get $byte) (i32.const 0x90)) ;; a short map
          (then
            (local.set $left (i32.add (local.get $left)
              (i32.shl (i32.and (local.get $byte) (i32.const 15)) (i32.const 1))))
            (br $value)))
        (if (i32.lt_u (local.get $byte) (i32.const 0xa0)) ;; a short list
          (then
            (local.set $left (i32.add (local.get $left) (i32.and (local.get $byte) (i32.const 15))))
            (br $value)))
        (if (i32.lt_u (local.get $byte) (i32.const 0xc0)) ;; a short text
          (then
            (local.set $at (i32.add (local.get $at) (i32.and (local.get $byte) (i32.const 31))))
            (br $value)))
        (block $map32 (block $map16 (block $list32 (block $list16
        (block $long32 (block $long16 (block $long8 (block $ext32 (block $ext16 (block $ext8
        (block $by17 (block $by9 (block $by8 (block $by5 (block $by4 (block $by3 (block $by2 (block $by1
          (br_table $value $value $value $value
            $long8 $long16 $long32 $ext8 $ext16 $ext32
            $by4 $by8 $by1 $by2 $by4 $by8 $by1 $by2 $by4 $by8
            $by2 $by3 $by5 $by9 $by17
            $long8 $long16 $long32 $list16 $list32 $map16 $map32
            (i32.sub (local.get $byte) (i32.const 0xc0))))
        (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 2))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 3))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 4))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 5))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 8))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 9))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.const 17))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.add (i32.const 2) (i32.load8_u (local.get $at))))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.add (i32.const 3) (call $u16 (local.get $at))))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.add (i32.const 5) (call $u32 (local.get $at))))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.add (i32.const 1) (i32.load8_u (local.get $at))))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.add (i32.const 2) (call $u16 (local.get $at))))) (br $value))
        (local.set $at (i32.add (local.get $at) (i32.add (i32.const 4) (call $u32 (local.get $at))))) (br $value))
        (local.set $left (i32.add (local.get $left) (call $u16 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 2))) (br $value))
        (local.set $left (i32.add (local.get $left) (call $u32 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4))) (br $value))
        (local.set $left (i32.add (local.get $left) (i32.shl (call $u16 (local.get $at)) (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 2))) (br $value))
        (local.set $left (i32.add (local.get $left) (i32.shl (call $u32 (local.get $at)) (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 4))) (br $value)))
    (local.get $records))

  (func (export "weir:filter/packed@1.0.0#process") (param $at i32) (param $length i32) (result i32)
    (local $records i32) (local $verdicts i32)
    (local.set $records (call $count (local.get $at) (i32.add (local.get $at) (local.get $length))))
    (local.set $verdicts (call $take (local.get $records)))
    (memory.fill (local.get $verdicts) (i32.const 0) (local.get $records))
    (i32.store8 (i32.const 256) (i32.const 0))
    (call $pair (i32.const 260) (local.get $verdicts) (local.get $records))
    (call $pair (i32.const 268) (i32.const 0) (i32.const 0))
    (i32.const 256))
  (func (export "cabi_post_weir:filter/packed@1.0.0#process") (param i32)
    (global.set $free (i32.const 65536))))
