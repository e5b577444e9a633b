//! What well-behaved filters do to batches.

use super::hostile::{self, DROP, EXPAND, KEEP, MARKER, PATCH, TRAP, TYPED};
use super::*;
use crate::Action;

#[test]
fn a_kept_batch_is_not_copied() {
    let input = batch(["a", "b", "c"]);
    let (expected, address) = (input.clone(), input.bytes().as_ptr());
    let outcome = run(&[&load(&engine(), KEEP)], input);
    assert_eq!(outcome.batch, expected);
    assert_eq!(outcome.batch.bytes().as_ptr(), address);
}

#[test]
fn dropped_records_are_removed_and_the_others_keep_every_byte() {
    let input = batch(["a", MARKER, "b", "c", MARKER]);
    let expected = batch(["a", "b", "c"]);
    let outcome = run(&[&load(&engine(), DROP)], input);
    assert_eq!((outcome.batch, outcome.failed), (expected, vec![]));
}

#[test]
fn a_patch_changes_what_it_names_and_nothing_else() {
    let input = batch(["a", "b"]);
    let outcome = run(&[&load(&engine(), PATCH)], input.clone());
    assert_eq!(outcome.batch.len(), 2);
    for i in 0..2 {
        let record = outcome.batch.record(i);
        assert_eq!(record.get("patched").and_then(|value| value.as_bool()), Some(true));
        assert_eq!(record.get("context.user").and_then(|value| value.as_str()), Some("u"));
        assert_eq!((record.message(), record.timestamp()), (input.record(i).message(), TIME_NS));
    }
}

#[test]
fn replaced_and_expanded_records_keep_their_position_and_are_canonical() {
    let outcome = run(&[&load(&engine(), EXPAND)], batch(["a", MARKER, "b"]));
    assert_eq!(outcome.batch, batch(["a", MARKER, MARKER, "b"]));
}

#[test]
fn a_failure_late_in_the_chain_names_the_index_in_the_original_batch() {
    let engine = engine();
    let (drop, expand, trap) = (load(&engine, DROP), load(&engine, EXPAND), load(&engine, TRAP));
    let outcome = run(&[&drop, &expand], batch([MARKER, "a", "b"]));
    assert_eq!(messages(&outcome.batch), ["a", "b"]);
    let outcome = run(&[&expand, &trap], batch(["a", "b", MARKER, "c"]));
    assert_eq!(messages(&outcome.batch), ["a", "b", "c"]);
    let places: Vec<u32> = outcome.failed.iter().map(|failed| failed.index).collect();
    assert_eq!(places, [2, 2], "both of what the record was expanded to");
    assert!(outcome.failed.iter().all(|failed| failed.filter == "trap" && failed.action == Action::Quarantine));
}

#[test]
fn batches_beyond_the_size_of_a_call_pass_in_pieces_and_in_order() {
    let names: Vec<String> =
        (0..10_000).map(|i| if i % 3 == 0 { format!("{i} {MARKER}") } else { i.to_string() }).collect();
    let expected: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains(MARKER)).collect();
    let outcome = run(&[&load(&engine(), DROP)], batch(names.iter().map(String::as_str)));
    assert_eq!(messages(&outcome.batch), expected);
}

#[test]
fn a_typed_filter_sees_the_fields_in_order_and_its_changes_are_made() {
    let filter = load(&engine(), TYPED);
    assert_eq!(filter.world(), crate::World::Filter);
    let outcome = run(&[&filter], batch(["a", "b"]));
    assert_eq!(outcome.failed, []);
    assert_eq!(messages(&outcome.batch), ["context.user", "context.user"]);
    assert_eq!(outcome.batch.record(0).get("context.n").and_then(|value| value.as_i64()), Some(5));
}

/// Patches the one record of a batch, in JSON, and keeps the other of two.
const JSON: Guest = (
    "json",
    r#"
    (data (i32.const 512) "\02\00")
    (data (i32.const 520) "[{\"message\":\"from json\",\"timestamp\":\"2026-01-02T03:04:05.000000007Z\"}]")
    (func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 1))
    (func (export "weir:filter/packed@1.0.0#process") (param $at i32) (param $length i32) (result i32)
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x5b)) (then (unreachable)))
      (i32.store8 (i32.const 256) (i32.const 0))
      (call $pair (i32.const 260) (i32.const 512) (i32.const 2))
      (call $pair (i32.const 268) (i32.const 520) (i32.const 70))
      (i32.const 256))"#,
);

#[test]
fn a_filter_may_have_its_records_in_json() {
    let outcome = run(&[&load(&engine(), JSON)], batch(["a", "b"]));
    assert_eq!(outcome.failed, []);
    assert_eq!(messages(&outcome.batch), ["from json", "b"]);
    assert_eq!(outcome.batch.record(0).timestamp(), TIME_NS + 1);
}

/// Drops whatever comes after the third record, whichever instance or version sees it.
const TALLY: Guest = (
    "counts",
    r#"
    (data (i32.const 512) "seen")
    (func $verdict (param i32 i32)
      (call $decide (i64.gt_s
        (call $kv_add (i32.const 512) (i32.const 4) (i64.const 1) (i64.const 600000))
        (i64.const 3))))"#,
);

#[test]
fn the_store_is_shared_by_instances_and_versions_and_by_no_other_filter() {
    let engine = engine();
    let import = r#"(module (import "weir:filter/host@1.0.0" "kv-add"
        (func $kv_add (param i32 i32 i64 i64) (result i64)))"#;
    let module = hostile::assemble(&hostile::text(TALLY).replacen("(module", import, 1));
    let load = |name| engine.load(&spec(name), &module).unwrap();
    let first = load("counts");
    first.check(&batch(["x", "x", "x"]), None).unwrap();
    assert_eq!(run(&[&first], batch(["a", "b"])).batch.len(), 2, "a trial counts for nothing");
    assert_eq!(run(&[&first], batch(["c", "d"])).batch.len(), 1, "another worker's instance");
    assert_eq!(run(&[&load("counts")], batch(["e"])).batch.len(), 0, "another version");
    assert_eq!(run(&[&load("other")], batch(["f"])).batch.len(), 1);
}

#[test]
fn a_worker_drops_instances_of_filters_that_left_the_chain() {
    let engine = engine();
    let filter = load(&engine, KEEP);
    let mut worker = Worker::new(engine);
    worker.run(&chain(&[&filter]), batch(["a"]));
    assert_eq!(worker.slots(), 1);
    worker.run(&Chain::default(), batch(["a"]));
    assert_eq!(worker.slots(), 0);
}
