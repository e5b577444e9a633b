;; AssemblyScript's `env.abort`: writes the reason to Weir's log, then traps.
;;
;; Texts are UTF-16, preceded by their length in bytes. The memory is not used after a trap, so the message is
;; converted to ASCII in place; other characters become question marks.
(module
  (import "env" "memory" (memory 0))
  (import "weir:filter/host@1.0.0" "log" (func $log (param i32 i32 i32)))
  (func (export "abort") (param $message i32) (param $file i32) (param $line i32) (param $column i32)
    (local $length i32) (local $at i32) (local $unit i32)
    (if (local.get $message)
      (then
        (local.set $length (i32.shr_u (i32.load (i32.sub (local.get $message) (i32.const 4))) (i32.const 1)))
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $length)))
            (local.set $unit (i32.load16_u
              (i32.add (local.get $message) (i32.shl (local.get $at) (i32.const 1)))))
            (i32.store8 (i32.add (local.get $message) (local.get $at))
              (select (local.get $unit) (i32.const 63) (i32.lt_u (local.get $unit) (i32.const 128))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (call $log (i32.const 4) (local.get $message) (local.get $length))))
    (unreachable)))
