//! The filter as the operator sees it: options in, outcomes out.

use serde_json::{Value as Json, json};
use weir_guest::testing::Outcome;
use weir_guest::{BatchFilter, Encode, Output, Record, Value, encode};

use crate::Enrich;
use crate::limits::{MAX_MESSAGE_BYTES, MAX_PATHS, MAX_TABLES};

type Bench = weir_guest::testing::Bench<Enrich>;

/// The record afterwards, without what every record has.
fn enriched(options: Json, record: Json) -> Json {
    let mut record = Bench::with_options(options).run_one(record).record().clone();
    if let Json::Object(map) = &mut record {
        for key in ["timestamp", "level", "source", "message"] {
            map.remove(key);
        }
    }
    record
}

/// The patch that the filter writes.
fn patch(options: Json, record: Json) -> Json {
    match Bench::with_options(options).run_one(record) {
        Outcome::Changed { patch, .. } => patch,
        other => panic!("the record was not changed, but {other:?}"),
    }
}

#[test]
fn static_fields_are_added_with_their_types_and_maps_as_paths() {
    let options = json!({ "fields": {
        "context.region": "eu-west-1",
        "größe": { "in": { "m": 1.5 } },
        "rack": 12,
        "on": true,
        "zones": ["a", 2],
    } });
    assert_eq!(
        enriched(options, json!({ "context": { "user": "u" } })),
        json!({
            "context": { "user": "u", "region": "eu-west-1" },
            "größe": { "in": { "m": 1.5 } },
            "rack": 12,
            "on": true,
            "zones": ["a", 2],
        })
    );
}

#[test]
fn sender_values_stay_unless_overwrite_is_set() {
    let fields = json!({ "a": 1, "b.c": 1, "d.e": 1, "f": 1, "l.x": 1 });
    let record = json!({ "a": 0, "b": { "c": 0 }, "d": "text", "f": null, "l": [5] });
    assert_eq!(
        enriched(json!({ "fields": fields }), record.clone()),
        json!({ "a": 0, "b": { "c": 0 }, "d": "text", "f": 1, "l": [5] })
    );
    assert_eq!(
        enriched(json!({ "fields": fields, "overwrite": true }), record),
        json!({ "a": 1, "b": { "c": 1 }, "d": { "e": 1 }, "f": 1, "l": { "x": 1 } })
    );
}

#[test]
fn the_host_name_is_added_at_host_path() {
    assert_eq!(enriched(json!({ "host_name": "web-1" }), json!({})), json!({ "context": { "host": "web-1" } }));
    assert_eq!(
        enriched(json!({ "host_name": "web-1", "host_path": "host\\.name" }), json!({})),
        json!({ "host.name": "web-1" })
    );
}

#[test]
fn copies_and_renames_move_values_of_every_kind() {
    let options = json!({
        "copy": { "context.user": "who", "tags.1": "second" },
        "rename": { "usr.id": "context.user.id", "n": "metadata.n" },
    });
    let record = json!({
        "context": { "user": { "name": "Ada" } },
        "usr": { "id": 7 },
        "n": [1, { "x": null }],
        "tags": ["a", "b"],
    });
    assert_eq!(
        enriched(options, record),
        json!({
            "context": { "user": { "name": "Ada", "id": 7 } },
            "who": { "name": "Ada" },
            "usr": {},
            "metadata": { "n": [1, { "x": null }] },
            "tags": ["a", "b"],
            "second": "b",
        })
    );
}

#[test]
fn fields_can_be_swapped_and_moved_into_themselves() {
    let swap = json!({ "rename": { "a": "b", "b": "a" } });
    assert_eq!(enriched(swap, json!({ "a": 1, "b": 2 })), json!({ "a": 2, "b": 1 }));
    let wrap = json!({ "rename": { "a": "a.value" } });
    assert_eq!(enriched(wrap, json!({ "a": 1 })), json!({ "a": { "value": 1 } }));
    let unwrap = json!({ "rename": { "a.value": "a" } });
    assert_eq!(enriched(unwrap, json!({ "a": { "value": 1, "x": 2 } })), json!({ "a": 1 }));
}

