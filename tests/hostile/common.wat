;; Shared by all test guests: memory, an allocator, the lifecycle, and enough MessagePack to separate records.
(memory (export "memory") 2)
(data (i32.const 16) "HOSTILE")
(data (i32.const 32) "guest")
(data (i32.const 48) "1.0.0")

(global $free (mut i32) (i32.const 65536))

;; Allocates the next bytes; all memory is reused after each batch.
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

;; Stores a pointer and a length.
(func $pair (param $at i32) (param $pointer i32) (param $length i32)
  (i32.store (local.get $at) (local.get $pointer))
  (i32.store offset=4 (local.get $at) (local.get $length)))

;; Whether some bytes contain the text at 16.
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

;; Reads two bytes, most significant first.
(func $u16 (param $at i32) (result i32)
  (i32.or
    (i32.shl (i32.load8_u (local.get $at)) (i32.const 8))
    (i32.load8_u offset=1 (local.get $at))))

;; Reads four bytes in the same order.
(func $u32 (param $at i32) (result i32)
  (i32.or
    (i32.shl (call $u16 (local.get $at)) (i32.const 16))
    (call $u16 (i32.add (local.get $at) (i32.const 2)))))

;; The end of the MessagePack value at an offset.
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
