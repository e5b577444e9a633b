//! The filter as the operator sees it: options in, outcomes out.

use std::time::Duration;

use proptest::prelude::*;
use weir_guest::HoldingFilter;
use weir_guest::testing::{Json, Outcome, into_records, json, messages};

use crate::Traces;
use crate::limits::MAX_HELD_BYTES;

type Bench = weir_guest::testing::HoldingBench<Traces>;

fn of(trace: &str, message: &str) -> Json {
    json!({ "message": message, "context": { "trace_id": trace } })
}

fn failed(trace: &str) -> Json {
    json!({ "message": "failed", "level": "ERROR", "context": { "trace_id": trace } })
}

/// The messages that went on, in order.
fn said(outcomes: &[Outcome]) -> Vec<String> {
    messages(&into_records(outcomes.to_vec()))
}

fn ticked(bench: &mut Bench, closing: bool) -> Vec<String> {
    messages(&bench.tick(closing))
}

#[test]
fn an_error_releases_only_its_own_trace() {
    let mut bench = Bench::with_options(json!({ "rate": 0 }));
    let outcomes = bench.run([of("a", "1"), of("b", "2"), of("a", "3"), failed("a"), of("a", "4"), of("b", "5")]);
    assert_eq!(said(&outcomes), ["1", "3", "failed", "4"]);
    bench.advance(Duration::from_secs(11));
    assert_eq!(ticked(&mut bench, false), [] as [&str; 0]);
    assert_eq!(said(&bench.run([of("a", "late"), of("b", "late too")])), ["late"]);
    assert_eq!(said(&bench.run([failed("b"), of("b", "after it")])), ["failed", "after it"]);
}

#[test]
fn a_slow_record_keeps_its_trace() {
    let mut bench =
        Bench::with_options(json!({ "rate": 0, "keep_level": "off", "slow": { "field": "ms", "at_least": 100 } }));
    let slow = |ms: Json| json!({ "message": "m", "ms": ms, "context": { "trace_id": 7 } });
    assert_eq!(said(&bench.run([slow(json!(99.9)), slow(json!("200")), failed("7")])), [] as [&str; 0]);
    assert_eq!(said(&bench.run([slow(json!(100))])), ["m", "m", "m"]);
}

#[test]
fn a_fraction_of_the_other_traces_goes_on_with_a_weight_after_the_window() {
    let mut bench = Bench::with_options(json!({ "rate": 0.25 }));
    bench.run((0..2000).map(|n| of(&format!("t{}", n / 2), &n.to_string())));
    assert_eq!(bench.tick(false).len(), 0);
    bench.advance(Duration::from_secs(10));
    let records = bench.tick(false);
    // Six standard deviations of 1,000 traces with two records each.
    assert!(records.len().abs_diff(500) < 2 * 83, "{}", records.len());
    assert!(records.iter().all(|record| record["sample_weight"] == 4.0));
    let ids: Vec<&Json> = records.iter().map(|record| &record["context"]["trace_id"]).collect();
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]), "both records of a trace");
}

