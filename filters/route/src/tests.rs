//! The filter as the operator sees it: options in, outcomes out.

use serde_json::{Value as Json, json};
use weir_guest::testing::Outcome;
use weir_guest::{BatchFilter, Encode, Output, Value, encode};

use crate::Route;
use crate::limits::{MAX_CONDITION_DEPTH, MAX_LABELS, MAX_RULES, MAX_VALUES};

type Bench = weir_guest::testing::Bench<Route>;

/// Whether a condition holds for a record.
fn holds(when: Json, record: Json) -> bool {
    let mut bench = Bench::with_options(json!({ "rules": [{ "when": when, "drop": true }] }));
    bench.run_one(record).is_dropped()
}

#[test]
fn a_value_and_equals_match_only_equal_values() {
    let record = json!({ "source": "auth", "n": 5, "f": 5.5, "on": true, "ключ": "знач" });
    for (when, expected) in [
        (json!({ "source": "auth" }), true),
        (json!({ "source": { "equals": "auth" } }), true),
        (json!({ "source": "Auth" }), false),
        (json!({ "n": 5 }), true),
        (json!({ "n": 5.0 }), true),
        (json!({ "n": "5" }), false),
        (json!({ "f": 5.5 }), true),
        (json!({ "f": 5 }), false),
        (json!({ "on": true }), true),
        (json!({ "on": false }), false),
        (json!({ "on": 1 }), false),
        (json!({ "ключ": "знач" }), true),
        (json!({ "absent": "" }), false),
    ] {
        assert_eq!(holds(when.clone(), record.clone()), expected, "{when}");
    }
}

#[test]
fn in_matches_any_of_its_values_of_any_type() {
    let when = json!({ "x": { "in": ["a", 7, 0.5, false] } });
    for (value, expected) in [
        (json!("a"), true),
        (json!(7), true),
        (json!(7.0), true),
        (json!("7"), true),
        (json!(0.5), true),
        (json!(false), true),
        (json!("b"), false),
        (json!(true), false),
        (json!(null), false),
        (json!({ "a": 1 }), false),
    ] {
        assert_eq!(holds(when.clone(), json!({ "x": value })), expected, "{value}");
    }
}

#[test]
fn globs_and_expressions_match_only_text() {
    for (when, value, expected) in [
        (json!({ "x": { "glob": "api-*" } }), json!("api-東京"), true),
        (json!({ "x": { "glob": "5*" } }), json!(503), false),
        (json!({ "x": { "regex": "(?i)größe" } }), json!("die GRÖSSE, die GRÖßE"), true),
        (json!({ "x": { "regex": "^\\d+$" } }), json!("12a"), false),
        (json!({ "x": { "regex": "" } }), json!(null), false),
    ] {
        assert_eq!(holds(when.clone(), json!({ "x": value })), expected, "{when} {value}");
    }
}

#[test]
fn comparisons_match_numbers_and_numeric_text() {
    let range = json!({ "s": { "at_least": 500, "below": 600 } });
    for (value, expected) in [
        (json!(500), true),
        (json!(599.9), true),
        (json!("503"), true),
        (json!(600), false),
        (json!("503 "), false),
        (json!("high"), false),
        (json!(null), false),
        (json!(u64::MAX), false),
    ] {
        assert_eq!(holds(range.clone(), json!({ "s": value })), expected, "{value}");
    }
    assert!(holds(json!({ "s": { "above": 0.5, "at_most": 1 } }), json!({ "s": 1 })));
    assert!(!holds(json!({ "s": { "above": 1 } }), json!({ "s": 1 })));
}

#[test]
fn exists_treats_null_as_absent() {
    let record = json!({ "a": { "b": 0, "c": null }, "empty": {} });
    for (path, expected) in
        [("a.b", true), ("a.c", false), ("a.d", false), ("a", true), ("empty", true), ("a.b.c", false)]
    {
        assert_eq!(holds(json!({ path: { "exists": true } }), record.clone()), expected, "{path}");
        assert_eq!(holds(json!({ path: { "exists": false } }), record.clone()), !expected, "{path}");
    }
}

#[test]
fn in_a_list_one_value_must_pass_all_tests_of_the_field() {
    let record = json!({ "tags": ["blue", "red"], "codes": [100, 700], "none": [] });
    assert!(holds(json!({ "tags": "red" }), record.clone()));
    assert!(holds(json!({ "tags.0": "blue" }), record.clone()));
    assert!(!holds(json!({ "tags": "green" }), record.clone()));
    assert!(!holds(json!({ "codes": { "at_least": 200, "below": 600 } }), record.clone()));
    assert!(!holds(json!({ "none": { "glob": "*" } }), record));
}

