//! Filters that hold records: what a batch holds and releases, and what is replayed to a new instance after a failure,
//! a swap or a start.
//!
//! The guest holds every record of these tests. At a tick it releases all of them and emits their count. It traps on a
//! record with the marker.

use bytes::Bytes;

use super::*;
use crate::Action;
use crate::limits::MAX_ADDED_RECORDS;

fn holding(engine: &Arc<Engine>) -> Arc<Filter> {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/released/2.0.0/holding.wat");
    engine.load(&spec("holds"), &wat::parse_file(text).unwrap()).unwrap()
}

fn tick(filter: &Arc<Filter>) -> Outcome {
    Worker::new(filter.engine.clone()).tick(&chain(&[filter]), false)
}

/// The count that the guest emitted at a tick.
fn count(outcome: &Outcome) -> u64 {
    let record = outcome.batch.record(0);
    match record.map().get("count") {
        Some(weir_record::Value::UInt(count)) => count,
        Some(weir_record::Value::Int(count)) => count as u64,
        other => panic!("no count, but {other:?}"),
    }
}

fn ids(outcome: &Outcome) -> Vec<u64> {
    outcome.holding.held.keys().copied().collect()
}

#[test]
fn held_records_are_stored_and_released_with_their_output() {
    let filter = holding(&engine());
    let input = batch(["a", "b"]);
    let outcome = run(&[&filter], input.clone());
    assert!(outcome.batch.is_empty() && outcome.failed.is_empty());
    let held: Vec<&[u8]> = outcome.holding.held.values().map(|held| &held.record[..]).collect();
    assert_eq!(held, [input.get(0), input.get(1)]);
    assert!(outcome.holding.held.values().all(|held| &*held.filter == "holds"));
    let said = tick(&filter);
    assert_eq!((count(&said), said.holding.released), (2, ids(&outcome)));
    assert_eq!(count(&tick(&filter)), 0);
}

#[test]
fn after_a_trap_held_records_are_replayed_to_the_next_instance() {
    let filter = holding(&engine());
    let first = run(&[&filter], batch(["a"]));
    let second = run(&[&filter], batch(["b", MARKER, "c"]));
    assert_eq!(second.failed.iter().map(|failed| failed.index).collect::<Vec<_>>(), [1]);
    assert_eq!(second.holding.held.len(), 2);
    assert!(second.holding.released.is_empty());
    let said = tick(&filter);
    assert_eq!((count(&said), said.holding.released), (3, [ids(&first), ids(&second)].concat()));
}

#[test]
fn held_records_restored_after_a_start_keep_their_ids_and_are_not_stored_again() {
    let engine = engine();
    let filter = holding(&engine);
    engine.reserve_ids_up_to(41);
    let records = batch(["a", "b"]);
    filter
        .restore_held(vec![(7, Bytes::copy_from_slice(records.get(0))), (41, Bytes::copy_from_slice(records.get(1)))]);
    let outcome = run(&[&filter], batch(["c"]));
    assert_eq!(ids(&outcome), [42]);
    let said = tick(&filter);
    assert_eq!((count(&said), said.holding.released), (3, vec![7, 41, 42]));
}

#[test]
fn a_held_record_that_a_new_instance_fails_on_is_set_aside_and_the_others_stay_held() {
    let filter = holding(&engine());
    let records = batch(["a", MARKER, "b"]);
    let given = (0..3).map(|at| (at as u64 + 1, Bytes::copy_from_slice(records.get(at)))).collect();
    filter.restore_held(given);
    let said = tick(&filter);
    assert_eq!(said.without_sender.len(), 1);
    assert_eq!(
        (said.without_sender[0].action, &said.without_sender[0].record[..]),
        (Action::Quarantine, records.get(1))
    );
    let mut released = said.holding.released.clone();
    released.sort_unstable();
    assert_eq!((count(&said), released), (2, vec![1, 2, 3]));
}

#[test]
fn records_set_aside_are_reported_even_if_no_instance_can_be_started() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/released/2.0.0/holding.wat");
    let text = std::fs::read_to_string(path).unwrap();
    let import = r#"(module (import "weir:filter/host@2.0.0" "kv-add"
        (func $kv_add (param i32 i32 i64 i64) (result i64)))"#;
    let configure = r#"(func (export "weir:filter/lifecycle@2.0.0#configure") (param i32 i32) (result i32)"#;
    // When it is loaded, given all, given one after the other; not once more.
    let thrice = format!(
        "(data (i32.const 700) \"starts\") {configure}
          (if (i64.gt_s (call $kv_add (i32.const 700) (i32.const 6) (i64.const 1) (i64.const 600000)) (i64.const 3))
            (then (unreachable)))"
    );
    let text = text.replacen("(module", import, 1).replacen(configure, &thrice, 1);
    let filter = engine().load(&spec("thrice"), &wat::parse_str(text).unwrap()).unwrap();
    let records = batch([MARKER, "b"]);
    filter.restore_held((0..2).map(|at| (at as u64 + 1, Bytes::copy_from_slice(records.get(at)))).collect());
    let said = tick(&filter);
    assert!(said.tick_failed.is_some());
    assert_eq!(said.holding.released, [1]);
    assert_eq!(said.without_sender.iter().map(|failed| &failed.record[..]).collect::<Vec<_>>(), [records.get(0)]);
}

