//! The filter as the operator sees it: options, records and the clock in,
//! outcomes and counts out.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use weir_guest::testing::{Outcome, START_NS};
use weir_guest::{Edit, Emitter, Encode, HoldingFilter, HoldingVerdict, Record, Value, encode};

use crate::Dedup;
use crate::limits::{MAX_CARRIED_BYTES, MAX_HELD_BYTES, MAX_KEY_BYTES};

type Bench = weir_guest::testing::HoldingBench<Dedup>;

const SECOND: Duration = Duration::from_secs(1);

fn said(message: &str) -> Json {
    json!({ "source": "shop", "level": "ERROR", "message": message })
}

fn at(message: &str, second: i64) -> Json {
    json!({ "message": message, "timestamp": START_NS + second * 1_000_000_000 })
}

fn ended(outcome: &Outcome) -> bool {
    outcome.clone().into_records().is_empty()
}

/// How many records each count record stands for, by message.
fn counts(records: &[Json]) -> Vec<(String, u64)> {
    let count = |record: &Json| {
        let message = record["message"].as_str().expect("a count has a message");
        let repeated = record["repeated"].as_u64().expect("a count has a number");
        (message.to_owned(), repeated)
    };
    records.iter().map(count).collect()
}

#[test]
fn the_first_record_goes_on_and_equal_ones_are_dropped() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    let outcomes = bench.run([said("a"), said("a"), said("b"), said("a")]);
    let kept: Vec<bool> = outcomes.iter().map(Outcome::is_kept).collect();
    assert_eq!(kept, [true, false, true, false]);
    assert!(ended(&outcomes[1]) && ended(&outcomes[3]));
}

#[test]
fn a_count_record_is_emitted_when_the_window_closes() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    let mut first = said("naïve ☃");
    first["routes"] = json!(["alerts"]);
    bench.run([first, said("naïve ☃"), said("naïve ☃"), said("alone")]);
    bench.advance(9 * SECOND);
    assert_eq!(bench.tick(false), Vec::<Json>::new());
    bench.advance(SECOND);
    assert_eq!(
        bench.tick(false),
        [json!({
            "timestamp": START_NS,
            "level": "ERROR",
            "source": "shop",
            "message": "naïve ☃",
            "routes": ["alerts"],
            "repeated": 2,
            "first_time": "2026-01-01T00:00:00.000000000Z",
            "last_time": "2026-01-01T00:00:00.000000000Z",
        })]
    );
    assert_eq!(bench.tick(false), Vec::<Json>::new(), "a count is emitted once");
    assert!(bench.run_one(said("naïve ☃")).is_kept(), "a new window opens");
}

#[test]
fn first_and_last_time_are_those_of_the_records() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run([at("a", 1), at("a", 7), at("a", 3)]);
    let counts = bench.tick(true);
    assert_eq!(counts[0]["first_time"], json!("2026-01-01T00:00:01.000000000Z"));
    assert_eq!(counts[0]["last_time"], json!("2026-01-01T00:00:07.000000000Z"));
    assert_eq!(counts[0]["timestamp"], json!(START_NS + 7_000_000_000));
}

#[test]
fn without_a_tick_the_next_record_after_the_window_emits_the_count() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run([said("a"), said("a"), said("b")]);
    bench.advance(10 * SECOND);
    let records = bench.run_one(said("a")).into_records();
    assert_eq!(counts(&records[..1]), [("a".to_owned(), 1)]);
    assert_eq!(records[1]["message"], json!("a"));
    assert_eq!(records[1].get("repeated"), None);
    assert_eq!(records.len(), 2);
}

