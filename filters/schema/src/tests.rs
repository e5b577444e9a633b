//! The filter as the operator sees it: options in, outcomes out.

use proptest::prelude::*;
use weir_guest::testing::{Json, json};

use crate::SchemaFilter;

type Bench = weir_guest::testing::Bench<SchemaFilter>;

/// The reasons why a value does not fit a schema.
fn errors(schema: &Json, value: &Json) -> Vec<String> {
    let mut bench = Bench::with_options(json!({ "schema": schema, "field": "v" }));
    let outcome = bench.run_one(json!({ "v": value }));
    let errors = outcome.record()["schema_errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error.as_str().unwrap_or_default().to_owned()).collect()
}

fn fits(schema: &Json, value: &Json) -> bool {
    errors(schema, value).is_empty()
}

/// Each line: a schema, values that fit, values that don't.
fn check(cases: &[(Json, Vec<Json>, Vec<Json>)]) {
    for (schema, good, bad) in cases {
        for value in good {
            assert_eq!(errors(schema, value), [] as [&str; 0], "{value} should fit {schema}");
        }
        for value in bad {
            assert!(!fits(schema, value), "{value} should not fit {schema}");
        }
    }
}

#[test]
fn types_and_fixed_values() {
    let all = vec![json!(null), json!(true), json!(1), json!(1.5), json!("x"), json!([1]), json!({ "a": 1 })];
    let of = |keep: &[usize]| {
        let (good, bad): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(at, _)| keep.contains(at));
        (good.into_iter().map(|(_, value)| value).collect(), bad.into_iter().map(|(_, value)| value).collect())
    };
    for (kind, keep) in [
        (json!("boolean"), vec![1]),
        (json!("integer"), vec![2]),
        (json!("number"), vec![2, 3]),
        (json!("string"), vec![4]),
        (json!("array"), vec![5]),
        (json!("object"), vec![6]),
        (json!(["string", "object"]), vec![4, 6]),
    ] {
        let (good, bad) = of(&keep);
        check(&[(json!({ "type": kind }), good, bad)]);
    }
    check(&[
        (json!({ "type": "integer" }), vec![json!(2.0), json!(u64::MAX), json!(-1), json!(1e300)], vec![json!(2.5)]),
        (json!({ "const": 5 }), vec![json!(5), json!(5.0)], vec![json!(6), json!("5")]),
        (
            json!({ "const": { "a": 1, "b": [2] } }),
            vec![json!({ "b": [2.0], "a": 1 })],
            vec![json!({ "a": 1 }), json!({ "a": 1, "b": [3] })],
        ),
        (
            json!({ "enum": ["a", 1, true, [1]] }),
            vec![json!("a"), json!(1), json!(true), json!([1])],
            vec![json!("b"), json!(false), json!([])],
        ),
        (json!(true), all.clone(), vec![]),
        (json!({}), all.clone(), vec![]),
        (json!({ "not": {} }), vec![], all.clone()),
    ]);
}

#[test]
fn numbers_and_texts() {
    check(&[
        (
            json!({ "minimum": 1, "maximum": 3 }),
            vec![json!(1), json!(3), json!(2.5), json!("x")],
            vec![json!(0), json!(3.01)],
        ),
        (
            json!({ "exclusiveMinimum": 1, "exclusiveMaximum": 3.5 }),
            vec![json!(1.1), json!(3)],
            vec![json!(1), json!(3.5)],
        ),
        (
            json!({ "maximum": 9_007_199_254_740_993_i64 }),
            vec![json!(9_007_199_254_740_993_i64)],
            vec![json!(9_007_199_254_740_994_i64)],
        ),
        (json!({ "multipleOf": 3 }), vec![json!(9), json!(0), json!(-3), json!("x")], vec![json!(10), json!(1.5)]),
        (json!({ "multipleOf": 0.1 }), vec![json!(0.3), json!(7)], vec![json!(0.35)]),
        (
            json!({ "minLength": 2, "maxLength": 3 }),
            vec![json!("ab"), json!("äöü"), json!(5)],
            vec![json!("a"), json!("abcd")],
        ),
        (
            json!({ "pattern": "^[a-z]+-\\d{2}$" }),
            vec![json!("ab-12"), json!(5)],
            vec![json!("ab-1"), json!("xab-123")],
        ),
        (json!({ "pattern": "b" }), vec![json!("abc")], vec![json!("ac")]),
    ]);
}

