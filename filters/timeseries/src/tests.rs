//! The filter as the operator sees it: options in, outcomes out.

use proptest::prelude::*;
use weir_guest::testing::{Json, Outcome, START_NS, json};

use crate::Timeseries;

type Bench = weir_guest::testing::Bench<Timeseries>;

/// What one rule writes into a record: measurement, tags, fields.
fn made(rule: Json, record: Json) -> [Json; 3] {
    let outcome = Bench::with_options(json!({ "mode": "annotate", "rules": [rule] })).run_one(record);
    ["measurement", "tags", "fields"].map(|key| outcome.record()[key].clone())
}

#[test]
fn a_measurement_is_a_new_record_after_the_original() {
    let rule = json!({ "measurement": "orders", "tags": ["source", "context.region"], "fields": ["context.total"] });
    let mut bench =
        Bench::with_options(json!({ "rules": [rule, { "measurement": "all", "count": "n" }], "routes": ["metrics"] }));
    let record = json!({ "timestamp": START_NS + 5, "level": "WARNING", "source": "shop", "message": "sold",
                         "context": { "region": "eu", "total": 9.5 }, "routes": ["audit"] });
    let Outcome::Expanded(records) = bench.run_one(record.clone()) else { panic!("three records go on") };
    let measurement = json!({
        "timestamp": START_NS + 5, "level": "WARNING", "source": "shop", "message": "orders", "measurement": "orders",
        "tags": { "source": "shop", "region": "eu" }, "fields": { "total": 9.5 }, "routes": ["metrics"],
    });
    assert_eq!(records[..2], [record, measurement]);
    assert_eq!((&records[2]["measurement"], &records[2]["fields"]), (&json!("all"), &json!({ "n": 1 })));
}