#[test]
fn closing_emits_the_counts_of_all_open_windows() {
    let mut bench = Bench::with_options(json!({ "window": 3600 }));
    bench.run(["a", "b", "a", "c", "b", "a"].map(said));
    assert_eq!(counts(&bench.tick(true)), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert_eq!(bench.tick(true), Vec::<Json>::new());
}

#[test]
fn the_key_consists_of_the_configured_fields() {
    let mut bench = Bench::with_options(json!({ "fields": ["context.user.id", "tags"] }));
    let outcomes = bench.run([
        json!({ "message": "1", "context": { "user": { "id": 7 } }, "tags": ["a", { "b": null }] }),
        json!({ "message": "2", "context": { "user": { "id": 7 } }, "tags": ["a", { "b": null }] }),
        json!({ "message": "3", "context": { "user": { "id": "7" } }, "tags": ["a", { "b": null }] }),
        json!({ "message": "4", "context": { "user": { "id": 7 } }, "tags": ["a"] }),
        json!({ "message": "5" }),
        json!({ "message": "6", "context": { "user": { "id": null } }, "tags": null }),
    ]);
    let kept: Vec<bool> = outcomes.iter().map(Outcome::is_kept).collect();
    assert_eq!(kept, [true, false, true, true, true, false]);
    let counts = bench.tick(true);
    assert_eq!(counts[0]["message"], json!("1"));
    assert_eq!(counts[0]["context"], json!({ "user": { "id": 7 } }));
    assert_eq!(counts[0]["tags"], json!(["a", { "b": null }]));
    assert_eq!(counts[1]["message"], json!("5"));
    assert_eq!(counts[1].get("context"), None);
}

#[test]
fn equal_values_match_in_any_encoding() {
    let mut narrow = Vec::new();
    encode::map_header(&mut narrow, 1);
    encode::str(&mut narrow, "n");
    let mut wide = narrow.clone();
    narrow.push(5);
    wide.extend_from_slice(&[0xd3, 0, 0, 0, 0, 0, 0, 0, 5]);
    let mut odd = Vec::new();
    encode::map_header(&mut odd, 1);
    encode::str(&mut odd, "n");
    Value::Ext(3, &[1, 2, 3]).encode(&mut odd);
    let mut bench = Bench::with_options(json!({ "fields": ["n"] }));
    let mut goes_on = |bytes: &[u8]| {
        let (record, _) = Record::read(bytes).expect("it is a record");
        let verdict = bench.filter().process(&record, 0, &mut Edit::new(), &mut Emitter::default());
        matches!(verdict, HoldingVerdict::Keep)
    };
    let records = [narrow, wide, odd.clone(), vec![0x80], odd, vec![0x80]];
    assert_eq!(records.map(|record| goes_on(&record)), [true, false, true, true, false, false]);
}

#[test]
fn beyond_max_keys_the_oldest_window_closes_early_and_nothing_is_lost() {
    let mut bench = Bench::with_options(json!({ "max_keys": 2 }));
    bench.run(["a", "a", "b"].map(said));
    let records = bench.run_one(said("c")).into_records();
    assert_eq!(counts(&records[..1]), [("a".to_owned(), 1)]);
    assert_eq!(records[1]["message"], json!("c"));
    assert!(bench.held().is_empty());
    assert_eq!(bench.counter("closed_early"), 1);
    assert!(bench.run_one(said("d")).is_kept(), "nothing was counted for b");
    assert!(bench.run_one(said("a")).is_kept(), "a begins again");
    assert_eq!(bench.counter("closed_early"), 3);
}

#[test]
fn ten_thousand_keys_are_counted_separately() {
    let mut bench = Bench::with_options(json!({}));
    let all = || (0..10_000).map(|n| said(&format!("message {n}")));
    assert!(bench.run(all()).iter().all(Outcome::is_kept));
    assert!(bench.run(all()).iter().all(ended));
    assert_eq!(bench.held().len(), 10_000);
    assert_eq!(bench.crash(), Vec::<Json>::new());
    assert_eq!(bench.counter("closed_early"), 0);
    bench.advance(30 * SECOND);
    let emitted = bench.tick(false);
    let expected: Vec<(String, u64)> = (0..10_000).map(|n| (format!("message {n}"), 1)).collect();
    assert_eq!(counts(&emitted), expected);
    assert!(bench.held().is_empty());
}

#[test]
fn long_keys_are_not_counted_and_long_messages_are_cut() {
    let mut bench = Bench::with_options(json!({}));
    let long = "é".repeat(MAX_KEY_BYTES);
    assert!(bench.run([said(&long), said(&long)]).iter().all(Outcome::is_kept));
    assert_eq!(bench.counter("too_long"), 2);

    let mut bench = Bench::with_options(json!({ "fields": ["source"] }));
    bench.run([said(&long), said(&long)]);
    let counts = bench.tick(true);
    let message = counts[0]["message"].as_str().expect("a count has a message");
    assert!(long.starts_with(message) && message.len() <= MAX_CARRIED_BYTES);
    assert!(message.len() > MAX_CARRIED_BYTES / 2);
}

#[test]
fn the_total_size_of_windows_is_limited() {
    let mut bench = Bench::with_options(json!({ "window": 3600 }));
    let body = "x".repeat(MAX_KEY_BYTES - 1024);
    for n in 0..2 * MAX_HELD_BYTES / MAX_KEY_BYTES {
        let message = format!("{n} {body}");
        bench.run([said(&message), said(&message)]);
    }
    assert!(bench.counter("closed_early") > 0);
    assert!(bench.filter().save().len() <= MAX_HELD_BYTES);
    assert!(bench.held_bytes() <= MAX_HELD_BYTES);
}

#[test]
fn summaries_of_short_keys_fit_the_reserved_size() {
    let fields: Vec<String> = (0..12).map(|n| format!("context.field_{n}")).collect();
    let mut bench = Bench::with_options(json!({ "fields": fields }));
    let record = |n| json!({ "source": "", "context": { "field_0": n } });
    bench.run((0..1000).flat_map(|n| [record(n), record(n)]));
    assert_eq!(bench.held().len(), 1000);
    assert!(bench.held_bytes() <= bench.filter().windows.held_bytes());
}

#[test]
fn the_next_version_takes_over_windows_and_counts() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run(["a", "a", "b"].map(said));
    bench.swap(json!({ "window": 10 })).expect("the state is of this version");
    assert!(bench.run(["a", "b"].map(said)).iter().all(ended));
    bench.advance(10 * SECOND);
    assert_eq!(counts(&bench.tick(false)), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert!(bench.held().is_empty());
}

#[test]
fn a_version_with_other_fields_emits_the_old_counts() {
    let mut bench = Bench::with_options(json!({ "fields": ["message", "context.user"] }));
    let record = json!({ "message": "a", "context": { "user": "u-7" } });
    bench.run([record.clone(), record.clone()]);
    bench.swap(json!({ "fields": ["source"] })).expect("the state is of this version");
    assert!(bench.run_one(record).is_kept());
    assert_eq!(bench.held().len(), 1);
    bench.swap(json!({ "fields": ["source"] })).expect("counts not yet emitted are handed on");
    let counts = bench.tick(false);
    assert_eq!(counts[0]["context"], json!({ "user": "u-7" }));
    assert_eq!(counts[0]["repeated"], json!(1));
    assert!(bench.held().is_empty());
}

#[test]
fn a_version_with_fewer_keys_emits_the_excess_counts() {
    let mut bench = Bench::with_options(json!({}));
    bench.run(["a", "a", "b", "b"].map(said));
    bench.swap(json!({ "max_keys": 1 })).expect("the state is of this version");
    assert_eq!(counts(&bench.tick(false)), [("a".to_owned(), 1)]);
    assert_eq!(counts(&bench.tick(true)), [("b".to_owned(), 1)]);
}

#[test]
fn a_batch_replaces_the_held_summary_once() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run([at("a", 1), at("a", 3), at("a", 2)]);
    assert_eq!(counts(&bench.held()), [("a".to_owned(), 2)]);
    bench.run([at("a", 5), at("b", 1)]);
    let held = bench.held();
    assert_eq!(counts(&held), [("a".to_owned(), 3)]);
    assert_eq!(held[0]["last_time"], json!("2026-01-01T00:00:05.000000000Z"), "it is a count already");
    bench.advance(10 * SECOND);
    bench.tick(false);
    assert!(bench.held().is_empty());
}