#[test]
fn the_level_compares_by_severity_in_any_spelling() {
    for (when, expected) in [
        (json!({ "level": { "at_least": "warn" } }), "WARNING ERROR CRITICAL"),
        (json!({ "level": { "above": "INFO", "below": "CRITICAL" } }), "WARNING ERROR"),
        (json!({ "level": { "at_most": "debug" } }), "TRACE DEBUG"),
        (json!({ "level": "ERROR" }), "ERROR"),
        (json!({ "level": { "in": ["trace", "fatal"] } }), "TRACE CRITICAL"),
        (json!({ "level": { "glob": "*R*" } }), "TRACE WARNING ERROR CRITICAL"),
        (json!({ "level": { "regex": "^D" } }), "DEBUG"),
        (json!({ "not": { "level": { "at_least": "INFO" } } }), "TRACE DEBUG"),
    ] {
        let all = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
        let found: Vec<&str> = all.into_iter().filter(|level| holds(when.clone(), json!({ "level": level }))).collect();
        assert_eq!(found.join(" "), expected, "{when}");
    }
}

#[test]
fn conditions_combine_with_all_any_and_not() {
    let record = json!({ "a": 1, "b": 2 });
    for (when, expected) in [
        (json!({ "a": 1, "b": 2 }), true),
        (json!({ "a": 1, "b": 3 }), false),
        (json!({ "all": [{ "a": 1 }, { "b": 2 }] }), true),
        (json!({ "any": [{ "a": 9 }, { "b": 2 }] }), true),
        (json!({ "any": [{ "a": 9 }, { "b": 9 }] }), false),
        (json!({ "not": { "a": 9 } }), true),
        (json!({ "not": { "a": 1, "b": 2 } }), false),
        (json!({ "a": 1, "not": { "any": [{ "b": 3 }, { "c": { "exists": true } }] } }), true),
    ] {
        assert_eq!(holds(when.clone(), record.clone()), expected, "{when}");
    }
}