#[test]
fn a_measurement_may_replace_or_annotate_the_record() {
    let rules = json!([{ "measurement": "a", "fields": ["x"] }, { "measurement": "b", "fields": ["x"] }]);
    let record = json!({ "x": 1, "routes": ["audit"] });
    let Outcome::Expanded(records) =
        Bench::with_options(json!({ "mode": "replace", "rules": rules })).run_one(record.clone())
    else {
        panic!("two records go on")
    };
    assert_eq!(records.iter().map(|record| &record["measurement"]).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((&records[0]["routes"], &records[0]["x"]), (&json!(["audit"]), &json!(null)));
    let outcome = Bench::with_options(json!({ "mode": "annotate", "rules": rules })).run_one(record);
    assert_eq!((&outcome.record()["measurement"], &outcome.record()["x"]), (&json!("a"), &json!(1)));
}

#[test]
fn only_numbers_are_fields_and_only_scalars_are_tags() {
    let record =
        json!({ "m": { "i": -3, "u": u64::MAX, "f": 0.5, "t": "7", "b": true, "n": null, "l": [1], "d": { "x": 2 } } });
    let [_, tags, fields] = made(
        json!({ "measurement": "m", "fields": ["m.**"], "tags": ["m.i", "m.f", "m.t", "m.b", "m.n", "m.l", "m.d", "m.no"] }),
        record.clone(),
    );
    assert_eq!(fields, json!({ "i": -3, "u": u64::MAX, "f": 0.5, "d.x": 2 }));
    assert_eq!(tags, json!({ "i": "-3", "f": "0.5", "t": "7", "b": "true" }));
    let texts = json!({ "measurement": "m", "numeric_texts": true, "fields": { "a": "m.t", "b": "m.e", "c": "m.inf", "d": "m.i" } });
    let mut record = record;
    record["m"]["e"] = json!(" 1e3 ");
    record["m"]["inf"] = json!("inf");
    assert_eq!(made(texts, record)[2], json!({ "a": 7, "b": 1000.0, "d": -3 }));
}

#[test]
fn the_name_may_come_from_the_record() {
    let rule = |default: Json| json!({ "measurement": { "path": "op", "default": default }, "count": "n" });
    assert_eq!(made(rule(json!("other")), json!({ "op": "sell" }))[0], "sell");
    assert_eq!(made(rule(json!("other")), json!({ "op": "" }))[0], "other");
    assert_eq!(made(rule(json!(null)), json!({}))[0], Json::Null);
    let long = made(rule(json!(null)), json!({ "op": "é".repeat(500) }));
    assert_eq!(long[0].as_str().map(str::len), Some(256));
}

#[test]
fn conditions_select_the_records_of_a_rule() {
    let applies =
        |when: Json, record: Json| made(json!({ "measurement": "m", "count": "n", "when": when }), record)[0] == "m";
    let record = json!({ "source": "shop", "code": 200, "ok": true, "user": null });
    for (when, expected) in [
        (json!({ "source": "shop", "code": 200, "ok": true }), true),
        (json!({ "code": 200.0 }), true),
        (json!({ "code": [404, 200] }), true),
        (json!({ "code": [404] }), false),
        (json!({ "code": "200" }), false),
        (json!({ "user": { "exists": false }, "code": { "exists": true } }), true),
        (json!({ "user": { "exists": true } }), false),
        (json!({ "source": "shop", "ok": false }), false),
    ] {
        assert_eq!(applies(when.clone(), record.clone()), expected, "{when}");
    }
    let severe = json!({ "measurement": "m", "count": "n", "at_least": "error" });
    assert_eq!(made(severe.clone(), json!({ "level": "WARNING" }))[0], Json::Null);
    assert_eq!(made(severe, json!({ "level": "ERROR" }))[0], "m");
}

#[test]
fn a_record_without_numbers_is_unchanged() {
    let mut bench = Bench::with_options(json!({ "rules": [{ "measurement": "m", "fields": ["a.*", "b"] }] }));
    for record in [json!({}), json!({ "a": 5 }), json!({ "a": { "x": "1" }, "b": "2" }), json!({ "a": [1, 2] })] {
        assert!(bench.run_one(record.clone()).is_kept(), "{record}");
    }
}

#[test]
fn fields_are_limited_and_the_first_of_a_name_wins() {
    let many: serde_json::Map<String, Json> = (0..5000).map(|n| (n.to_string(), json!(n))).collect();
    let [_, _, fields] = made(json!({ "measurement": "m", "fields": ["a.*"] }), json!({ "a": many }));
    assert_eq!(fields.as_object().map(serde_json::Map::len), Some(256));
    let [_, _, fields] =
        made(json!({ "measurement": "m", "fields": ["a.x", "b.x"] }), json!({ "a": { "x": 1 }, "b": { "x": 2 } }));
    assert_eq!(fields, json!({ "x": 1 }));
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    let rule = |rule: Json| json!({ "rules": [rule] });
    for (options, expected) in [
        (json!({}), "option `rules`: there is none"),
        (json!({ "rule": [] }), "unknown field `rule`, expected one of `rules`, `mode`, `routes`"),
        (rule(json!({ "fields": ["a"] })), "missing field `measurement`"),
        (rule(json!({ "measurement": "m" })), "option `rules[0].fields`: it has no numbers"),
        (rule(json!({ "measurement": "", "count": "n" })), "option `rules[0].measurement`: it is empty"),
        (rule(json!({ "measurement": 5, "count": "n" })), "a measurement is a name"),
        (rule(json!({ "measurement": "m", "count": "n", "tags": ["a.*"] })), "`a.*` has a star"),
        (rule(json!({ "measurement": "m", "count": "n", "tags": ["a.id", "b.id"] })), "two are called `id`"),
        (rule(json!({ "measurement": "m", "fields": { "x": "a.*" } })), "can't have one name"),
        (rule(json!({ "measurement": "m", "field": ["a"] })), "unknown field `field`"),
        (rule(json!({ "measurement": "m", "count": "n", "when": { "level": "ERROR" } })), "at_least"),
        (rule(json!({ "measurement": "m", "count": "n", "when": { "a": {} } })), "a condition is a value"),
        (
            json!({ "mode": "annotate", "routes": ["a"], "rules": [{ "measurement": "m", "count": "n" }] }),
            "leave it out",
        ),
        (json!({ "mode": "add", "rules": [] }), "option `mode`: unknown variant `add`"),
        (json!({ "routes": [""], "rules": [{ "measurement": "m", "count": "n" }] }), "option `routes`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

proptest! {
    #[test]
    fn no_record_and_pattern_cause_a_panic(
        keys in prop::collection::vec("[ab*]{0,3}", 1..5),
        record in prop::collection::btree_map("[ab]{0,2}", prop::collection::btree_map("[ab]{0,2}", any::<f64>(), 0..4), 0..4),
    ) {
        let path = keys.join(".");
        let mut bench = Bench::with_options(json!({ "mode": "annotate", "rules": [{ "measurement": "m", "fields": [path] }] }));
        let outcome = bench.run_one(json!({ "message": "x", "a": record }));
        if let Outcome::Changed { record, .. } = outcome {
            prop_assert!(record["fields"].as_object().is_some_and(|fields| fields.values().all(Json::is_number)));
        }
    }
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let outcomes = bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON")));
    let made: Vec<Json> = outcomes
        .iter()
        .flat_map(|outcome| match outcome {
            Outcome::Expanded(records) => records[1..].to_vec(),
            _ => vec![],
        })
        .map(|record| json!([record["measurement"], record["tags"], record["fields"]]))
        .collect();
    assert_eq!(
        made,
        [
            json!(["sell", { "source": "shop", "region": "eu" }, { "duration_ms": 35, "rows": 3 }]),
            json!(["errors", { "source": "stock" }, { "count": 1 }]),
        ]
    );
}