#[test]
fn a_crash_neither_loses_counts_nor_extends_windows() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    let mut first = at("a", 1);
    first["routes"] = json!(["alerts"]);
    bench.run([first, at("a", 4)]);
    bench.advance(SECOND);
    bench.run([at("b", 1), at("b", 2), at("c", 1)]);
    bench.run([at("a", 3)]);
    bench.advance(4 * SECOND);
    for _ in 0..2 {
        assert_eq!(bench.crash(), Vec::<Json>::new());
        assert_eq!(counts(&bench.held()), [("b".to_owned(), 1), ("a".to_owned(), 2)]);
    }
    assert!(ended(&bench.run_one(at("a", 9))));
    assert!(bench.run_one(at("c", 2)).is_kept(), "nothing was counted for c, so its window is forgotten");
    bench.advance(5 * SECOND);
    let emitted = bench.tick(false);
    assert_eq!(counts(&emitted), [("a".to_owned(), 3)]);
    assert_eq!(
        [&emitted[0]["first_time"], &emitted[0]["last_time"], &emitted[0]["routes"]],
        [&json!("2026-01-01T00:00:01.000000000Z"), &json!("2026-01-01T00:00:09.000000000Z"), &json!(["alerts"])]
    );
    assert_eq!(emitted[0].get("weir_dedup"), None);
    bench.advance(SECOND);
    assert_eq!(counts(&bench.tick(false)), [("b".to_owned(), 1)]);
    assert!(bench.held().is_empty());
}

