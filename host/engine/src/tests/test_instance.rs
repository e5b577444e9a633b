//! Test instances: single calls, a clock that can be set, and the filter's counters and log lines.

use std::time::Duration;

use weir_record::write;

use super::hostile::{self, COUNT, EXPAND, KEEP, MARKER, TRAP};
use super::*;
use crate::{Clock, Compiled, FailureKind, PASS_THROUGH, Processed, TestInstance};

fn compiled(guest: Guest) -> Arc<Compiled> {
    engine().compile(guest.0, &hostile::module(guest)).unwrap()
}

fn trial(compiled: &Arc<Compiled>) -> TestInstance {
    TestInstance::start(compiled, &spec("f"), Clock::Set(TIME_NS)).unwrap()
}

fn origins(made: &Processed<'_>) -> Option<Vec<u32>> {
    match made {
        Processed::Untouched => None,
        Processed::Rewritten { origins, .. } => Some(origins.to_vec()),
    }
}

#[test]
fn a_call_returns_the_outcome_of_each_record() {
    let mut expanding = trial(&compiled(EXPAND));
    let input = batch(["a", MARKER, "b"]);
    assert_eq!(origins(&expanding.call(&input, 0..3).unwrap()), Some(vec![0, 1, 1, 2]));
    assert_eq!(origins(&expanding.call(&input, 1..2).unwrap()), Some(vec![1, 1]));
    assert_eq!(origins(&trial(&compiled(KEEP)).call(&input, 0..3).unwrap()), None);
}

#[test]
fn a_failed_call_returns_its_kind_and_the_next_starts_a_new_instance() {
    let compiled = compiled(TRAP);
    let mut trial = trial(&compiled);
    let input = batch(["a", MARKER]);
    let failure = trial.call(&input, 0..2).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Trap);
    assert_eq!(trial.memory_bytes(), 0);
    assert!(trial.call(&input, 0..1).is_ok());
    assert!(trial.memory_bytes() >= 2 << 16);
}

#[test]
fn a_stateful_filter_ticks() {
    let mut trial = trial(&compiled(COUNT));
    trial.call(&batch(["a", "b"]), 0..2).unwrap();
    let said = trial.tick(false).unwrap();
    assert_eq!(said.record(0).get("count").and_then(|count| count.as_i64()), Some(2));
}

/// Keeps a record if the number in its store is one; counts and logs it; returns the time in nanoseconds.
const WATCHED: Guest = (
    "watched",
    r#"
    (data (i32.const 512) "seen")
    (func $verdict (param i32 i32)
      (call $counter (i32.const 512) (i32.const 4) (i64.const 2))
      (call $log (i32.const 3) (i32.const 512) (i32.const 4))
      (call $decide (i64.ne
        (call $kv_add (i32.const 512) (i32.const 4) (i64.const 1) (i64.const 60000))
        (i64.const 1))))"#,
);

#[test]
fn a_test_instance_records_counters_and_log_lines_and_sets_the_clock() {
    let imports = r#"(module
        (import "weir:filter/host@1.0.0" "counter" (func $counter (param i32 i32 i64)))
        (import "weir:filter/host@1.0.0" "log" (func $log (param i32 i32 i32)))
        (import "weir:filter/host@1.0.0" "kv-add" (func $kv_add (param i32 i32 i64 i64) (result i64)))"#;
    let module = hostile::assemble(&hostile::text(WATCHED).replacen("(module", imports, 1));
    let compiled = engine().compile("watched", &module).unwrap();
    let mut trial = trial(&compiled);
    let input = batch(["a"]);
    assert_eq!(origins(&trial.call(&input, 0..1).unwrap()), None, "the first is kept");
    assert_eq!(origins(&trial.call(&input, 0..1).unwrap()), Some(vec![]), "the second is not");
    trial.advance(Duration::from_secs(60));
    assert_eq!(origins(&trial.call(&input, 0..1).unwrap()), None, "a minute later it is forgotten");
    assert_eq!(trial.counters().into_iter().collect::<Vec<_>>(), [("seen".to_owned(), 6)]);
    assert_eq!(trial.logged(), vec![(Level::Warning, "seen".to_owned()); 3]);
    assert_eq!(self::trial(&compiled).counters().len(), 0, "another trial begins anew");
}

#[test]
fn the_pass_through_filter_accepts_every_type_of_value() {
    let mut input = Batch::new();
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: TIME_NS,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut record = Vec::new();
    write::map_header(&mut record, 3);
    write::str(&mut record, "list");
    write::array_header(&mut record, 16);
    write::nil(&mut record);
    write::bool(&mut record, true);
    for number in [1, -1, 200, -200, 70_000, i64::MAX] {
        write::int(&mut record, number);
    }
    write::uint(&mut record, u64::MAX);
    write::float(&mut record, 1.5);
    for length in [40, 300, 70_000] {
        write::str(&mut record, &"x".repeat(length));
    }
    for length in [3, 300, 70_000] {
        write::bin(&mut record, &vec![7; length]);
    }
    write::str(&mut record, "extensions");
    write::array_header(&mut record, 8);
    for length in [1, 2, 4, 8, 16, 3, 300, 70_000] {
        write::ext(&mut record, 5, &vec![7; length]);
    }
    write::str(&mut record, "wide");
    write::map_header(&mut record, 20);
    for number in 0..20 {
        write::str(&mut record, &format!("k{number}"));
        record.extend_from_slice(&[0xca, 0, 0, 0, 0]);
    }
    let twice = [&record[..], &record].concat();
    assert_eq!(weir_record::read_msgpack(&twice, &defaults, &mut input), Ok(vec![]));
    let compiled = engine().compile("pass", PASS_THROUGH).unwrap();
    let mut trial = trial(&compiled);
    assert_eq!(origins(&trial.call(&input, 0..2).unwrap()), None);
    assert_eq!(trial.description().name, "pass");
}