#[test]
fn a_condition_may_be_a_query() {
    let record = json!({ "level": "WARNING", "source": "api-eu", "message": "Connection reset", "took_ms": 250 });
    for (when, expected) in [
        (json!("level>=WARN source:api-* took_ms>200"), true),
        (json!(r#""connection reset""#), true),
        (json!(r#"message~"^Conn\w+""#), true),
        (json!("timestamp>2020-01-01"), true),
        (json!("level>=ERROR"), false),
        (json!("timeout OR level>=ERROR"), false),
        (json!("-source:api-*"), false),
    ] {
        assert_eq!(holds(when.clone(), record.clone()), expected, "{when}");
    }
}

#[test]
fn queries_and_tables_combine() {
    let record = json!({ "a": 1, "b": 2 });
    for (when, expected) in [
        (json!({ "a": 1, "not": "b=3" }), true),
        (json!({ "any": ["a=9", { "b": 2 }] }), true),
        (json!({ "all": ["a=1", { "b": 9 }] }), false),
        (json!({ "not": "a=1 b=2" }), false),
    ] {
        assert_eq!(holds(when.clone(), record.clone()), expected, "{when}");
    }
}

#[test]
fn a_field_named_like_a_word_of_conditions_is_written_with_a_backslash() {
    assert!(holds(json!({ "\\any": 1 }), json!({ "any": 1 })));
    assert!(holds(json!({ "a\\.b": 1 }), json!({ "a.b": 1 })));
}

#[test]
fn fields_beyond_the_cache_are_still_looked_up() {
    let all: Vec<Json> = (0..40).map(|n| json!({ format!("f{n}"): n })).collect();
    let record: Json = (0..40).map(|n| (format!("f{n}"), json!(n))).collect();
    assert!(holds(json!({ "all": all }), record));
}

#[test]
fn all_matching_rules_apply_and_see_the_original_record() {
    let mut bench = Bench::with_options(json!({ "rules": [
        { "when": { "level": "INFO" }, "level": "ERROR", "routes": ["a"] },
        { "when": { "level": "ERROR" }, "routes": ["never"] },
        { "when": { "routes": "a" }, "routes": ["never"] },
        { "routes": ["a", "b"] },
        { "when": { "level": "INFO" }, "level": "WARNING" },
    ] }));
    let Outcome::Changed { patch, .. } = bench.run_one(json!({})) else {
        panic!("the record was not changed");
    };
    assert_eq!(patch, json!({ "level": "WARNING", "routes": ["a", "b"] }));
}

#[test]
fn with_first_only_the_first_matching_rule_applies() {
    let mut bench = Bench::with_options(json!({ "match": "first", "rules": [
        { "when": { "source": "quiet" } },
        { "when": { "source": "auth" }, "routes": ["audit"] },
        { "drop": true },
    ] }));
    let outcomes = bench.run(["quiet", "auth", "other"].map(|source| json!({ "source": source })));
    assert!(outcomes[0].is_kept());
    assert_eq!(outcomes[1].record()["routes"], json!(["audit"]));
    assert!(outcomes[2].is_dropped());
}

#[test]
fn a_drop_overrides_earlier_rules() {
    let mut bench = Bench::with_options(json!({ "rules": [
        { "routes": ["a"] },
        { "when": { "message": "ping" }, "drop": true },
        { "routes": ["b"] },
    ] }));
    assert!(bench.run_one(json!({ "message": "ping" })).is_dropped());
    assert_eq!(bench.run_one(json!({})).record()["routes"], json!(["a", "b"]));
}

#[test]
fn a_record_that_needs_no_change_is_kept_unchanged() {
    let mut bench = Bench::with_options(json!({ "rules": [{ "level": "ERROR", "routes": ["a"] }] }));
    assert!(bench.run_one(json!({ "level": "ERROR", "routes": ["z", "a"] })).is_kept());
    let outcome = bench.run_one(json!({ "level": "ERROR", "routes": ["z"] }));
    assert_eq!(outcome.record()["routes"], json!(["z", "a"]));
}

#[test]
fn values_that_json_lacks_never_match() {
    let mut record = Vec::new();
    encode::map_header(&mut record, 3);
    encode::str(&mut record, "bytes");
    encode::bin(&mut record, &[0xff, 0]);
    encode::str(&mut record, "ext");
    Value::Ext(5, &[1, 2]).encode(&mut record);
    encode::str(&mut record, "nan");
    encode::float(&mut record, f64::NAN);
    for path in ["bytes", "ext", "nan"] {
        for test in [
            json!({ "glob": "*" }),
            json!({ "regex": "" }),
            json!({ "at_least": -1e308 }),
            json!({ "at_most": 1e308 }),
            json!({ "in": [0, 0.5, "", false] }),
        ] {
            let mut bench = Bench::with_options(json!({ "rules": [{ "when": { path: test }, "drop": true }] }));
            let mut output = Output::new();
            bench.filter().process_batch(&record, &mut output).expect("the batch is valid");
            assert_eq!(output.into_parts().0, [0], "{path} {test}");
        }
    }
    // A map with nothing in it is no record that the host sends, and still none to fail at.
    let mut output = Output::new();
    let mut bench = Bench::with_options(json!({ "rules": [{ "when": { "a": 1 }, "drop": true }] }));
    bench.filter().process_batch(&[0x80], &mut output).expect("an empty map");
    assert_eq!(output.into_parts().0, [0]);
}

#[test]
fn invalid_options_are_refused_with_their_place_and_a_hint() {
    let rule = |rule: Json| json!({ "rules": [rule] });
    let when = |when: Json| json!({ "rules": [{ "when": when, "drop": true }] });
    for (options, expected) in [
        (json!({}), "`rules`: there is none"),
        (json!({ "rules": [] }), "`rules`: there is none"),
        (json!({ "rule": [] }), "unknown field `rule`, expected `match` or `rules`"),
        (json!({ "match": "any", "rules": [] }), "expected `all` or `first`"),
        (rule(json!({ "route": ["a"] })), "unknown field `route`"),
        (rule(json!({ "routes": "a" })), "rules[0].routes"),
        (rule(json!({ "routes": [""] })), "`rules[0].routes[0]`: a label has 1 to 128 bytes"),
        (rule(json!({ "level": "LOUD" })), "`rules[0].level`: `LOUD` is not a level"),
        (rule(json!({})), "it does nothing"),
        (rule(json!({ "drop": true, "level": "INFO" })), "`drop` can't be combined with"),
        (when(json!({})), "the condition is empty"),
        (when(json!([])), "expected a condition such as \"level>=WARN source:api-*\", { source = \"auth\" }"),
        (when(json!(" ")), "`rules[0].when`: the condition is empty"),
        (when(json!("level>=WARN source: api")), "`rules[0].when`: column 20: expected a value after `:`"),
        (when(json!({ "any": [{ "a": 1 }, "a(" ] })), "`rules[0].when.any[1]`: column "),
        (when(json!("timeout since:1h")), "`rules[0].when`: column 15: `1h` is an age"),
        (when(json!({ "any": [] })), "`rules[0].when.any`: the list is empty"),
        (when(json!({ "x": [1] })), "expected a value, or a test"),
        (when(json!({ "x": null })), "expected a value, or a test"),
        (when(json!({ "x": {} })), "`rules[0].when.x`: no test is given"),
        (when(json!({ "x": { "equal": 1 } })), "unknown field `equal`, expected one of `equals`, `in`"),
        (when(json!({ "x": { "in": [] } })), "`rules[0].when.x.in`: an empty list"),
        (when(json!({ "x": { "in": [[1]] } })), "expected a text, a number, true or false"),
        (when(json!({ "x": { "glob": "[a" } })), "`rules[0].when.x.glob`: a `[` has no closing `]`"),
        (
            when(json!({ "x": { "regex": "a(" } })),
            "`rules[0].when.x.regex`: `a(` is not a valid regular expression: unclosed group",
        ),
        (when(json!({ "x": { "regex": "\\w{500}{500}" } })), "the compiled expression is larger than"),
        (when(json!({ "x": { "at_least": "5" } })), "`rules[0].when.x.at_least`: it compares numbers"),
        (when(json!({ "x": { "exists": true, "equals": 1 } })), "`exists` can't be combined with other tests"),
        (
            when(json!({ "level": { "at_least": 3 } })),
            "`rules[0].when.level.at_least`: a level is compared with the name",
        ),
        (when(json!({ "level": { "in": ["INFO", "LOUD"] } })), "`rules[0].when.level.in[1]`: `LOUD` is not a level"),
        (when(json!({ "level": { "exists": true } })), "every record has a level"),
        (when(json!({ "level": { "above": "CRITICAL" } })), "no level satisfies it"),
        (
            when(json!({ "any": [{ "a": 1 }, { "not": { "b": { "glob": "\\" } } }] })),
            "`rules[0].when.any[1].not.b.glob`",
        ),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

#[test]
fn limits_are_enforced() {
    let rules = vec![json!({ "drop": true }); MAX_RULES + 1];
    assert!(Bench::refused(json!({ "rules": rules })).contains("more than the 256 allowed"));
    let labels: Vec<String> = (0..=MAX_LABELS).map(|n| n.to_string()).collect();
    let error = Bench::refused(json!({ "rules": [{ "routes": labels }] }));
    assert!(error.contains("labels are more than"), "{error}");
    let values: Vec<usize> = (0..=MAX_VALUES).collect();
    let error = Bench::refused(json!({ "rules": [{ "when": { "x": { "in": values } }, "drop": true }] }));
    assert!(error.contains("values are more than"), "{error}");
    let deep = (0..=MAX_CONDITION_DEPTH).fold(json!({ "a": 1 }), |inner, _| json!({ "not": inner }));
    let error = Bench::refused(json!({ "rules": [{ "when": deep, "drop": true }] }));
    assert!(error.contains("nested deeper than"), "{error}");
    let tests: Vec<Json> = (0..4097).map(|n| json!({ "x": n })).collect();
    let error = Bench::refused(json!({ "rules": [{ "when": { "any": tests }, "drop": true }] }));
    assert!(error.contains("more than 4096 tests"), "{error}");
    let words = vec![json!("a ".repeat(200)); 21];
    let error = Bench::refused(json!({ "rules": [{ "when": { "any": words }, "drop": true }] }));
    assert!(error.contains("more than 4096 tests"), "{error}");
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let samples = samples.map(|line| serde_json::from_str(line).expect("a sample is JSON"));
    let outcomes = bench.run(samples);
    assert!(outcomes[0].is_dropped());
    assert_eq!(outcomes[1].record()["routes"], json!(["audit"]));
    assert_eq!(outcomes[2].record()["level"], json!("ERROR"));
    assert_eq!(outcomes[2].record()["routes"], json!(["alerts"]));
    assert!(outcomes[3].is_kept());
    assert_eq!(outcomes[4].record()["routes"], json!(["alerts"]));
    assert_eq!(outcomes.len(), 5);
}