#[test]
fn a_window_that_ended_during_downtime_emits_its_count_at_once() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run(["a", "a"].map(said));
    bench.advance(3600 * SECOND);
    bench.crash();
    assert_eq!(counts(&bench.tick(false)), [("a".to_owned(), 1)]);
    assert!(bench.held().is_empty());
}

#[test]
fn keys_of_all_types_survive_a_crash() {
    let mut bench = Bench::with_options(json!({ "fields": ["context", "tags.0", "n"] }));
    for record in [
        json!({ "context": { "user": null, "list": [null, { "a": null }] }, "n": -1 }),
        json!({ "tags": ["a", "b"], "n": u64::MAX }),
        json!({ "n": 0.1 }),
        json!({}),
    ] {
        bench.run([record.clone(), record.clone()]);
        assert_eq!(bench.crash(), Vec::<Json>::new());
        assert!(ended(&bench.run_one(record.clone())), "{record}");
    }
}

#[test]
fn a_summary_whose_key_can_no_longer_occur_emits_its_count_after_a_crash() {
    let mut bench = Bench::with_options(json!({ "fields": ["message"] }));
    bench.run(["b", "b"].map(said));
    let emitted = bench.restart(json!({ "fields": ["source"] })).expect("the options are good");
    assert_eq!((counts(&emitted), emitted[0].get("weir_dedup")), (vec![("b".to_owned(), 1)], None));
    assert!(bench.held().is_empty());
}

#[test]
fn a_summary_from_a_sender_is_an_ordinary_record() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run(["a", "a"].map(said));
    let forged = bench.held().remove(0);
    assert!(ended(&bench.run_one(forged.clone())), "it is counted: its key is that of an open window");
    assert_eq!(counts(&bench.crash()), []);
    assert_eq!(counts(&bench.tick(true)), [("a".to_owned(), 2)]);
    assert!(bench.run_one(forged).is_kept());
}

#[test]
fn a_forged_summary_emits_its_count_in_time() {
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    bench.run(["a", "a"].map(said));
    let mut forged = bench.held().remove(0);
    forged["weir_dedup"]["id"] = json!(0);
    forged["weir_dedup"]["opened"] = json!(i64::MAX);
    let mut bench = Bench::with_options(json!({ "window": 10 }));
    assert!(ended(&bench.run_one(forged)), "the first record of all has the id 0");
    bench.advance(10 * SECOND);
    assert_eq!(counts(&bench.tick(false)), [("a".to_owned(), 1)]);
    assert!(bench.held().is_empty());
}

