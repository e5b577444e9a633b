//! The filter as the operator sees it: options in, outcomes out.

use proptest::prelude::*;
use weir_guest::testing::{Json, Outcome, json};

use crate::Sample;

type Bench = weir_guest::testing::Bench<Sample>;

fn numbered(n: u32) -> Json {
    json!({ "message": format!("request {n}"), "context": { "trace_id": format!("t{}", n / 10) } })
}

/// How many of 10,000 records are kept.
fn kept(options: Json) -> usize {
    Bench::with_options(options).run((0..10_000).map(numbered)).iter().filter(|outcome| !outcome.is_dropped()).count()
}

#[test]
fn the_kept_fraction_is_the_rate() {
    assert_eq!(kept(json!({ "rate": 0 })), 0);
    assert_eq!(kept(json!({ "rate": 1 })), 10_000);
    // Six standard deviations.
    for (rate, deviation) in [(0.1, 180), (0.5, 300)] {
        let count = kept(json!({ "rate": rate }));
        assert!(count.abs_diff((rate * 10_000.0) as usize) < deviation, "{count} at {rate}");
    }
}

#[test]
fn severe_records_are_kept_whatever_the_rate() {
    let levels = ["INFO", "WARNING", "ERROR", "CRITICAL"];
    let run = |options| {
        let outcomes = Bench::with_options(options).run(levels.map(|level| json!({ "level": level })));
        outcomes.iter().map(Outcome::is_kept).collect::<Vec<_>>()
    };
    assert_eq!(run(json!({ "rate": 0 })), [false, false, true, true]);
    assert_eq!(run(json!({ "rate": 0, "keep_level": "warn" })), [false, true, true, true]);
    assert_eq!(run(json!({ "rate": 0, "keep_level": "off" })), [false; 4]);
}

#[test]
fn rates_are_selected_by_value() {
    let mut bench =
        Bench::with_options(json!({ "rate": 0, "by": "context.kind", "rates": { "a": 1, "7": 1.0, "true": 1 } }));
    for (kind, is_kept) in
        [(json!("a"), true), (json!(7), true), (json!(true), true), (json!("b"), false), (json!({}), false)]
    {
        assert_eq!(bench.run_one(json!({ "context": { "kind": kind } })).is_kept(), is_kept, "{kind}");
    }
    assert!(bench.run_one(json!({})).is_dropped());
}

#[test]
fn records_of_a_trace_are_sampled_together_and_others_separately() {
    let mut bench = Bench::with_options(json!({ "rate": 0.5, "hash": ["context.trace_id"] }));
    let outcomes = bench.run((0..1000).map(numbered));
    let fates: Vec<bool> = outcomes.iter().map(Outcome::is_dropped).collect();
    assert!(fates.chunks(10).all(|trace| trace.iter().all(|fate| *fate == trace[0])));
    assert!(fates.contains(&true) && fates.contains(&false));
    let outcomes = bench.run((0..100).map(|n| json!({ "message": n.to_string(), "context": { "trace_id": null } })));
    let dropped = outcomes.iter().filter(|outcome| outcome.is_dropped()).count();
    assert!((10..90).contains(&dropped), "{dropped}");
}

#[test]
fn the_weight_is_the_number_of_represented_records() {
    let weight = |options: Json, record: Json| {
        let mut bench = Bench::with_options(options);
        let outcome = (0..100).map(|n| {
            let mut record = record.clone();
            record["n"] = n.into();
            bench.run_one(record)
        });
        let kept = outcome.into_iter().find(|outcome| !outcome.is_dropped()).expect("one of a hundred is kept");
        kept.record().pointer("/w").cloned()
    };
    assert_eq!(weight(json!({ "rate": 0.25, "weight": "w" }), json!({})), Some(json!(4.0)));
    assert_eq!(weight(json!({ "rate": 0.25, "weight": "w" }), json!({ "w": 10 })), Some(json!(40.0)));
    assert_eq!(weight(json!({ "rate": 0.25, "weight": "w" }), json!({ "w": "x" })), Some(json!(4.0)));
    assert_eq!(weight(json!({ "rate": 0.25, "weight": "w" }), json!({ "level": "ERROR" })), None);
    assert_eq!(weight(json!({ "rate": 1, "weight": "w" }), json!({})), None);
    assert_eq!(weight(json!({ "rate": 0.25, "weight": "" }), json!({})), None);
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({}), "option `rate`: it is required"),
        (json!({ "rat": 0.1 }), "unknown field `rat`, expected one of `rate`, `by`"),
        (json!({ "rate": 10 }), "option `rate`: 10; a rate is 0 to 1"),
        (json!({ "rate": -0.1 }), "option `rate`"),
        (json!({ "rate": 0.1, "rates": { "a": 2 } }), "option `rates.a`: 2; a rate is 0 to 1"),
        (json!({ "rate": 0.1, "keep_level": "LOUD" }), "unknown level `LOUD`"),
        (json!({ "rate": 0.1, "weight": "level" }), "option `weight`: `level` is a reserved field"),
        (json!({ "rate": 0.1, "hash": vec!["a"; 33] }), "option `hash`: 33 paths"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

proptest! {
    #[test]
    fn a_record_kept_at_a_rate_is_kept_at_every_higher_one(message in "\\PC{0,30}", low in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        let high = low + (1.0 - low) * more;
        let kept = |rate: f64| !Bench::with_options(json!({ "rate": rate })).run_one(json!({ "message": message })).is_dropped();
        prop_assert!(!kept(low) || kept(high));
    }
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let outcomes = bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON")));
    let dropped: Vec<bool> = outcomes.iter().map(Outcome::is_dropped).collect();
    assert_eq!(dropped, [false, false, true, true, false]);
}
