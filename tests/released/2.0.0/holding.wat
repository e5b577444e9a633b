;; A guest of the world `holding-filter` of weir:filter@2.0.0: holds each record whose last byte is odd, which is every
;; second one of the tests', and releases all at the next tick.
;; Frozen: it shows that a filter built then still runs.
(module
;; What all guests of the tests have: memory, an allocator, the lifecycle, and enough MessagePack to tell records apart.
(memory (export "memory") 2)
(data (i32.const 16) "HOSTILE")
(data (i32.const 32) "guest")
(data (i32.const 48) "2.0.0")

(global $free (mut i32) (i32.const 65536))

;; Takes the next bytes; memory that is left over is taken back after each batch.
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

;; Puts a pointer and a length at a place.
(func $pair (param $at i32) (param $pointer i32) (param $length i32)
  (i32.store (local.get $at) (local.get $pointer))
  (i32.store offset=4 (local.get $at) (local.get $length)))

;; Whether the text at 16 is among some bytes.
(func $is_hostile (param $at i32) (param $end i32) (result i32)
  (block $no
    (loop $next
      (br_if $no (i32.gt_u (i32.add (local.get $at) (i32.const 7)) (local.get $end)))
      (if (i64.eq
            (i64.and (i64.load (local.get $at)) (i64.const 0xffffffffffffff))
            (i64.and (i64.load (i32.const 16)) (i64.const 0xffffffffffffff)))
        (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
  (i32.const 0))

;; The two bytes at a place, most significant first.
(func $u16 (param $at i32) (result i32)
  (i32.or
    (i32.shl (i32.load8_u (local.get $at)) (i32.const 8))
    (i32.load8_u offset=1 (local.get $at))))

;; The four bytes at a place, in that order.
(func $u32 (param $at i32) (result i32)
  (i32.or
    (i32.shl (call $u16 (local.get $at)) (i32.const 16))
    (call $u16 (i32.add (local.get $at) (i32.const 2)))))

;; Where the MessagePack value at a place ends.
(func $skip (param $at i32) (result i32)
  (local $byte i32) (local $items i32)
  (local.set $byte (i32.load8_u (local.get $at)))
  (local.set $at (i32.add (local.get $at) (i32.const 1)))
  (block $collection
    (if (i32.or (i32.lt_u (local.get $byte) (i32.const 0x80)) (i32.ge_u (local.get $byte) (i32.const 0xe0)))
      (then (return (local.get $at))))
    (if (i32.lt_u (local.get $byte) (i32.const 0x90)) ;; a short map
      (then
        (local.set $items (i32.mul (i32.const 2) (i32.and (local.get $byte) (i32.const 15))))
        (br $collection)))
    (if (i32.lt_u (local.get $byte) (i32.const 0xa0)) ;; a short list
      (then
        (local.set $items (i32.and (local.get $byte) (i32.const 15)))
        (br $collection)))
    (if (i32.lt_u (local.get $byte) (i32.const 0xc0)) ;; a short text
      (then (return (i32.add (local.get $at) (i32.and (local.get $byte) (i32.const 31))))))
    (if (i32.le_u (local.get $byte) (i32.const 0xc3)) ;; nothing, true, false
      (then (return (local.get $at))))
    (if (i32.eq (local.get $byte) (i32.const 0xd9)) ;; a text of up to 255 bytes
      (then (return (i32.add (i32.add (local.get $at) (i32.const 1)) (i32.load8_u (local.get $at))))))
    (if (i32.eq (local.get $byte) (i32.const 0xda)) ;; a text of up to 65535
      (then (return (i32.add (i32.add (local.get $at) (i32.const 2)) (call $u16 (local.get $at))))))
    (if (i32.or (i32.eq (local.get $byte) (i32.const 0xcc)) (i32.eq (local.get $byte) (i32.const 0xd0)))
      (then (return (i32.add (local.get $at) (i32.const 1)))))
    (if (i32.or (i32.eq (local.get $byte) (i32.const 0xcd)) (i32.eq (local.get $byte) (i32.const 0xd1)))
      (then (return (i32.add (local.get $at) (i32.const 2)))))
    (if (i32.or (i32.eq (local.get $byte) (i32.const 0xce)) (i32.eq (local.get $byte) (i32.const 0xd2)))
      (then (return (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.or (i32.eq (local.get $byte) (i32.const 0xcf)) (i32.eq (local.get $byte) (i32.const 0xd3)))
      (then (return (i32.add (local.get $at) (i32.const 8)))))
    (if (i32.eq (local.get $byte) (i32.const 0xcb))
      (then (return (i32.add (local.get $at) (i32.const 8)))))
    (if (i32.eq (local.get $byte) (i32.const 0xca)) ;; a short float
      (then (return (i32.add (local.get $at) (i32.const 4)))))
    (if (i32.eq (local.get $byte) (i32.const 0xc4)) ;; bytes
      (then (return (i32.add (i32.add (local.get $at) (i32.const 1)) (i32.load8_u (local.get $at))))))
    (if (i32.eq (local.get $byte) (i32.const 0xc5))
      (then (return (i32.add (i32.add (local.get $at) (i32.const 2)) (call $u16 (local.get $at))))))
    (if (i32.or (i32.eq (local.get $byte) (i32.const 0xc6)) (i32.eq (local.get $byte) (i32.const 0xdb)))
      (then (return (i32.add (i32.add (local.get $at) (i32.const 4)) (call $u32 (local.get $at))))))
    (if (i32.eq (local.get $byte) (i32.const 0xc7)) ;; extensions
      (then (return (i32.add (i32.add (local.get $at) (i32.const 2)) (i32.load8_u (local.get $at))))))
    (if (i32.eq (local.get $byte) (i32.const 0xc8))
      (then (return (i32.add (i32.add (local.get $at) (i32.const 3)) (call $u16 (local.get $at))))))
    (if (i32.and (i32.ge_u (local.get $byte) (i32.const 0xd4)) (i32.le_u (local.get $byte) (i32.const 0xd8)))
      (then (return (i32.add (i32.add (local.get $at) (i32.const 1))
        (i32.shl (i32.const 1) (i32.sub (local.get $byte) (i32.const 0xd4)))))))
    (if (i32.eq (local.get $byte) (i32.const 0xdd)) ;; a very long list
      (then
        (local.set $items (call $u32 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $collection)))
    (if (i32.eq (local.get $byte) (i32.const 0xdf)) ;; a very long map
      (then
        (local.set $items (i32.mul (i32.const 2) (call $u32 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $collection)))
    (if (i32.eq (local.get $byte) (i32.const 0xdc)) ;; a long list
      (then
        (local.set $items (call $u16 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (br $collection)))
    (if (i32.eq (local.get $byte) (i32.const 0xde)) ;; a long map
      (then
        (local.set $items (i32.mul (i32.const 2) (call $u16 (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (br $collection)))
    (unreachable))
  (block $done
    (loop $next
      (br_if $done (i32.eqz (local.get $items)))
      (local.set $at (call $skip (local.get $at)))
      (local.set $items (i32.sub (local.get $items) (i32.const 1)))
      (br $next)))
  (local.get $at))

;; The lifecycle of a guest that has nothing to say.
(func (export "weir:filter/lifecycle@2.0.0#describe") (result i32)
  (call $pair (i32.const 128) (i32.const 32) (i32.const 5))
  (call $pair (i32.const 136) (i32.const 48) (i32.const 5))
  (call $pair (i32.const 144) (i32.const 32) (i32.const 5))
  (call $pair (i32.const 152) (i32.const 0) (i32.const 0))
  (call $pair (i32.const 160) (i32.const 0) (i32.const 0))
  (i32.const 128))
(func (export "weir:filter/lifecycle@2.0.0#configure") (param i32 i32) (result i32)
  (i32.store8 (i32.const 192) (i32.const 0))
  (i32.const 192))

;; A guest that asks `$verdict` about each record and its id.
(global $verdicts (mut i32) (i32.const 0))
(global $verdicts_length (mut i32) (i32.const 0))

(func $decide (param $byte i32)
  (i32.store8 (i32.add (global.get $verdicts) (global.get $verdicts_length)) (local.get $byte))
  (global.set $verdicts_length (i32.add (global.get $verdicts_length) (i32.const 1))))

(func (export "weir:filter/holding@2.0.0#encoding") (result i32) (i32.const 0))

(func (export "weir:filter/holding@2.0.0#process")
  (param $at i32) (param $length i32) (param $ids i32) (param $count i32) (result i32)
  (local $end i32) (local $next i32)
  (local.set $end (i32.add (local.get $at) (local.get $length)))
  (global.set $verdicts (call $take (i32.mul (i32.const 5) (local.get $count))))
  (global.set $verdicts_length (i32.const 0))
  (block $done
    (loop $each
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $next (call $skip (local.get $at)))
      (call $verdict (local.get $at) (local.get $next) (i64.load (local.get $ids)))
      (local.set $at (local.get $next))
      (local.set $ids (i32.add (local.get $ids) (i32.const 8)))
      (br $each)))
  (i32.store8 (i32.const 256) (i32.const 0))
  (call $pair (i32.const 260) (global.get $verdicts) (global.get $verdicts_length))
  (call $pair (i32.const 268) (i32.const 0) (i32.const 0))
  (call $pair (i32.const 276) (i32.const 0) (i32.const 0))
  (i32.const 256))

(func (export "cabi_post_weir:filter/holding@2.0.0#process") (param i32)
  (global.set $free (i32.const 65536)))

;; The ids of what is held stand from 4096 on, up to 1000 of them. A tick says how many they were, and a successor is
;; handed them. Traps on a record with the marker.
(global $held (mut i32) (i32.const 0))
(data (i32.const 512) "\82\a7message\a5count\a5count\ce....")
(func $verdict (param $at i32) (param $end i32) (param $id i64)
  (if (call $is_hostile (local.get $at) (local.get $end))
    (then (unreachable)))
  (if (i32.or
        (i32.eqz (i32.and (i32.load8_u (i32.sub (local.get $end) (i32.const 1))) (i32.const 1)))
        (i32.ge_u (global.get $held) (i32.const 1000)))
    (then
      (call $decide (i32.const 0))
      (return)))
  (i64.store (i32.add (i32.const 4096) (i32.mul (i32.const 8) (global.get $held))) (local.get $id))
  (global.set $held (i32.add (global.get $held) (i32.const 1)))
  (call $decide (i32.const 5))
  (call $decide (i32.const 0))
  (call $decide (i32.const 0))
  (call $decide (i32.const 0))
  (call $decide (i32.const 0)))
(func $store_big_endian (param $at i32) (param $value i32)
  (i32.store8 (local.get $at) (i32.shr_u (local.get $value) (i32.const 24)))
  (i32.store8 offset=1 (local.get $at) (i32.shr_u (local.get $value) (i32.const 16)))
  (i32.store8 offset=2 (local.get $at) (i32.shr_u (local.get $value) (i32.const 8)))
  (i32.store8 offset=3 (local.get $at) (local.get $value)))
(func (export "weir:filter/holding@2.0.0#tick") (param i32) (result i32)
  (call $store_big_endian (i32.const 534) (global.get $held))
  (call $pair (i32.const 600) (i32.const 512) (i32.const 26))
  (call $pair (i32.const 608) (i32.const 4096) (global.get $held))
  (global.set $held (i32.const 0))
  (i32.const 600))
(func (export "weir:filter/holding@2.0.0#save") (result i32)
  (call $pair (i32.const 640) (i32.const 4096) (i32.mul (i32.const 8) (global.get $held)))
  (i32.const 640))
(func (export "weir:filter/holding@2.0.0#restore") (param $at i32) (param $length i32) (result i32)
  (memory.copy (i32.const 4096) (local.get $at) (local.get $length))
  (global.set $held (i32.shr_u (local.get $length) (i32.const 3)))
  (i32.store8 (i32.const 192) (i32.const 0))
  (i32.const 192))
)