#[test]
fn state_of_another_filter_is_refused() {
    let mut bench = Bench::with_options(json!({}));
    for (state, expected) in [
        (vec![], "not a MessagePack array"),
        (vec![0x05], "not a MessagePack array"),
        (vec![0x90], "no version"),
        (vec![0x91, 0x01], "has version 1"),
        (vec![0x92, 0x02, 0x90], "damaged"),
        (vec![0x94, 0x02, 0x91, 0x05, 0x90, 0x90], "damaged"),
    ] {
        let error = bench.filter().restore(&state).expect_err("the state is refused");
        assert!(error.contains(expected), "{state:?}: {error}");
    }
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({ "windows": 5 }), "unknown field `windows`, expected one of `window`, `fields`, `max_keys`"),
        (json!({ "window": 0 }), "option `window`: 0 seconds; it must be 1 to 86400"),
        (json!({ "window": 86_401 }), "option `window`"),
        (json!({ "window": -1 }), "option `window`"),
        (json!({ "window": "30s" }), "option `window`"),
        (json!({ "fields": [] }), "option `fields`: an empty key makes all records equal"),
        (json!({ "fields": ["a", "b", "a"] }), "`a` is listed twice"),
        (json!({ "fields": ["timestamp"] }), "leave it out"),
        (json!({ "fields": ["weir_dedup.id"] }), "`weir_dedup.id` is reserved for this filter"),
        (json!({ "fields": [1] }), "option `fields[0]`"),
        (json!({ "fields": (0..33).map(|n| n.to_string()).collect::<Vec<_>>() }), "33 fields"),
        (json!({ "max_keys": 0 }), "option `max_keys`: 0; it must be 1 to 20000"),
        (json!({ "max_keys": 20_001 }), "option `max_keys`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_goes_on_or_is_counted(
        steps in prop::collection::vec((0..6_u8, 0..4_u64, 0..8_u8), 0..60),
        max_keys in 1..5_usize,
    ) {
        let mut bench = Bench::with_options(json!({ "window": 5, "max_keys": max_keys }));
        let (mut passed, mut counted) = (0, 0);
        let mut add = |records: &[Json]| {
            for record in records {
                match record.get("repeated").and_then(Json::as_u64) {
                    Some(repeated) => counted += repeated,
                    None => passed += 1,
                }
            }
        };
        for (message, seconds, what) in &steps {
            bench.advance(Duration::from_secs(*seconds));
            match what {
                0 => add(&bench.crash()),
                1 => bench.swap(json!({ "window": 5, "max_keys": max_keys })).expect("it is of this version"),
                _ => {}
            }
            add(&bench.run_one(said(&message.to_string())).into_records());
            if seconds % 2 == 1 {
                add(&bench.tick(false));
            }
        }
        add(&bench.tick(true));
        prop_assert_eq!(passed + counted, steps.len() as u64);
        prop_assert!(bench.held().is_empty());
    }

    #[test]
    fn a_crash_at_any_point_does_not_change_the_counts(
        batches in prop::collection::vec(prop::collection::vec(0..4_u8, 1..6), 0..12),
    ) {
        let run = |crash_at: Option<usize>| {
            let mut bench = Bench::with_options(json!({ "window": 10 }));
            let mut records = Vec::new();
            for (index, batch) in batches.iter().enumerate() {
                bench.advance(SECOND);
                if crash_at == Some(index) {
                    records.extend(bench.crash());
                }
                // Each twice, as a window in which nothing was counted is forgotten.
                let batch = batch.iter().flat_map(|message| [said(&message.to_string()), said(&message.to_string())]);
                records.extend(bench.run(batch).into_iter().flat_map(Outcome::into_records));
            }
            records.extend(bench.tick(true));
            // Windows that opened at the same time close in any order.
            records.sort_by_key(Json::to_string);
            records
        };
        let expected = run(None);
        for crash_at in 0..batches.len() {
            prop_assert_eq!(run(Some(crash_at)), &expected[..], "with a crash before batch {}", crash_at);
        }
    }

    #[test]
    fn no_state_causes_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bench = Bench::with_options(json!({}));
        let list = [&[0x94, 0x02][..], &bytes].concat();
        for state in [bytes, list] {
            if bench.filter().restore(&state).is_ok() {
                bench.tick(true);
            }
        }
    }
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let samples = samples.map(|line| serde_json::from_str(line).expect("a sample is JSON"));
    let outcomes = bench.run(samples);
    let kept: Vec<bool> = outcomes.iter().map(Outcome::is_kept).collect();
    assert_eq!(kept, [true, false, true, false, true, true, false]);
    let expected = [("card was declined".to_owned(), 2), ("naïve ☃".to_owned(), 1)];
    assert_eq!(counts(&bench.tick(true)), expected);
}