#[test]
fn without_anything_to_move_or_remove_the_record_is_unchanged() {
    let options = json!({
        "copy": { "a": "b" }, "rename": { "c": "d" }, "remove": ["e.f", "g"],
        "tables": [{ "field": "h", "csv": "k,v\n1,2\n" }],
    });
    let mut bench = Bench::with_options(options);
    assert!(bench.run_one(json!({})).is_kept());
    assert!(bench.run_one(json!({ "a": null, "c": null, "d": 5, "e": "text" })).is_kept());
}

#[test]
fn values_moved_to_keys_with_a_meaning_are_converted_or_stay() {
    let to = |target: &str, value: Json| {
        let options = json!({ "rename": { "x": target } });
        let mut bench = Bench::with_options(options);
        bench.run_one(json!({ "x": value, "level": "DEBUG" })).record().clone()
    };
    assert_eq!(to("message", json!(5))["message"], json!("5"));
    assert_eq!(to("message", json!({ "a": [1] }))["message"], json!("{\"a\":[1]}"));
    assert_eq!(to("source", json!("auth"))["source"], json!("auth"));
    assert_eq!(to("level", json!("warn"))["level"], json!("WARNING"));
    assert_eq!(to("context", json!({ "a": 1 }))["context"], json!({ "a": 1 }));
    let scalar = to("context", json!("a"));
    assert_eq!((scalar.get("context"), &scalar["x"]), (None, &json!("a")));
    let unknown = to("level", json!("loud"));
    assert_eq!((&unknown["level"], &unknown["x"]), (&json!("DEBUG"), &json!("loud")));
}

#[test]
fn a_value_is_looked_up_and_the_cells_of_its_row_are_added() {
    let options = json!({ "tables": [{
        "field": "context.user.id",
        "prefix": "context.user",
        "csv": "\u{feff}id,name,team,a.b\r\n7,\"Lovelace, \"\"Ada\"\"\",engines,x\r\n8,Zuse,,\r\nü,東,京,\r\n",
    }] });
    for (id, expected) in [
        (json!("7"), json!({ "id": "7", "name": "Lovelace, \"Ada\"", "team": "engines", "a.b": "x" })),
        (json!(7), json!({ "id": 7, "name": "Lovelace, \"Ada\"", "team": "engines", "a.b": "x" })),
        (json!(8), json!({ "id": 8, "name": "Zuse" })),
        (json!("ü"), json!({ "id": "ü", "name": "東", "team": "京" })),
        (json!("9"), json!({ "id": "9" })),
        (json!(null), json!({ "id": null })),
        (json!(["7"]), json!({ "id": ["7"] })),
    ] {
        let record = json!({ "context": { "user": { "id": id } } });
        assert_eq!(enriched(options.clone(), record)["context"]["user"], expected);
    }
}

#[test]
fn tables_see_fields_added_by_earlier_steps() {
    let options = json!({
        "rename": { "usr": "context.id" },
        "tables": [
            { "field": "context.id", "csv": "id,team\n7,engines\n" },
            { "field": "context.team", "csv": "floor,team\n3,engines\n", "key": "team", "columns": ["floor"] },
        ],
    });
    assert_eq!(
        enriched(options, json!({ "usr": 7 })),
        json!({ "context": { "id": 7, "team": "engines", "floor": "3" } })
    );
}

#[test]
fn cells_replace_existing_values_only_with_overwrite() {
    let table = json!([{ "field": "id", "csv": "id,team\n7,new\n" }]);
    let record = json!({ "id": 7, "context": { "team": "old" } });
    let mut bench = Bench::with_options(json!({ "tables": table }));
    assert!(bench.run_one(record.clone()).is_kept());
    let options = json!({ "tables": table, "overwrite": true });
    assert_eq!(patch(options, record), json!({ "context": { "team": "new" } }));
}

