//! Typed filters that expand records or keep state.

use super::hostile::{self, TYPED_COUNT};
use super::*;
use crate::World;

fn read(json: &str) -> Batch {
    let mut batch = Batch::new();
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: TIME_NS,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    assert_eq!(weir_record::read_json(json.as_bytes(), &defaults, &mut batch), Ok(vec![]));
    batch
}

fn json(batch: &Batch, index: usize) -> String {
    let mut out = Vec::new();
    weir_record::write_json(batch.record(index), &mut out);
    String::from_utf8(out).unwrap()
}

fn count(outcome: &Outcome) -> i64 {
    assert_eq!(outcome.batch.len(), 1, "one record from the tick");
    let record = outcome.batch.record(0);
    assert_eq!((record.message(), record.source(), record.timestamp()), ("count", "guest", 7));
    record.get("count").and_then(|value| value.as_i64()).unwrap()
}

#[test]
fn expanded_records_keep_their_position_and_fields() {
    let filter = load(&engine(), TYPED_COUNT);
    assert_eq!(filter.world(), World::StatefulFilter);
    let outcome = run(&[&filter], batch(["a", "b"]));
    assert_eq!(outcome.failed, []);
    assert_eq!(outcome.batch, batch(["a", "a", "b", "b"]));
}

#[test]
fn expanding_keeps_empty_lists_and_maps() {
    let record = r#"{"message":"m","tags":[],"a":{"b":{},"c":[1,{},[[]],2]},"deep":{"er":{"est":[]}},"context":{}}"#;
    let outcome = run(&[&load(&engine(), TYPED_COUNT)], read(record));
    assert_eq!(outcome.failed, []);
    for index in 0..2 {
        let made = json(&outcome.batch, index);
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        let sent: serde_json::Value = serde_json::from_str(record).unwrap();
        for (key, value) in sent.as_object().unwrap() {
            assert_eq!(made[key], *value, "{key} in {made}");
        }
        assert_eq!(made.as_object().unwrap().len(), 5 + 3, "{made}");
    }
}

/// The guest, declaring that it reads only `context.n`.
fn reading_one_path() -> Vec<u8> {
    let reads = "(data (i32.const 560) \"context.n\") (data (i32.const 576) \"\\30\\02\\00\\00\\09\\00\\00\\00\")";
    let text = hostile::text(TYPED_COUNT)
        .replacen(
            "(call $pair (i32.const 152) (i32.const 0) (i32.const 0))",
            "(call $pair (i32.const 152) (i32.const 576) (i32.const 1))",
            1,
        )
        .replacen("(global $count", &format!("{reads} (global $count"), 1);
    hostile::assemble(&text)
}

#[test]
fn expanded_records_contain_only_what_the_filter_reads() {
    let filter = engine().load(&spec("one"), &reading_one_path()).unwrap();
    assert_eq!(filter.description().reads, ["context.n"]);
    let record = r#"{"message":"m","tags":[],"context":{"n":5,"user":"u","empty":{}},"other":1}"#;
    let outcome = run(&[&filter], read(record));
    assert_eq!(outcome.failed, []);
    let expected = read(r#"{"message":"m","context":{"n":5}}"#);
    assert_eq!(json(&outcome.batch, 0), json(&expected, 0));
}

#[test]
fn a_stateful_typed_filter_ticks_and_hands_over_its_state() {
    let engine = engine();
    let (old, new) = (load(&engine, TYPED_COUNT), load(&engine, TYPED_COUNT));
    let mut worker = Worker::new(engine);
    worker.run(&chain(&[&old]), batch(["a", "b"]));
    assert_eq!(count(&worker.tick(&chain(&[&old]), false)), 2);
    old.hand_over(&new).unwrap();
    worker.run(&chain(&[&new]), batch(["c"]));
    assert_eq!(count(&worker.tick(&chain(&[&new]), true)), 3);
}