#[test]
fn lists_and_maps() {
    check(&[
        (json!({ "items": { "type": "integer" } }), vec![json!([]), json!([1, 2]), json!("x")], vec![json!([1, "2"])]),
        (
            json!({ "prefixItems": [{ "type": "string" }], "items": { "type": "integer" } }),
            vec![json!(["a", 1]), json!([])],
            vec![json!([1]), json!(["a", "b"])],
        ),
        (json!({ "prefixItems": [true], "items": false }), vec![json!([1])], vec![json!([1, 2])]),
        (json!({ "minItems": 1, "maxItems": 2 }), vec![json!([1]), json!([1, 2])], vec![json!([]), json!([1, 2, 3])]),
        (
            json!({ "uniqueItems": true }),
            vec![json!([1, "1", [1], { "a": 1 }]), json!([])],
            vec![json!([1, 1.0]), json!([{ "a": 1, "b": 2 }, { "b": 2, "a": 1 }])],
        ),
        (
            json!({ "properties": { "a": { "type": "integer" } } }),
            vec![json!({}), json!({ "a": 1, "b": "x" })],
            vec![json!({ "a": "x" })],
        ),
        (json!({ "required": ["a", "b"] }), vec![json!({ "a": null, "b": 1 }), json!([])], vec![json!({ "a": 1 })]),
        (
            json!({ "properties": { "a": {} }, "additionalProperties": false }),
            vec![json!({ "a": 1 })],
            vec![json!({ "a": 1, "b": 2 })],
        ),
        (
            json!({ "patternProperties": { "^x_": { "type": "string" } }, "additionalProperties": { "type": "integer" } }),
            vec![json!({ "x_a": "s", "b": 1 })],
            vec![json!({ "x_a": 1 }), json!({ "b": "s" })],
        ),
        (
            json!({ "minProperties": 1, "maxProperties": 1 }),
            vec![json!({ "a": 1 })],
            vec![json!({}), json!({ "a": 1, "b": 2 })],
        ),
        (
            json!({ "dependentRequired": { "card": ["owner"] } }),
            vec![json!({}), json!({ "card": 1, "owner": 2 })],
            vec![json!({ "card": 1 })],
        ),
    ]);
}

#[test]
fn schemas_of_schemas() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": { "node": { "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#/$defs/node" } } } } }
    });
    check(&[
        (json!({ "allOf": [{ "minimum": 1 }, { "maximum": 3 }] }), vec![json!(2)], vec![json!(0), json!(4)]),
        (
            json!({ "anyOf": [{ "type": "string" }, { "minimum": 5 }] }),
            vec![json!("x"), json!(5), json!(null)],
            vec![json!(4)],
        ),
        (
            json!({ "oneOf": [{ "multipleOf": 2 }, { "multipleOf": 3 }] }),
            vec![json!(2), json!(3)],
            vec![json!(6), json!(5)],
        ),
        (json!({ "not": { "type": "string" } }), vec![json!(1)], vec![json!("x")]),
        (
            json!({ "if": { "properties": { "kind": { "const": "a" } }, "required": ["kind"] }, "then": { "required": ["x"] }, "else": { "required": ["y"] } }),
            vec![json!({ "kind": "a", "x": 1 }), json!({ "y": 1 })],
            vec![json!({ "kind": "a", "y": 1 }), json!({ "x": 1 })],
        ),
        (
            json!({ "type": "object", "$ref": "#/$defs/a", "$defs": { "a": { "required": ["x"] } } }),
            vec![json!({ "x": 1 })],
            vec![json!({}), json!(1)],
        ),
        (
            tree,
            vec![json!({ "name": "a", "children": [{ "name": "b", "children": [] }] })],
            vec![json!({ "name": "a", "children": [{ "name": "b", "children": [{}] }] })],
        ),
        (
            json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": false }),
            vec![json!({ "a": { "a": {} } })],
            vec![json!({ "a": { "b": 1 } })],
        ),
        (json!({ "$ref": "#/$defs/a~1b", "$defs": { "a/b": { "type": "string" } } }), vec![json!("x")], vec![json!(1)]),
    ]);
}