#[test]
fn templates_see_the_changes_of_earlier_steps() {
    let options = json!({
        "fields": { "context.region": "eu" },
        "message": "[{timestamp}] {{{source}}} {message} {context.region} {context.user.id|nobody} {n}{absent}",
        "remove": ["n", "context.region"],
    });
    let record = json!({ "source": "auth", "message": "naïve ☃", "n": [1, "x"] });
    assert_eq!(
        patch(options, record),
        json!({
            "message": "[2026-01-01T00:00:00.000000000Z] {auth} naïve ☃ eu nobody [1,\"x\"]",
            "n": null,
        })
    );
}

#[test]
fn an_equal_message_changes_nothing_and_a_long_one_is_cut() {
    assert!(Bench::with_options(json!({ "message": "{message}" })).run_one(json!({ "message": "a" })).is_kept());
    let options = json!({ "message": "{message}{message}" });
    let long = "é".repeat(MAX_MESSAGE_BYTES / 2 - 1);
    let message = patch(options, json!({ "message": long }))["message"].clone();
    assert_eq!(message.as_str().map(str::len), Some(MAX_MESSAGE_BYTES));
}

#[test]
fn values_that_json_lacks_are_moved_unchanged() {
    let mut record = Vec::new();
    encode::map_header(&mut record, 2);
    encode::str(&mut record, "bytes");
    encode::bin(&mut record, &[0xff, 0]);
    encode::str(&mut record, "ext");
    Value::Ext(5, &[1, 2]).encode(&mut record);
    let mut bench = Bench::with_options(json!({
        "rename": { "bytes": "a.bytes", "ext": "a.ext" },
        "tables": [{ "field": "bytes", "csv": "k,v\nx,y\n" }],
    }));
    let mut output = Output::new();
    bench.filter().process_batch(&record, &mut output).expect("the batch is valid");
    let (verdicts, records) = output.into_parts();
    assert_eq!(verdicts, [2]);
    let (patch, _) = Record::read(&records).expect("a patch was written");
    assert_eq!(patch.get("a.bytes"), Some(Value::Bin(&[0xff, 0])));
    assert_eq!(patch.get("a.ext"), Some(Value::Ext(5, &[1, 2])));
}

#[test]
fn no_options_and_an_empty_record_are_valid() {
    assert!(Bench::with_options(json!({})).run_one(json!({})).is_kept());
    let mut bench = Bench::with_options(json!({ "fields": { "a": 1 }, "message": "{message}" }));
    let mut output = Output::new();
    bench.filter().process_batch(&[0x80], &mut output).expect("an empty map");
    assert_eq!(output.into_parts().0, [2]);
}

