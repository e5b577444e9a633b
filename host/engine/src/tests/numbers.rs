//! The metrics of a filter are exact: after a known workload, every counter has the expected value, for each kind of
//! failure.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::hostile::{self, COUNT, DROP, EXPAND, HOSTILE, KEEP, MARKER, PATCH, TRAP};
use super::*;
use crate::FailureKind;
use crate::pieces::pieces;

/// The counters that change while `work` runs, by metric name, with the kind of an error appended. Zeros are left out.
fn counted(work: impl FnOnce()) -> BTreeMap<String, u64> {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, work);
    let text = recorder.handle().render();
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("weir_filter_")) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = name.split_once('{').unwrap();
        let kind = labels.split("kind=\"").nth(1).and_then(|rest| rest.split('"').next());
        let counts = name.ends_with("_total") || name.ends_with("_count");
        if counts && value != "0" {
            let name = name.trim_start_matches("weir_filter_").trim_end_matches("_total");
            let name = kind.map_or_else(|| name.to_owned(), |kind| format!("{name} {kind}"));
            assert_eq!(found.insert(name, value.parse().unwrap()), None, "{line}");
        }
    }
    found
}

fn numbers(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// Loads a guest and runs batches through it, one after another.
fn work(module: &[u8], batches: &[&[&str]]) -> BTreeMap<String, u64> {
    counted(|| {
        let engine = engine();
        let filter = engine.load(&spec("f"), module).unwrap();
        let mut worker = Worker::new(engine);
        for messages in batches {
            worker.run(&chain(&[&filter]), batch(messages.iter().copied()));
        }
    })
}

#[test]
fn what_is_kept_dropped_and_patched_is_counted_record_by_record() {
    let batches: &[&[&str]] = &[&["a", MARKER, "b"], &[MARKER]];
    let all = |out, rest: &[(&'static str, u64)]| {
        let common = [("calls", 2), ("records_in", 4), ("records_out", out), ("process_seconds_count", 2)];
        numbers(&[&common[..], rest].concat())
    };
    assert_eq!(work(&hostile::module(KEEP), batches), all(4, &[]));
    assert_eq!(work(&hostile::module(DROP), batches), all(2, &[("records_dropped", 2)]));
    assert_eq!(work(&hostile::module(PATCH), batches), all(4, &[("records_patched", 4)]));
    assert_eq!(work(&hostile::module(EXPAND), batches), all(6, &[("records_patched", 4)]));
}

#[test]
fn a_batch_beyond_one_call_counts_as_several_calls() {
    let records = batch(std::iter::repeat_n("x", 10_000));
    let calls = pieces(&records).count() as u64;
    assert!(calls > 1);
    let found = counted(|| drop(run(&[&load(&engine(), KEEP)], records)));
    assert_eq!((found["calls"], found["process_seconds_count"], found["records_in"]), (calls, calls, 10_000));
}

/// The kind under which each of [`HOSTILE`] fails.
fn kind_of(guest: &str) -> FailureKind {
    match guest {
        "loop" => FailureKind::Timeout,
        "trap" => FailureKind::Trap,
        "memory_bomb" => FailureKind::Memory,
        "recursion" => FailureKind::Stack,
        "huge_output" => FailureKind::Output,
        "bomb" => FailureKind::Budget,
        "wrong_count" | "too_many" | "bad_messagepack" | "left_over" | "bad_verdict" => FailureKind::Nonsense,
        other => panic!("which kind is `{other}`?"),
    }
}

#[test]
fn each_failure_is_counted_under_its_kind_and_so_are_the_calls_of_the_search() {
    for (guest, _) in HOSTILE {
        let error = format!("errors {}", kind_of(guest.0).as_str());
        let alone = work(&hostile::module(*guest), &[&[MARKER]]);
        let one = [("calls", 1), ("records_in", 1), ("records_failed", 1), ("process_seconds_count", 1)];
        assert_eq!(alone, numbers(&[&one[..], &[(&error[..], 1)]].concat()), "{} alone", guest.0);
        // All four fail together, then the first fails alone. The other three succeed, each alone.
        let first = work(&hostile::module(*guest), &[&[MARKER, "a", "b", "c"]]);
        let searched =
            [("calls", 5), ("records_in", 4), ("records_out", 3), ("records_failed", 1), ("process_seconds_count", 5)];
        assert_eq!(first, numbers(&[&searched[..], &[(&error[..], 2)]].concat()), "{} among four", guest.0);
    }
}

#[test]
fn returned_errors_are_counted_as_refused() {
    let refusing: Guest = (
        "refusing",
        r#"
        (data (i32.const 512) "no")
        (func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 0))
        (func (export "weir:filter/packed@1.0.0#process") (param i32 i32) (result i32)
          (i32.store8 (i32.const 256) (i32.const 1))
          (call $pair (i32.const 260) (i32.const 512) (i32.const 2))
          (i32.const 256))"#,
    );
    let expected =
        [("calls", 3), ("records_in", 2), ("records_failed", 2), ("errors refused", 3), ("process_seconds_count", 3)];
    assert_eq!(work(&hostile::module(refusing), &[&["a", "b"]]), numbers(&expected));
}

#[test]
fn forbidden_changes_are_counted_as_overstep() {
    let found = counted(|| {
        let engine = engine();
        let writes = Some(vec!["other".to_owned()]);
        let filter = engine.load(&FilterSpec { writes, ..spec("f") }, &hostile::module(PATCH)).unwrap();
        Worker::new(engine).run(&chain(&[&filter]), batch(["a", "b"]));
    });
    let expected =
        [("calls", 3), ("records_in", 2), ("records_failed", 2), ("errors overstep", 3), ("process_seconds_count", 3)];
    assert_eq!(found, numbers(&expected));
}

#[test]
fn a_failed_restart_is_counted_as_one_and_the_batch_fails_together() {
    let import = r#"(module (import "weir:filter/host@1.0.0" "kv-add"
        (func $kv_add (param i32 i32 i64 i64) (result i64)))"#;
    let configure = "(func (export \"weir:filter/lifecycle@1.0.0#configure\") (param i32 i32) (result i32)";
    // It accepts its options once and never again.
    let once = format!(
        "(data (i32.const 700) \"starts\") {configure}
          (if (i64.gt_s (call $kv_add (i32.const 700) (i32.const 6) (i64.const 1) (i64.const 600000)) (i64.const 1))
            (then (unreachable)))"
    );
    let text = hostile::text(TRAP).replacen("(module", import, 1).replacen(configure, &once, 1);
    let module = hostile::assemble(&text);
    let expected = [
        ("calls", 2),
        ("records_in", 3),
        ("records_failed", 3),
        ("errors trap", 1),
        ("errors start", 1),
        ("process_seconds_count", 2),
    ];
    assert_eq!(work(&module, &[&[MARKER], &["a", "b"]]), numbers(&expected));
}

#[test]
fn a_failed_tick_counts_only_as_an_error() {
    let text = hostile::text(COUNT).replacen(
        "(call $store_big_endian (i32.const 534) (global.get $count))",
        "(unreachable)",
        1,
    );
    let found = counted(|| {
        let engine = engine();
        let filter = engine.load(&spec("f"), &hostile::assemble(&text)).unwrap();
        let outcome = Worker::new(engine).tick(&chain(&[&filter]), false);
        assert!(outcome.batch.is_empty());
    });
    assert_eq!(found, numbers(&[("errors trap", 1)]));
}

#[test]
fn every_kind_of_failure_has_a_test() {
    let tried = [FailureKind::Refused, FailureKind::Overstep, FailureKind::Start];
    let hostile = HOSTILE.iter().map(|(guest, _)| kind_of(guest.0));
    let missing: Vec<_> = FailureKind::ALL
        .into_iter()
        .filter(|kind| !tried.contains(kind) && !hostile.clone().any(|h| h == *kind))
        .collect();
    assert_eq!(missing, []);
}
