//! Stateful filters: one instance for all workers, ticks, and what survives a failure or a swap.

use super::hostile::{self, COUNT, DROP, MARKER};
use super::*;

fn count(outcome: &Outcome) -> i64 {
    assert_eq!(outcome.batch.len(), 1, "one record from the tick");
    let record = outcome.batch.record(0);
    assert_eq!(record.message(), "count");
    record.get("count").and_then(|value| value.as_i64()).unwrap()
}

#[test]
fn workers_share_the_instance_of_a_stateful_filter_and_a_tick_emits_its_records() {
    let engine = engine();
    let (filter, drop) = (load(&engine, COUNT), load(&engine, DROP));
    assert_eq!(filter.world(), crate::World::StatefulPackedFilter);
    let chain = chain(&[&filter, &drop]);
    let (mut one, mut two) = (Worker::new(engine.clone()), Worker::new(engine));
    one.run(&chain, batch(["a", "b"]));
    two.run(&chain, batch(["c"]));
    assert_eq!(count(&one.tick(&chain, false)), 3);
}

#[test]
fn after_a_failure_the_state_is_that_of_the_last_tick() {
    let engine = engine();
    let filter = load(&engine, COUNT);
    let chain = chain(&[&filter]);
    let mut worker = Worker::new(engine);
    worker.run(&chain, batch(["a", "b"]));
    worker.tick(&chain, false);
    let outcome = worker.run(&chain, batch([MARKER]));
    assert_eq!(outcome.failed.len(), 1);
    worker.run(&chain, batch(["c"]));
    assert_eq!(count(&worker.tick(&chain, true)), 3);
}

#[test]
fn a_new_version_continues_where_the_old_one_stopped_and_the_old_one_refuses_work() {
    let engine = engine();
    let (old, new, newest) = (load(&engine, COUNT), load(&engine, COUNT), load(&engine, COUNT));
    let mut worker = Worker::new(engine);
    worker.run(&chain(&[&old]), batch(["a", "b"]));
    old.hand_over(&new).unwrap();
    let late = worker.run(&chain(&[&old]), batch(["late"]));
    assert!(late.failed[0].reason.contains("another version has taken over"), "{}", late.failed[0].reason);
    worker.run(&chain(&[&new]), batch(["c"]));
    assert_eq!(count(&worker.tick(&chain(&[&new]), false)), 3);
    new.hand_over(&newest).unwrap();
    assert_eq!(count(&worker.tick(&chain(&[&newest]), false)), 3);
}

#[test]
fn a_version_that_refuses_the_state_is_not_used_and_the_old_one_continues() {
    let engine = engine();
    let old = load(&engine, COUNT);
    let refusing = hostile::text(COUNT).replacen("(global.set $count (i32.load (local.get $at)))", "(unreachable)", 1);
    let new = engine.load(&spec("count"), &hostile::assemble(&refusing)).unwrap();
    let mut worker = Worker::new(engine);
    worker.run(&chain(&[&old]), batch(["a"]));
    let error = old.hand_over(&new).unwrap_err().to_string();
    assert!(error.contains("take over the state of version 1.0.0"), "{error}");
    assert_one_line(&error);
    worker.run(&chain(&[&old]), batch(["b"]));
    assert_eq!(count(&worker.tick(&chain(&[&old]), false)), 2);
}

/// The counting guest, except that it allocates a page of memory for every 64th record and never uses it, with a part
/// of its text replaced.
fn leaking_count(from: &str, to: &str) -> Vec<u8> {
    let counts = "(global.set $count (i32.add (global.get $count) (i32.const 1)))";
    let leaks = "(if (i32.eqz (i32.and (global.get $count) (i32.const 63))) (then (drop (memory.grow (i32.const 1)))))";
    let text = hostile::text(COUNT).replacen(counts, &format!("{counts} {leaks}"), 1).replacen(from, to, 1);
    assert!(text.contains(leaks) && text.contains(to));
    hostile::assemble(&text)
}

#[test]
fn a_stateful_filter_that_leaks_memory_is_replaced_and_keeps_its_state() {
    let engine = engine();
    let leaking = FilterSpec { memory_bytes: 1 << 20, ..spec("count") };
    let filter = engine.load(&leaking, &leaking_count("", "")).unwrap();
    let mut worker = Worker::new(engine);
    let mut most = 0;
    for _ in 0..100 {
        let outcome = worker.run(&chain(&[&filter]), batch(vec!["a"; 640]));
        assert_eq!((outcome.batch.len(), outcome.failed.len()), (640, 0));
        most = most.max(filter.usage().memory_bytes);
    }
    // A batch leaks ten pages of 64 KiB, so it was replaced after each.
    assert!(most <= 1 << 19, "{most} bytes");
    assert_eq!(count(&worker.tick(&chain(&[&filter]), false)), 64_000);
}

#[test]
fn a_leaking_filter_that_can_not_save_its_state_keeps_its_instance() {
    let takes = "(global.set $count (i32.load (local.get $at)))";
    let saves = "(i32.store (i32.const 640) (global.get $count))";
    for broken in [takes, saves] {
        let engine = engine();
        let leaking = FilterSpec { memory_bytes: 1 << 20, ..spec("count") };
        let filter = engine.load(&leaking, &leaking_count(broken, "(unreachable)")).unwrap();
        let mut worker = Worker::new(engine);
        worker.run(&chain(&[&filter]), batch(vec!["a"; 640]));
        let counted = count(&worker.tick(&chain(&[&filter]), false));
        // A guest that trapped while saving is not trusted any more and starts anew.
        assert_eq!(counted, if broken == takes { 640 } else { 0 });
    }
}

#[test]
fn a_filter_whose_save_hangs_is_not_asked_to_save_at_each_tick() {
    let engine = engine();
    let saves = "(i32.store (i32.const 640) (global.get $count))";
    let endless = hostile::text(COUNT).replacen(saves, "(loop $ever (br $ever))", 1);
    let spec = FilterSpec { timeout: Duration::from_millis(50), ..spec("count") };
    let filter = engine.load(&spec, &hostile::assemble(&endless)).unwrap();
    let chain = chain(&[&filter]);
    let mut worker = Worker::new(engine);
    let mut counted = Vec::new();
    for _ in 0..4 {
        worker.run(&chain, batch(["a"]));
        counted.push(count(&worker.tick(&chain, false)));
    }
    // The first tick costs it its instance. Later ones don't, because saving is paused.
    assert_eq!(counted, [1, 1, 2, 3]);
}

#[test]
fn a_failed_tick_is_reported() {
    let engine = engine();
    let text = hostile::text(COUNT).replacen("(call $store_big_endian (i32.const 534)", "(unreachable) $0", 1);
    let text = text.replacen("$0 (global.get $count))", "", 1);
    let filter = engine.load(&spec("count"), &hostile::assemble(&text)).unwrap();
    let outcome = Worker::new(engine).tick(&chain(&[&filter]), false);
    assert!(outcome.batch.is_empty());
    assert!(outcome.tick_failed.is_some_and(|reason| reason.starts_with("`tick` failed")));
}
