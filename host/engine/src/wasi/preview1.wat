;; WASI's first version (wasi_snapshot_preview1) with nothing in it, answered from inside the component. Only the
;; functions that a module imports are kept.
;;
;; It uses the module's own memory and calls nobody, so that it can be called at any time, also while the module
;; allocates memory for its caller. Its clock is therefore only a count: whoever wants the time asks weir:filter/host.
;; Numbers returned: 0 success, 8 no such file descriptor, 52 not supported.
(module
  (import "env" "memory" (memory 0))
  (global $clock (mut i64) (i64.const 1000000000))
  (global $random (mut i64) (i64.const 0x2545f4914f6cdd1d))

  ;; No arguments and no environment: two counts of zero.
  (func $no_strings (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $no_strings))
  (export "environ_sizes_get" (func $no_strings))

  (func $nothing2 (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing2))
  (export "environ_get" (func $nothing2))

  ;; One microsecond later at each call.
  (func (export "clock_time_get") (param $id i32) (param $precision i64) (param $time i32) (result i32)
    (global.set $clock (i64.add (global.get $clock) (i64.const 1000)))
    (i64.store (local.get $time) (global.get $clock))
    (i32.const 0))
  (func (export "clock_res_get") (param $id i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1000))
    (i32.const 0))

  ;; Xorshift: for hash tables, not for secrets.
  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
        (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
        (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
        (i32.store8 (local.get $at) (i32.wrap_i64 (global.get $random)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; Printing succeeds and goes nowhere: the lengths of all pieces are added up.
  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $pieces))))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  ;; Reading finds the end at once.
  (func (export "fd_read") (param $fd i32) (param $pieces i32) (param $count i32) (param $read i32) (result i32)
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))
  ;; Standard streams are character devices; there are no other descriptors.
  (func (export "fd_fdstat_get") (param $fd i32) (param $stat i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $stat) (i64.const 2))
    (i64.store offset=8 (local.get $stat) (i64.const -1))
    (i64.store offset=16 (local.get $stat) (i64.const -1))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 0))
  (func (export "fd_close") (param i32) (result i32) (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) (unreachable))
  (func (export "proc_raise") (param i32) (result i32) (unreachable))

  ;; Nothing is ever ready but time passes: all events that were asked for have come.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $events i32) (result i32)
    (local $at i32)
    (global.set $clock (i64.add (global.get $clock) (i64.const 1000000)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
        (i64.store (i32.add (local.get $out) (i32.mul (local.get $at) (i32.const 32)))
          (i64.load (i32.add (local.get $in) (i32.mul (local.get $at) (i32.const 48)))))
        (i64.store offset=8 (i32.add (local.get $out) (i32.mul (local.get $at) (i32.const 32))) (i64.const 0))
        (i64.store offset=16 (i32.add (local.get $out) (i32.mul (local.get $at) (i32.const 32))) (i64.const 0))
        (i64.store offset=24 (i32.add (local.get $out) (i32.mul (local.get $at) (i32.const 32))) (i64.const 0))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $events) (local.get $count))
    (i32.const 0))

  ;; No files: these have no descriptor to work on.
  (func $bad1 (param i32) (result i32) (i32.const 8))
  (export "fd_datasync" (func $bad1))
  (export "fd_sync" (func $bad1))
  (func $bad2 (param i32 i32) (result i32) (i32.const 8))
  (export "fd_filestat_get" (func $bad2))
  (export "fd_prestat_get" (func $bad2))
  (export "fd_renumber" (func $bad2))
  (export "fd_tell" (func $bad2))
  (export "sock_shutdown" (func $bad2))
  (func $bad3 (param i32 i32 i32) (result i32) (i32.const 8))
  (export "fd_prestat_dir_name" (func $bad3))
  (export "path_create_directory" (func $bad3))
  (export "path_remove_directory" (func $bad3))
  (export "path_unlink_file" (func $bad3))
  (export "sock_accept" (func $bad3))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func $bad_positioned (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (export "fd_pread" (func $bad_positioned))
  (export "fd_pwrite" (func $bad_positioned))
  (export "fd_readdir" (func $bad_positioned))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func $bad5 (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_filestat_get" (func $bad5))
  (export "path_symlink" (func $bad5))
  (export "sock_send" (func $bad5))
  (func $bad6 (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_readlink" (func $bad6))
  (export "path_rename" (func $bad6))
  (export "sock_recv" (func $bad6))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
)