#[test]
fn errors_name_the_path_and_the_constraint() {
    let schema = json!({ "type": "object", "required": ["id", "at"], "properties": {
        "id": { "type": ["integer", "null"] }, "tags": { "items": { "maxLength": 3 } }, "a.b": { "enum": [1, 2] },
        "n": { "minimum": 5 }, "p": { "pattern": "^a" } } });
    let value = json!({ "id": "x", "tags": ["abc", "abcd"], "a.b": 3, "n": 4.5, "p": "b" });
    let mut bench = Bench::with_options(json!({ "schema": schema, "field": "context.order", "max_errors": 20 }));
    let outcome = bench.run_one(json!({ "context": { "order": value } }));
    let mut errors: Vec<&str> =
        outcome.record()["schema_errors"].as_array().expect("there are some").iter().filter_map(Json::as_str).collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            "`context.order.a\\.b` is not one of the 2 allowed values",
            "`context.order.id` is not null or integer",
            "`context.order.n` is 4.5, not at least 5",
            "`context.order.p` does not match `^a`",
            "`context.order.tags.1` has 4 characters, more than 3",
            "`context.order` has no `at`",
        ]
    );
    let outcome = bench.run_one(json!({}));
    assert_eq!(outcome.record()["schema_errors"], json!(["`context.order` is missing"]));
    assert_eq!(bench.counter("invalid"), 2);
}

#[test]
fn invalid_records_are_tagged_routed_rejected_or_dropped() {
    let schema = json!({ "required": ["id"] });
    let with = |more: Json| {
        let mut options = json!({ "schema": schema });
        options.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        Bench::with_options(options)
    };
    assert!(with(json!({})).run_one(json!({ "id": 1 })).is_kept());
    let tagged = with(json!({ "level": "ERROR" })).run_one(json!({}));
    assert_eq!(tagged.record()["schema_errors"], json!(["the record has no `id`"]));
    assert_eq!(tagged.record()["level"], "ERROR");
    let routed = with(json!({ "on_fail": "route", "route": "invalid", "errors": "" })).run_one(json!({}));
    assert_eq!((&routed.record()["routes"], &routed.record()["schema_errors"]), (&json!(["invalid"]), &Json::Null));
    assert!(with(json!({ "on_fail": "drop" })).run_one(json!({})).is_dropped());
    let rejected = with(json!({ "on_fail": "reject" })).try_run([json!({})]);
    assert_eq!(rejected, Err("it does not match the schema: the record has no `id`".to_owned()));
    let optional = json!({ "schema": schema, "field": "x", "optional": true });
    assert!(Bench::with_options(optional).run_one(json!({})).is_kept());
}

#[test]
fn a_schema_may_be_a_json_string() {
    let text = r##"{ "$schema": "https://json-schema.org/draft/2020-12/schema", "properties": { "id": { "type": "integer", "format": "int64" } } }"##;
    let mut bench = Bench::with_options(json!({ "schema": text }));
    assert!(bench.run_one(json!({ "id": 1 })).is_kept());
    assert!(!bench.run_one(json!({ "id": "1" })).is_kept());
}

