//! The filter as the operator sees it: options in, outcomes out.

use std::time::Duration;

use proptest::prelude::*;
use weir_guest::testing::{Json, Outcome, START_NS, json};

use crate::Throttle;
use crate::limits::MAX_ALL_CARRIED_BYTES;

type Bench = weir_guest::testing::Bench<Throttle>;

fn from(source: &str) -> Json {
    json!({ "source": source, "message": "m" })
}

fn passed(outcomes: &[Outcome]) -> Vec<bool> {
    outcomes.iter().map(Outcome::is_kept).collect()
}

#[test]
fn each_key_has_its_own_bucket_that_refills_over_time() {
    let mut bench = Bench::with_options(json!({ "rate": 1, "burst": 2 }));
    let outcomes = bench.run(["a", "a", "b", "a", "b", "b"].map(from));
    assert_eq!(passed(&outcomes), [true, true, true, false, true, false]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(passed(&bench.run(["a", "a"].map(from))), [true, false]);
}

#[test]
fn dropped_records_are_summarised_after_the_summary_time() {
    let mut bench = Bench::with_options(json!({ "rate": 1, "burst": 1, "key": ["source", "context.user", "absent"] }));
    let record = |level: &str, second: i64| {
        json!({ "source": "shop", "level": level, "message": "m", "context": { "user": 7 }, "routes": ["audit"],
                "timestamp": START_NS + second * 1_000_000_000 })
    };
    bench.run([record("INFO", 0), record("INFO", 1), record("ERROR", 3), record("DEBUG", 2)]);
    assert_eq!(bench.tick(false), [] as [Json; 0], "not yet");
    bench.advance(Duration::from_secs(10));
    assert_eq!(
        bench.tick(false),
        [json!({
            "timestamp": START_NS + 3_000_000_000, "level": "ERROR", "source": "shop",
            "message": "3 records were held back", "routes": ["audit"], "context": { "user": 7 }, "held_back": 3,
            "first_time": "2026-01-01T00:00:01.000000000Z", "last_time": "2026-01-01T00:00:03.000000000Z",
        })]
    );
    assert_eq!(bench.tick(true), [] as [Json; 0], "it is said once");
}

#[test]
fn what_summaries_store_is_limited_and_freed_with_them() {
    let mut bench = Bench::with_options(json!({ "rate": 0.001, "burst": 1, "max_keys": 20_000, "key": ["n"] }));
    let source = "s".repeat(1000);
    let flood = |from: usize| (0..10_000).map(move |n| from + n / 2);
    for from in [0, 5_000] {
        bench.run(flood(from).map(|n| json!({ "n": n, "source": source, "message": "m" })));
        let summaries = bench.tick(true);
        let with_source = summaries.iter().filter(|summary| summary["source"] == source.as_str()).count();
        assert_eq!(summaries.len(), 5_000);
        let most = MAX_ALL_CARRIED_BYTES / source.len();
        assert!((most - 2..=most).contains(&with_source), "{with_source}");
    }
}

#[test]
fn closing_emits_the_summaries() {
    let mut bench = Bench::with_options(json!({ "rate": 1, "key": [] }));
    bench.run(["a", "b"].map(from));
    let summaries = bench.tick(true);
    assert_eq!(summaries.len(), 1);
    assert_eq!((&summaries[0]["message"], &summaries[0]["source"]), (&json!("1 record was held back"), &json!("b")));
}

#[test]
fn severe_records_go_on_without_a_token() {
    let mut bench = Bench::with_options(json!({ "rate": 1, "keep_level": "ERROR" }));
    let outcomes = bench.run(["ERROR", "ERROR", "INFO", "INFO", "CRITICAL"].map(|level| json!({ "level": level })));
    assert_eq!(passed(&outcomes), [true, true, true, false, true]);
}

#[test]
fn keys_beyond_the_limit_share_a_bucket_until_others_are_idle() {
    let mut bench = Bench::with_options(json!({ "rate": 1, "max_keys": 2 }));
    let outcomes = bench.run(["a", "b", "c", "d", "a"].map(from));
    assert_eq!(passed(&outcomes), [true, true, true, false, false]);
    assert_eq!(bench.counter("shared"), 2);
    bench.advance(Duration::from_secs(20));
    let summaries = bench.tick(false);
    let counts: Vec<&Json> = summaries.iter().map(|summary| &summary["held_back"]).collect();
    assert_eq!(counts, [1, 1]);
    bench.run([from("c")]);
    assert_eq!(bench.counter("shared"), 2, "there is room for it now");
    let huge = json!({ "source": "x".repeat(5000) });
    bench.run([huge.clone(), huge]);
    assert_eq!(bench.counter("shared"), 4);
}

#[test]
fn a_new_version_takes_buckets_and_counts_over() {
    let mut before = Bench::with_options(json!({ "rate": 1 }));
    before.run(["a", "a", "a"].map(from));
    let state = before.save();
    let mut after = Bench::with_options(json!({ "rate": 1 }));
    after.restore(&state).expect("it is of this version");
    assert_eq!(passed(&after.run([from("a")])), [false]);
    assert_eq!(after.tick(true)[0]["held_back"], 3);
    let mut other = Bench::with_options(json!({ "rate": 1, "key": ["message"] }));
    other.restore(&state).expect("it is of this version");
    let state = other.save();
    other.restore(&state).expect("it is of this version");
    assert_eq!(other.tick(false)[0]["held_back"], 2, "with other fields the counts are said at once");
}

#[test]
fn state_of_another_filter_is_refused() {
    let mut bench = Bench::with_options(json!({ "rate": 1 }));
    for (state, expected) in [
        (vec![], "not a MessagePack array"),
        (vec![0x90], "no version"),
        (vec![0x91, 0x02], "has version 2"),
        (vec![0x94, 0x01, 0x90, 0x91, 0x05, 0x90], "damaged"),
        (vec![0x93, 0x01, 0x90, 0x90], "damaged"),
    ] {
        let error = bench.restore(&state).expect_err("refused");
        assert!(error.contains(expected), "{state:?}: {error}");
    }
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({}), "option `rate`: it is required"),
        (json!({ "rte": 1 }), "unknown field `rte`, expected one of `rate`, `burst`, `key`"),
        (json!({ "rate": 0 }), "option `rate`: 0; it must be"),
        (json!({ "rate": 1, "burst": 0 }), "option `burst`: 0; it must be 1 to"),
        (json!({ "rate": 1, "key": ["timestamp"] }), "leave it out"),
        (json!({ "rate": 1, "key": vec!["a"; 33] }), "33 fields"),
        (json!({ "rate": 1, "summary": 0 }), "option `summary`"),
        (json!({ "rate": 1, "max_keys": 0 }), "option `max_keys`"),
        (json!({ "rate": 1, "keep_level": "LOUD" }), "unknown level `LOUD`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_record_goes_on_or_is_in_a_summary(
        steps in prop::collection::vec((0..6_u8, 0..4_u64), 0..60),
        max_keys in 1..5_usize,
    ) {
        let mut bench = Bench::with_options(json!({ "rate": 0.5, "summary": 3, "max_keys": max_keys }));
        let (mut passed, mut summed) = (0, 0);
        let mut add = |records: Vec<Json>| {
            summed += records.iter().filter_map(|record| record["held_back"].as_u64()).sum::<u64>();
        };
        for (source, seconds) in &steps {
            bench.advance(Duration::from_secs(*seconds));
            passed += u64::from(bench.run_one(from(&source.to_string())).is_kept());
            if seconds % 2 == 1 {
                add(bench.tick(false));
            }
        }
        add(bench.tick(true));
        prop_assert_eq!(passed + summed, steps.len() as u64);
    }

    #[test]
    fn no_state_causes_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bench = Bench::with_options(json!({ "rate": 1 }));
        for state in [bytes.clone(), [&[0x94, 0x01, 0x90][..], &bytes].concat()] {
            if bench.restore(&state).is_ok() {
                bench.run([from("a")]);
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
    let outcomes = bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON")));
    assert_eq!(passed(&outcomes), [true, true, false, true, true, false]);
    let counts: Vec<Json> = bench.tick(true).iter().map(|summary| summary["held_back"].clone()).collect();
    assert_eq!(counts, [2]);
}