#[test]
fn a_record_without_room_for_a_weight_goes_on_without_it() {
    let mut bench = Bench::with_options(json!({ "rate": 0.999_999_999 }));
    let mut large = of("a", "m");
    large["body"] = "x".repeat(1024 * 1024 - 200).into();
    bench.run([large, of("a", "n")]);
    let records = bench.tick(true);
    assert_eq!(records.iter().map(|record| record["sample_weight"].is_null()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn without_a_weight_sampled_traces_go_on_at_once() {
    let mut bench = Bench::with_options(json!({ "rate": 0.25, "weight": "" }));
    let outcomes = bench.run((0..1000).map(|n| of(&n.to_string(), "m")));
    let kept = outcomes.iter().filter(|outcome| outcome.is_kept()).count();
    assert!(kept.abs_diff(250) < 83, "{kept}");
    assert_eq!(ticked(&mut bench, true), [] as [&str; 0]);
}

#[test]
fn records_without_an_id_follow_without_id() {
    let run = |without_id: &str, record: Json| {
        Bench::with_options(json!({ "rate": 0, "without_id": without_id })).run_one(record).is_dropped()
    };
    let long = of(&"x".repeat(1000), "m");
    for record in [json!({}), json!({ "context": { "trace_id": "" } }), of("", "m"), long] {
        assert!(!run("keep", record.clone()));
        assert!(run("drop", record.clone()));
        assert!(run("sample", record));
    }
    assert!(!run("drop", json!({ "level": "CRITICAL" })));
}

#[test]
fn too_many_traces_are_decided_early_oldest_first() {
    let mut bench = Bench::with_options(json!({ "rate": 0.999_999, "max_traces": 2 }));
    let outcomes = bench.run(["a", "b", "c"].map(|trace| of(trace, trace)));
    assert_eq!(said(&outcomes), ["a"]);
    assert_eq!(bench.counter("decided_early"), 1);
    assert_eq!(ticked(&mut bench, true), ["b", "c"]);
}

#[test]
fn no_more_is_held_than_weir_allows() {
    let mut bench = Bench::with_options(json!({ "rate": 0, "max_traces": 50_000 }));
    bench.run((0..100_000).map(|n| of(&(n / 2).to_string(), "")));
    assert!((10_000..50_000).contains(&bench.held().len()), "{}", bench.held().len());
    assert!(bench.held_bytes() <= MAX_HELD_BYTES);
    bench.tick(true);
    assert!(bench.held().is_empty());
}

#[test]
fn a_new_version_takes_over_held_traces_and_decisions() {
    let mut bench = Bench::with_options(json!({ "rate": 0 }));
    bench.run([of("a", "1"), failed("b"), of("a", "2")]);
    bench.swap(json!({ "rate": 0 })).expect("it is of this version");
    assert_eq!(said(&bench.run([of("b", "3"), failed("a")])), ["3", "1", "2", "failed"]);
    assert!(bench.held().is_empty());
}

#[test]
fn a_crash_restarts_the_windows_and_forgets_decisions() {
    let mut bench = Bench::with_options(json!({ "rate": 0.999_999 }));
    bench.run([of("a", "1"), failed("b"), of("a", "2"), of("c", "3")]);
    bench.advance(Duration::from_secs(9));
    assert_eq!(messages(&bench.crash()), [] as [&str; 0]);
    assert_eq!(said(&bench.run([of("b", "late"), failed("a")])), ["1", "2", "failed"]);
    bench.advance(Duration::from_secs(9));
    assert_eq!(ticked(&mut bench, false), [] as [&str; 0]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(ticked(&mut bench, false), ["3", "late"]);
    assert!(bench.held().is_empty());
}

#[test]
fn after_a_crash_traces_over_new_limits_are_decided() {
    let mut bench = Bench::with_options(json!({ "rate": 0.999_999 }));
    bench.run([of("a", "1"), of("b", "2"), of("c", "3")]);
    let records = bench.restart(json!({ "rate": 0.999_999, "max_traces": 1 })).expect("the options are good");
    assert_eq!((messages(&records), bench.held().len()), (vec!["1".to_owned(), "2".to_owned()], 1));
}

#[test]
fn state_of_another_filter_is_refused() {
    let mut bench = Bench::with_options(json!({}));
    for (state, expected) in [
        (vec![], "not a MessagePack array"),
        (vec![0x90], "no version"),
        (vec![0x91, 0x01], "has version 1"),
        (vec![0x93, 0x02, 0x91, 0x05, 0x90], "damaged"),
        (vec![0x93, 0x02, 0x91, 0x94, 0xc4, 1, 0, 0, 0xc4, 1, 0x05, 0x91, 1, 0x90], "damaged"),
        (vec![0x93, 0x02, 0x91, 0x94, 0xc4, 1, 0, 0, 0xc4, 1, 0x80, 0x90, 0x90], "damaged"),
    ] {
        let error = bench.filter().restore(&state).expect_err("refused");
        assert!(error.contains(expected), "{state:?}: {error}");
    }
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({ "windw": 1 }), "unknown field `windw`, expected one of `id`, `window`"),
        (json!({ "rate": 2 }), "option `rate`: 2; it must be 0 to 1"),
        (json!({ "rate": 1 }), "every trace is kept"),
        (json!({ "window": 0 }), "option `window`: 0 seconds"),
        (json!({ "window": 601 }), "option `window`"),
        (json!({ "slow": { "field": "a" } }), "missing field `at_least`"),
        (json!({ "max_traces": 0 }), "option `max_traces`"),
        (json!({ "without_id": "no" }), "option `without_id`: unknown variant `no`, expected one of"),
        (json!({ "weight": "level" }), "option `weight`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_failed_trace_goes_on_completely_in_order_and_once(
        steps in prop::collection::vec((0..5_u8, 0..3_u64, any::<bool>()), 1..80),
    ) {
        let mut bench = Bench::with_options(json!({ "rate": 0, "window": 600 }));
        let mut out = Vec::new();
        for (number, (trace, seconds, fails)) in steps.iter().enumerate() {
            bench.advance(Duration::from_secs(*seconds));
            let mut record = of(&trace.to_string(), &number.to_string());
            record["level"] = json!(if *fails { "ERROR" } else { "INFO" });
            out.extend(said(&[bench.run_one(record)]));
        }
        out.extend(ticked(&mut bench, true));
        for trace in 0..5 {
            let own = |number: &usize| steps[*number].0 == trace;
            let expected: Vec<usize> = if steps.iter().any(|step| step.0 == trace && step.2) {
                (0..steps.len()).filter(own).collect()
            } else {
                vec![]
            };
            let numbers = out.iter().map(|message| message.parse::<usize>().expect("it is a number"));
            prop_assert_eq!(numbers.filter(own).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn with_crashes_anywhere_each_record_is_decided_once(
        steps in prop::collection::vec((0..5_u8, 0..3_u64, 0..8_u8), 1..80),
    ) {
        // All are kept, so each goes on once, whenever that is.
        let mut bench = Bench::with_options(json!({ "rate": 0.999_999, "window": 5, "max_traces": 3 }));
        let mut out = Vec::new();
        for (number, (trace, seconds, what)) in steps.iter().enumerate() {
            bench.advance(Duration::from_secs(*seconds));
            match what {
                0 => out.extend(messages(&bench.crash())),
                1 => bench.swap(json!({ "rate": 0.999_999, "window": 5, "max_traces": 3 })).expect("it is of this version"),
                2 => out.extend(ticked(&mut bench, false)),
                _ => {}
            }
            let mut record = of(&trace.to_string(), &number.to_string());
            record["level"] = json!(if *what == 7 { "ERROR" } else { "INFO" });
            out.extend(said(&[bench.run_one(record)]));
        }
        out.extend(ticked(&mut bench, true));
        prop_assert!(bench.held().is_empty());
        let mut numbers: Vec<usize> = out.iter().map(|message| message.parse().expect("it is a number")).collect();
        for trace in 0..5 {
            let own: Vec<usize> = numbers.iter().copied().filter(|number| steps[*number].0 == trace).collect();
            prop_assert!(own.is_sorted(), "{own:?}");
        }
        numbers.sort();
        prop_assert_eq!(numbers, (0..steps.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_crash_at_any_point_does_not_change_held_traces(
        records in prop::collection::vec((0..3_u8, 0..6_u8), 0..24),
    ) {
        let run = |crash_at: Option<usize>| {
            let mut bench = Bench::with_options(json!({ "rate": 0.5 }));
            let mut out = Vec::new();
            for (number, (trace, what)) in records.iter().enumerate() {
                if crash_at == Some(number) {
                    out.extend(messages(&bench.crash()));
                }
                // An error ends its trace: what was decided is forgotten by a crash.
                let ended = records[..number].contains(&(*trace, 5));
                let mut record = of(&if ended { format!("late {number}") } else { trace.to_string() }, &number.to_string());
                record["level"] = json!(if *what == 5 { "ERROR" } else { "INFO" });
                out.extend(said(&[bench.run_one(record)]));
            }
            out.extend(ticked(&mut bench, true));
            out
        };
        let expected = run(None);
        for crash_at in 0..records.len() {
            prop_assert_eq!(run(Some(crash_at)), &expected[..], "with a crash before record {}", crash_at);
        }
    }

    #[test]
    fn no_state_causes_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bench = Bench::with_options(json!({}));
        for state in [bytes.clone(), [&[0x93, 0x02][..], &bytes].concat()] {
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
    let outcomes = bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON")));
    assert_eq!(said(&outcomes), ["order 17", "no room for order 17", "order 18", "sold after a while", "started"]);
}