#[test]
fn hostile_records_are_fast() {
    let deeper = json!({ "properties": { "a": { "$ref": "#" } } });
    let both = json!({ "type": "object", "anyOf": [deeper, deeper] });
    let mut deep = json!(1);
    for _ in 0..50 {
        deep = json!({ "a": deep });
    }
    assert!(errors(&both, &deep)[0].contains("250000 steps"));
    let wide: Json = (0..50_000).map(|n| json!({ "n": n })).collect();
    assert!(fits(&json!({ "uniqueItems": true, "items": { "properties": { "n": { "type": "integer" } } } }), &wide));
    let long = json!("a".repeat(1 << 20));
    assert!(!fits(&json!({ "pattern": "(a*)*b" }), &long));
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    let schema = |schema: Json| json!({ "schema": schema });
    for (options, expected) in [
        (json!({}), "option `schema`: it is required"),
        (json!({ "shema": {} }), "unknown field `shema`, expected one of `schema`, `field`"),
        (schema(json!("{")), "the text is not valid JSON"),
        (schema(json!(5)), "a schema is a table of keywords, true or false"),
        (
            schema(json!({ "properties": { "a": { "tipe": "x" } } })),
            "at `#/properties/a`: the keyword `tipe` is not supported",
        ),
        (schema(json!({ "unevaluatedProperties": false })), "the keyword `unevaluatedProperties` is not supported"),
        (schema(json!({ "type": "text" })), "at `#/type`: \"text\" is not a type; the types are"),
        (schema(json!({ "enum": [] })), "a list that is not empty"),
        (schema(json!({ "minimum": "1" })), "at `#/minimum`: \"1\" is not a number"),
        (schema(json!({ "minLength": -1 })), "is not a count"),
        (schema(json!({ "multipleOf": 0 })), "above 0"),
        (schema(json!({ "pattern": "(?=a)" })), "at `#/pattern`: `(?=a)` is not a valid regular expression"),
        (schema(json!({ "items": [{}] })), "`prefixItems`"),
        (schema(json!({ "$ref": "other.json" })), "is not in this document"),
        (schema(json!({ "$ref": "#/$defs/x" })), "there is nothing at `#/$defs/x`"),
        (schema(json!({ "$ref": "#" })), "leads back to itself"),
        (
            schema(json!({ "anyOf": [{ "$ref": "#/$defs/a" }], "$defs": { "a": { "not": { "$ref": "#" } } } })),
            "leads back to itself",
        ),
        (
            schema(json!({ "$schema": "http://json-schema.org/draft-04/schema#" })),
            "is not supported; supported are 2020-12",
        ),
        (schema(json!({ "required": "a" })), "at `#/required`: it must be a list of texts"),
        (json!({ "schema": true, "on_fail": "route" }), "needs the label"),
        (json!({ "schema": true, "route": "x" }), "option `route`"),
        (
            json!({ "schema": true, "on_fail": "drop", "level": "ERROR" }),
            "option `level`: it is for records that go on",
        ),
        (json!({ "schema": true, "optional": true }), "it requires a `field`"),
        (json!({ "schema": true, "errors": "level" }), "option `errors`"),
        (json!({ "schema": true, "max_errors": 0 }), "option `max_errors`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-5..5_i64).prop_map(Json::from),
        (-5.0..5.0_f64).prop_map(Json::from),
        "[a-c]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn schema() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "boolean", "integer", "number", "string", "array", "object"])
            .prop_map(|kind| json!({ "type": kind })),
        (-5..5_i64).prop_map(|n| json!({ "minimum": n })),
        (0..3_u64).prop_map(|n| json!({ "maxLength": n, "minItems": n, "maxProperties": n })),
        value().prop_map(|value| json!({ "const": value })),
        "[a-c]".prop_map(|key| json!({ "required": [key], "pattern": key })),
        any::<bool>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({ "allOf": all })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({ "anyOf": any })),
            inner.clone().prop_map(|items| json!({ "items": items })),
            (inner.clone(), inner)
                .prop_map(|(a, others)| json!({ "properties": { "a": a }, "additionalProperties": others })),
        ]
    })
}

proptest! {
    #[test]
    fn combined_schemas_follow_boolean_logic(a in schema(), b in schema(), value in value()) {
        let (fits_a, fits_b) = (fits(&a, &value), fits(&b, &value));
        prop_assert_eq!(fits(&json!({ "not": a }), &value), !fits_a);
        prop_assert_eq!(fits(&json!({ "allOf": [a, b] }), &value), fits_a && fits_b);
        prop_assert_eq!(fits(&json!({ "anyOf": [a, b] }), &value), fits_a || fits_b);
        prop_assert_eq!(fits(&json!({ "oneOf": [a, b] }), &value), fits_a != fits_b);
        prop_assert_eq!(fits(&json!({ "if": a, "then": b, "else": false }), &value), fits_a && fits_b);
        prop_assert_eq!(fits(&json!({ "$ref": "#/$defs/a", "$defs": { "a": a } }), &value), fits_a);
        prop_assert_eq!(fits(&json!({ "items": a }), &json!([value])), fits_a);
        prop_assert_eq!(fits(&json!({ "properties": { "x": a } }), &json!({ "x": value })), fits_a);
        prop_assert_eq!(errors(&json!({ "const": value }), &value), Vec::<String>::new());
    }

    #[test]
    fn no_schema_causes_a_panic(schema in value()) {
        drop(Bench::new(json!({ "schema": schema })));
    }
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let outcomes = bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON")));
    let errors: Vec<Json> = outcomes.iter().map(|outcome| outcome.record()["schema_errors"].clone()).collect();
    assert_eq!(
        errors,
        [
            Json::Null,
            json!(["`context.currency` is not one of the 2 allowed values", "`context.total` is -5, not at least 0"]),
            json!(["`context` has no `order`"]),
            Json::Null,
        ]
    );
}