#[test]
fn a_new_instance_gets_the_held_records_and_no_older_state() {
    let engine = engine();
    let (filter, canary) = (holding(&engine), holding(&engine));
    run(&[&filter], batch(["a", "b"]));
    filter.copy_state(&canary).unwrap();
    assert_eq!(count(&tick(&filter)), 2);
    assert_eq!(run(&[&filter], batch([MARKER])).failed.len(), 1);
    assert_eq!(count(&tick(&filter)), 0);
}

/// A guest whose verdict on every record, and the maps in its answer, are these.
fn deciding(verdict: &str, maps: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/released/2.0.0/holding.wat");
    let text = std::fs::read_to_string(path).unwrap();
    let own = "(func $verdict (param $at i32) (param $end i32) (param $id i64)";
    let no_maps = "(call $pair (i32.const 268) (i32.const 0) (i32.const 0))";
    assert!(text.contains(own) && text.contains(no_maps));
    let verdict = format!("(func $verdict (param i32 i32 i64) {verdict}) {}", own.replace("$verdict", "$unused"));
    wat::parse_str(text.replacen(own, &verdict, 1).replacen(no_maps, maps, 1)).unwrap()
}

/// A verdict with its count.
fn decide(verdict: u8, count: u32) -> String {
    let bytes = [&[verdict][..], &count.to_le_bytes()].concat();
    bytes.iter().map(|byte| format!("(call $decide (i32.const {byte}))")).collect()
}

#[test]
fn a_record_held_instead_of_another_has_only_what_the_filter_may_change() {
    // Holds `{"secret": 1}` instead.
    let maps = "(i32.store8 (i32.const 700) (i32.const 0x81))
        (i64.store (i32.const 701) (i64.const 0x01746572636573a6))
        (call $pair (i32.const 268) (i32.const 700) (i32.const 9))";
    let guest = deciding(&decide(6, 0), maps);
    for (writes, fails) in [("message", 1), ("secret", 0)] {
        let spec = FilterSpec { writes: Some(vec![writes.into()]), ..spec("another") };
        let outcome = run(&[&engine().load(&spec, &guest).unwrap()], batch(["a"]));
        assert_eq!((outcome.failed.len(), outcome.holding.held.len()), (fails, 1 - fails), "{writes}");
    }
}

#[test]
fn what_a_new_instance_makes_of_held_records_is_limited() {
    // Replaces each record by 30,000 empty ones.
    let bytes = "(i32.mul (local.get $count) (i32.const 30000))";
    let maps = format!(
        "(local.set $at (call $take {bytes}))
         (memory.fill (local.get $at) (i32.const 128) {bytes})
         (call $pair (i32.const 268) (local.get $at) {bytes})"
    );
    let filter = engine().load(&spec("flood"), &deciding(&decide(4, 30_000), &maps)).unwrap();
    let records = batch(vec!["a"; 100]);
    filter.restore_held((0..100).map(|at| (at as u64 + 1, Bytes::copy_from_slice(records.get(at)))).collect());
    let said = tick(&filter);
    assert!(said.batch.len() <= MAX_ADDED_RECORDS, "{}", said.batch.len());
    assert_eq!(said.holding.released.len(), 100, "each is stored or set aside");
}

#[test]
fn a_swap_hands_over_held_records_and_the_old_version_refuses_calls() {
    let engine = engine();
    let (old, new) = (holding(&engine), holding(&engine));
    let first = run(&[&old], batch(["a"]));
    old.hand_over(&new).unwrap();
    let second = run(&[&new], batch(["b"]));
    assert!(second.holding.released.is_empty());
    let refused = run(&[&old], batch(["c"]));
    assert!(refused.failed[0].reason.contains("another version has taken over"), "{}", refused.failed[0].reason);
    let said = tick(&new);
    assert_eq!((count(&said), said.holding.released), (2, [ids(&first), ids(&second)].concat()));
}

#[test]
fn a_removed_filter_releases_all_held_records() {
    let engine = engine();
    let (filter, rest) = (holding(&engine), chain(&[]));
    // The last tick traps, so the held records continue unchanged.
    let records = batch(["a", "b"]);
    let broken = FilterSpec { timeout: Duration::from_nanos(1), ..spec("holds") };
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/released/2.0.0/holding.wat");
    let slow = engine.load(&broken, &wat::parse_file(text).unwrap()).unwrap();
    let given = || (0..2).map(|at| (at as u64 + 1, Bytes::copy_from_slice(records.get(at)))).collect();
    slow.restore_held(given());
    filter.restore_held(given());
    let mut worker = Worker::new(engine);
    let well = worker.retire(&filter, &rest);
    assert_eq!((count(&well), well.holding.released), (2, vec![1, 2]));
    let ill = worker.retire(&slow, &rest);
    let kept = ill.batch.len() + ill.without_sender.len();
    assert!(kept >= 2 || count(&ill) == 2, "{ill:?}");
    let mut released = ill.holding.released;
    released.sort_unstable();
    assert_eq!(released, [1, 2]);
    assert!(run(&[&filter], batch(["c"])).failed[0].reason.contains("another version"));
}

#[test]
fn a_chain_without_holding_filters_holds_nothing() {
    let engine = engine();
    let outcome = run(&[&load(&engine, hostile::KEEP)], batch(["a"]));
    assert!(outcome.holding.is_empty() && outcome.without_sender.is_empty());
}