#[test]
fn invalid_options_are_refused_with_their_place_and_a_hint() {
    let table = |table: Json| json!({ "tables": [table] });
    for (options, expected) in [
        (json!({ "field": {} }), "unknown field `field`, expected one of `overwrite`, `fields`"),
        (json!({ "overwrite": "yes" }), "option `overwrite`"),
        (json!({ "fields": { "a..b": 1 } }), "option `fields.a..b`: the path `a..b` has an empty key"),
        (json!({ "fields": { "a": {} } }), "option `fields.a`: an empty map"),
        (json!({ "fields": { "level": "INFO" } }), "every record has one already; set overwrite = true"),
        (json!({ "fields": { "level": "LOUD" }, "overwrite": true }), "option `fields.level`: it must be TRACE"),
        (json!({ "fields": { "source": 5 }, "overwrite": true }), "option `fields.source`: it must be text"),
        (json!({ "fields": { "context": 5 } }), "option `fields.context`: it must be a map"),
        (json!({ "fields": { "timestamp": 5 } }), "can't be the same for all records"),
        (json!({ "host_name": "" }), "option `host_name`"),
        (json!({ "host_name": "${HOSTNAME}" }), "give Weir the environment variable"),
        (json!({ "host_name": "a", "host_path": "level" }), "option `host_path`: `level` can't be text"),
        (json!({ "rename": { "a": "a" } }), "option `rename.a`: both paths are the same"),
        (json!({ "rename": { "source": "a" } }), "every record has `source`; use `copy`"),
        (json!({ "rename": { "a": 5 } }), "option `rename.a`"),
        (json!({ "copy": { "a": "timestamp" } }), "option `copy.a`: `timestamp` can't be a target"),
        (json!({ "copy": { "a": "routes" } }), "the filter `route` adds labels"),
        (json!({ "remove": ["message"] }), "option `remove`: every record has `message`"),
        (json!({ "remove": "a" }), "option `remove`"),
        (json!({ "message": "{source" }), "option `message`: a `{` is not closed"),
        (json!({ "message": "{a..b}" }), "option `message`: the path `a..b`"),
        (table(json!({ "csv": "a,b\n" })), "missing field `field`"),
        (table(json!({ "field": "a", "csv": "a,b\n", "file": "x" })), "unknown field `file`"),
        (table(json!({ "field": "a", "csv": "a,b\n1\n" })), "option `tables[0]`: `csv`: line 2 has 1 cells"),
        (table(json!({ "field": "a", "csv": "a,b\n", "key": "c" })), "`key`: there is no column `c`"),
        (table(json!({ "field": "a", "csv": "a,b\n", "columns": ["c"] })), "the columns are a, b"),
        (
            table(json!({ "field": "a", "csv": "a,b\n", "prefix": "level" })),
            "option `tables[0].prefix`: `level` can't contain fields",
        ),
        (table(json!({ "field": "", "csv": "a,b\n" })), "option `tables[0].field`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

#[test]
fn limits_are_enforced() {
    let many: serde_json::Map<String, Json> = (0..=MAX_PATHS).map(|n| (format!("f{n}"), json!("x"))).collect();
    let paths: Vec<&String> = many.keys().collect();
    for (options, option) in [
        (json!({ "fields": many }), "fields"),
        (json!({ "copy": many }), "copy"),
        (json!({ "rename": many }), "rename"),
        (json!({ "remove": paths }), "remove"),
    ] {
        let error = Bench::refused(options);
        assert!(error.contains(&format!("option `{option}`: more than the 256")), "{error}");
    }
    let tables = vec![json!({ "field": "a", "csv": "a,b\n" }); MAX_TABLES + 1];
    assert!(Bench::refused(json!({ "tables": tables })).contains("more than the 16 tables"));
    let deep = vec!["a"; 33].join(".");
    assert!(Bench::refused(json!({ "remove": [deep] })).contains("a path of 33 keys"));
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let samples = samples.map(|line| serde_json::from_str(line).expect("a sample is JSON"));
    let outcomes = bench.run(samples);
    assert_eq!(outcomes.len(), 3);
    let first = outcomes[0].record();
    assert_eq!(first["message"], json!("order placed (user Lovelace, Ada)"));
    assert_eq!(
        first["context"],
        json!({
            "request_id": "r-1", "region": "eu-west-1", "host": "web-1",
            "user": { "id": "u-7", "name": "Lovelace, Ada", "team": "engines" },
        })
    );
    assert_eq!(first["metadata"], json!({ "trace": "r-1" }));
    assert_eq!((&first["datacenter"]["rack"], first.get("usr")), (&json!(12), None));
    let second = outcomes[1].record();
    assert_eq!(second["context"]["region"], json!("us-east-1"));
    assert_eq!(second["message"], json!("order failed (user unknown)"));
    assert_eq!(outcomes[2].record()["context"], json!("a text where a map is usual"));
}
