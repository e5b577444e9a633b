;; Keeps everything.
(func $verdict (param $at i32) (param $end i32)
  (call $decide (i32.const 0)))
