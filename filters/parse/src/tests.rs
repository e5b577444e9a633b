//! The filter as the operator sees it: options in, outcomes out.

use proptest::prelude::*;
use weir_guest::testing::{Json, Outcome, START_NS, json};

use crate::Parse;

type Bench = weir_guest::testing::Bench<Parse>;

fn read(options: Json, text: &str) -> Json {
    match Bench::with_options(options).run_one(json!({ "message": text })) {
        Outcome::Kept(record) | Outcome::Changed { record, .. } => record,
        other => panic!("no such outcome: {other:?}"),
    }
}

/// What a text reads as under `into`, with the record's own parts beside it.
fn fields(format: &str, text: &str) -> (Json, Json) {
    let mut record = read(json!({ "format": format, "into": "x" }), text);
    let fields = record["x"].take();
    record.as_object_mut().expect("a record is an object").remove("x");
    (record, fields)
}

#[test]
fn json_becomes_typed_fields_and_sets_parts_of_the_record() {
    let text = r#"{"ts":1767225601.5,"severity":"warn","msg":"näïve \"☃\"","n":18446744073709551615,"list":[1,{"a":null}],"deep":{"x":0.5},"none":null}"#;
    let record = read(json!({}), text);
    assert_eq!(
        record,
        json!({
            "timestamp": START_NS + 1_500_000_000, "level": "WARNING", "source": "test", "message": "näïve \"☃\"",
            "n": u64::MAX, "list": [1, { "a": null }], "deep": { "x": 0.5 },
        })
    );
}

#[test]
fn what_is_no_map_is_put_beside_context_and_metadata() {
    for text in [r#"{"msg":"hi","context":[1],"metadata":"x"}"#, r#"{"msg":"hi","context":{"a":1},"metadata":"x"}"#] {
        let record = read(json!({}), text);
        let is_map = text.contains(r#""context":{"#);
        assert_eq!(record.get("context"), is_map.then_some(&json!({ "a": 1 })), "{text}");
        assert_eq!(record.get("context_original"), (!is_map).then_some(&json!([1])), "{text}");
        assert_eq!((record.get("metadata"), &record["metadata_original"]), (None, &json!("x")), "{text}");
    }
}

#[test]
fn text_never_sets_routes_and_sets_source_only_if_configured() {
    let text = r#"{"routes":["audit"],"source":"other","message":5,"level":"LOUD","timestamp":"yesterday","a":1}"#;
    let record = read(json!({ "overwrite": true }), text);
    let expected = json!({ "timestamp": START_NS, "level": "INFO", "source": "test", "message": text, "a": 1 });
    assert_eq!(record, expected);
    let record = read(json!({ "set": ["source"] }), text);
    assert_eq!(record["source"], "other");
    let record = read(json!({ "prefix": "p_" }), text);
    assert_eq!((&record["p_routes"], &record["p_source"]), (&json!(["audit"]), &json!("other")));
}

#[test]
fn logfmt_has_quotes_escapes_flags_and_numbers() {
    let (record, fields) =
        fields("logfmt", r#"level=error msg="can't \"open\"\n" took=1.5 n=3 id=007 ok=true dry_run empty="#);
    assert_eq!((&record["level"], &record["message"]), (&json!("ERROR"), &json!("can't \"open\"\n")));
    let expected = json!({ "took": 1.5, "n": 3, "id": "007", "ok": true, "dry_run": true, "empty": "" });
    assert_eq!(fields, expected);
}

#[test]
fn key_value_is_found_in_sentences_with_custom_separators() {
    let (record, found) = fields("key_value", "user ada failed: code=42, reason=\"no room\"; x=");
    assert_eq!(found, json!({ "code": 42, "reason": "no room", "x": "" }));
    assert_eq!(record["message"], "user ada failed: code=42, reason=\"no room\"; x=");
    let options = json!({ "format": "key_value", "pair_separators": "|", "key_separator": ":", "into": "x" });
    assert_eq!(read(options, "a: 1 | b b:two words|c")["x"], json!({ "a": 1, "b b": "two words" }));
}

#[test]
fn access_logs_of_apache_and_nginx_are_parsed() {
    let common = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#;
    let (record, found) = fields("common", common);
    assert_eq!(record["timestamp"], 971_211_336_000_000_000_i64);
    assert_eq!(
        found,
        json!({ "client": "127.0.0.1", "user": "frank", "method": "GET", "path": "/apache_pb.gif",
                "protocol": "HTTP/1.0", "status": 200, "bytes": 2326 })
    );
    let combined = format!(r#"{common} "http://x/\"q\"" "curl/8.0 (x; y)""#);
    let (_, found) = fields("combined", &combined);
    assert_eq!((&found["referrer"], &found["user_agent"]), (&json!("http://x/\"q\""), &json!("curl/8.0 (x; y)")));
    let nginx = format!(r#"{combined} "10.0.0.9" rt=0.5"#);
    let (_, found) = fields("combined", &nginx);
    assert_eq!((&found["forwarded_for"], &found["rest"]), (&json!("10.0.0.9"), &json!("rt=0.5")));
    let scanner = r#"::1 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 -"#;
    let (_, found) = fields("common", scanner);
    assert_eq!(found, json!({ "client": "::1", "request": "\\x16\\x03\\x01", "status": 400 }));
}

#[test]
fn error_logs_of_nginx_and_apache_are_parsed() {
    let nginx = r#"2026/11/20 10:00:00 [error] 31#32: *5 open() "/srv/x" failed (2: No such file or directory), client: 10.0.0.1, server: _, request: "GET /x HTTP/1.1", upstream: "http://10.0.0.2:80/x", host: "a.example""#;
    let (record, found) = fields("nginx_error", nginx);
    assert_eq!(record["level"], "ERROR");
    assert_eq!(record["message"], "open() \"/srv/x\" failed (2: No such file or directory)");
    assert_eq!(record["timestamp"], 1_795_168_800_000_000_000_i64);
    assert_eq!(
        found,
        json!({ "pid": 31, "tid": 32, "connection": 5, "client": "10.0.0.1", "server": "_",
                "request": "GET /x HTTP/1.1", "upstream": "http://10.0.0.2:80/x", "host": "a.example" })
    );
    let apache = "[Fri Nov 20 10:00:00.123456 2026] [core:crit] [pid 35708:tid 432] [client 10.0.0.1:5000] AH00128: File does not exist: /x";
    let (record, found) = fields("apache_error", apache);
    assert_eq!((&record["level"], &record["message"]), (&json!("CRITICAL"), &json!("File does not exist: /x")));
    assert_eq!(record["timestamp"], 1_795_168_800_123_456_000_i64);
    assert_eq!(
        found,
        json!({ "module": "core", "pid": 35708, "tid": 432, "client": "10.0.0.1:5000", "code": "AH00128" })
    );
}

#[test]
fn both_syslog_formats_are_parsed() {
    let new = "<165>1 2026-11-20T10:00:00.003Z host.example evntslog 111 ID47 [ex@1 iut=\"3\" src=\"a \\\"b\\] c\"][two@2] \u{feff}An event";
    let (record, found) = fields("syslog", new);
    assert_eq!((&record["level"], &record["message"]), (&json!("INFO"), &json!("An event")));
    assert_eq!(record["timestamp"], 1_795_168_800_003_000_000_i64);
    assert_eq!(
        found,
        json!({ "facility": "local4", "host": "host.example", "app": "evntslog", "pid": 111, "msg_id": "ID47",
                "structured": { "ex@1": { "iut": "3", "src": "a \"b] c" }, "two@2": {} } })
    );
    let old = "<34>Oct 11 22:14:15 mymachine su[7]: 'su root' failed for lonvick on /dev/pts/8\n";
    let (record, found) = fields("syslog", old);
    assert_eq!(
        (&record["level"], &record["message"]),
        (&json!("CRITICAL"), &json!("'su root' failed for lonvick on /dev/pts/8"))
    );
    assert_eq!(record["timestamp"], 1_760_220_855_000_000_000_i64, "October before the record's January");
    assert_eq!(found, json!({ "facility": "auth", "host": "mymachine", "app": "su", "pid": 7 }));
    let file = "Jan  2 03:04:05 web kernel: [    0.0] Linux";
    let (record, found) = fields("syslog3164", file);
    assert_eq!((&record["message"], found), (&json!("[    0.0] Linux"), json!({ "host": "web", "app": "kernel" })));
    let local = "<13>2026-01-02T03:04:05.5+01:00 root: hi";
    let (record, found) = fields("syslog3164", local);
    assert_eq!((&record["message"], &found["app"], &found["host"]), (&json!("hi"), &json!("root"), &json!(null)));
}

#[test]
fn named_groups_become_fields_of_the_configured_types() {
    let options = json!({
        "format": "regex", "into": "x", "types": { "id": "text", "took": "float", "ok": "boolean", "n": "integer" },
        "patterns": ["^never(?<x>)$", r"(?<id>\d+) took (?<took>\d+) (?<ok>yes|no) (?<n>\w+)( (?<none>z))?"],
    });
    let record = read(options, "job 17 took 5 yes many, done");
    assert_eq!(record["x"], json!({ "id": "17", "took": 5.0, "ok": true, "n": "many" }));
}

#[test]
fn auto_recognises_each_format_but_not_prose() {
    for (text, path, expected) in [
        (r#" {"a":1} "#, "/a", json!(1)),
        ("<13>Jan  1 00:00:00 h app: x", "/app", json!("app")),
        (r#"::1 - - [01/Jan/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#, "/user_agent", json!("curl")),
        ("2026/01/01 00:00:00 [warn] 1#1: x", "/pid", json!(1)),
        ("[Thu Jan 01 00:00:00 2026] [error] x", "/level", json!("ERROR")),
        ("a=1 b.c=\"x y\"", "/b.c", json!("x y")),
        ("took 5 ms", "/took", json!(5)),
    ] {
        let record = read(json!({ "patterns": [r"^took (?<took>\d+) ms$"] }), text);
        assert_eq!(record.pointer(path), Some(&expected), "{text}");
    }
    for text in ["", "hello", "a = b", "x=1", "user=5 logged in", "[x] {}", "see http://a/?b=c&d=e now", "[1,2]", "{}x"]
    {
        let mut bench = Bench::with_options(json!({}));
        assert!(bench.run_one(json!({ "message": text })).is_kept(), "{text}");
        assert_eq!(bench.counter("unparsed"), 1, "{text}");
    }
}

#[test]
fn existing_values_stay_unless_overwrite_is_set() {
    let record = json!({ "message": r#"{"a":1,"b":2,"c":{"x":1}}"#, "a": "mine", "b": null, "c": { "y": 2 } });
    let run = |options| Bench::with_options(options).run_one(record.clone()).record().clone();
    let kept = run(json!({}));
    assert_eq!((&kept["a"], &kept["b"], &kept["c"]), (&json!("mine"), &json!(2), &json!({ "y": 2 })));
    let replaced = run(json!({ "overwrite": true }));
    assert_eq!((&replaced["a"], &replaced["c"]), (&json!(1), &json!({ "x": 1 })));
    let mut bench = Bench::with_options(json!({ "into": "a.b" }));
    assert!(bench.run_one(record.clone()).is_kept(), "a text stands in the way");
    assert_eq!(bench.counter("in_the_way"), 1);
    assert_eq!(run(json!({ "into": "a.b", "overwrite": true }))["a"]["b"]["b"], 2);
    assert_eq!(run(json!({ "into": "c" }))["c"], json!({ "y": 2, "a": 1, "b": 2, "c": { "x": 1 } }));
}

#[test]
fn another_field_can_be_parsed_removed_and_replaced_by_its_fields() {
    let record = json!({ "message": "m", "context": { "raw": r#"{"a":1}"# } });
    let options = json!({ "field": "context.raw", "format": "json", "into": "context.raw", "remove_text": true });
    assert_eq!(Bench::with_options(options).run_one(record.clone()).record()["context"], json!({ "raw": { "a": 1 } }));
    let options = json!({ "field": "context.raw", "format": "json", "remove_text": true });
    let outcome = Bench::with_options(options).run_one(record);
    assert_eq!((&outcome.record()["context"], &outcome.record()["a"]), (&json!({}), &json!(1)));
    let absent = Bench::with_options(json!({ "field": "context.raw" })).run_one(json!({ "context": { "raw": 5 } }));
    assert!(absent.is_kept());
}

#[test]
fn a_whole_field_may_be_a_time() {
    let options =
        json!({ "field": "when", "format": "time", "time_formats": ["%d.%m.%Y %H:%M"], "time_zone": "+01:00" });
    let outcome = Bench::with_options(options).run_one(json!({ "when": "02.01.2026 01:00" }));
    assert_eq!(outcome.record()["timestamp"], START_NS + 86_400_000_000_000);
}

#[test]
fn text_that_fails_to_parse_is_kept_tagged_or_dropped() {
    let broken = json!({ "message": r#"{"a": [1, 2"# });
    assert!(Bench::with_options(json!({ "format": "json" })).run_one(broken.clone()).is_kept());
    assert!(Bench::with_options(json!({ "format": "json", "on_fail": "drop" })).run_one(broken.clone()).is_dropped());
    let mut bench = Bench::with_options(json!({ "format": "json", "on_fail": "tag", "fail_route": "unparsed" }));
    let outcome = bench.run_one(broken);
    assert_eq!(outcome.record()["parse_error"], "the JSON is truncated");
    assert_eq!(outcome.record()["routes"], json!(["unparsed"]));
    assert_eq!(bench.counter("unparsed"), 1);
}

#[test]
fn hostile_text_fails_fast() {
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let lists = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let wide: String = (0..10_000).map(|n| format!("k{n}=1 ")).collect();
    let wide_json = format!("{{{}\"z\":1}}", (0..10_000).map(|n| format!("\"k{n}\":1,")).collect::<String>());
    let long = "a".repeat(1 << 20);
    let quotes = format!("a=\"{}", "\\\"".repeat(1 << 19));
    let elements = format!("<1>1 - - - - - {}", "[a]".repeat(100_000));
    for text in [deep, lists, wide, wide_json, long, quotes, elements] {
        let mut bench = Bench::with_options(
            json!({ "format": ["auto", "logfmt", "key_value", "regex"], "patterns": ["(?<x>b+)c"] }),
        );
        bench.run_one(json!({ "message": text }));
    }
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({ "formt": "json" }), "unknown field `formt`, expected one of `field`, `format`"),
        (json!({ "format": "xml" }), "option `format`: a format is auto, json, logfmt"),
        (json!({ "format": [] }), "name at least one format"),
        (json!({ "format": "regex" }), "option `patterns`: format `regex` needs at least one"),
        (json!({ "format": "json", "patterns": ["(?<a>b)"] }), "only used by the formats"),
        (json!({ "patterns": ["a"] }), "option `patterns[0]`: `a` has no named group"),
        (json!({ "patterns": ["(?<a>b"] }), "option `patterns[0]`: `(?<a>b` is not a valid regular expression"),
        (json!({ "patterns": ["(?<a>\\w{900}{900})"] }), "not a valid regular expression"),
        (json!({ "field": "" }), "option `field`: it is empty"),
        (json!({ "into": "level" }), "option `into`: it is a reserved field"),
        (json!({ "error_path": "message" }), "option `error_path`"),
        (json!({ "remove_text": true }), "every record has `message`"),
        (json!({ "fail_route": "x" }), "it requires on_fail = \"tag\""),
        (json!({ "time_zone": "Europe/Berlin" }), "option `time_zone`: `Europe/Berlin` is not a time zone"),
        (json!({ "time_formats": ["%Y-%m-%d", "%J"] }), "option `time_formats[1]`: `%J` is not supported"),
        (json!({ "types": { "a": "int" } }), "option `types.a`: unknown variant `int`, expected one of"),
        (json!({ "set": ["routes"] }), "option `set[0]`: unknown variant `routes`"),
        (json!({ "pair_separators": "" }), "option `pair_separators`"),
        (json!({ "key_separator": ";" }), "option `key_separator`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

/// Lines of every form, whole.
const LINES: [&str; 8] = [
    r#"{"time":"2026-11-20T10:00:00Z","a":{"b":[1,"\u00e9"]},"msg":"x"}"#,
    r#"level=info msg="a \"b\"" n=5"#,
    r#"::1 - ada [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "curl" "10.0.0.1" x"#,
    r#"2026/11/20 10:00:00 [error] 31#32: *5 x, client: 10.0.0.1, request: "GET / HTTP/1.1""#,
    "[Fri Nov 20 10:00:00.123456 2026] [core:error] [pid 1:tid 2] [client ::1] AH00128: x",
    "<165>1 2026-11-20T10:00:00.003Z h app 1 ID [a@1 b=\"c\"] said",
    "<34>Oct 11 22:14:15 h su[7]: said",
    "Jan  2 03:04:05 h kernel: said",
];

proptest! {
    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,80}|[{}\\[\\]\":,a1\\\\ ]{0,60}|[a-c=\" \\\\]{0,40}|<[0-9]{1,3}>.{0,60}") {
        for format in ["auto", "json", "logfmt", "key_value", "common", "combined", "nginx_error", "apache_error", "syslog", "syslog5424", "time"] {
            Bench::with_options(json!({ "format": format })).run_one(json!({ "message": text }));
        }
    }

    #[test]
    fn no_cut_or_mixed_line_causes_a_panic(
        line in prop::sample::select(LINES.to_vec()),
        other in prop::sample::select(LINES.to_vec()),
        at in 0..120_usize,
        middle in "\\PC{0,3}|[\\[\\]<>\": ]",
    ) {
        let (at, end) = (line.floor_char_boundary(at), other.floor_char_boundary(other.len() - at.min(other.len())));
        let text = format!("{}{middle}{}", &line[..at], &other[end..]);
        for format in ["auto", "logfmt", "key_value", "common", "combined", "nginx_error", "apache_error", "syslog"] {
            Bench::with_options(json!({ "format": format })).run_one(json!({ "message": text }));
        }
    }

    #[test]
    fn json_of_another_writer_round_trips(object in object()) {
        let record = read(json!({ "format": "json", "into": "x", "set": [] }), &object.to_string());
        prop_assert_eq!(&record["x"], &object);
    }
}

fn object() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e9..1e9).prop_map(|n: f64| Json::from(n)),
        "\\PC{0,8}".prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(4, 24, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Json::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..20)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("\\PC{1,4}", value, 1..20).prop_map(|map| Json::Object(map.into_iter().collect()))
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let samples = samples.map(|line| serde_json::from_str(line).expect("a sample is JSON"));
    let outcomes = bench.run(samples);
    assert_eq!(outcomes[0].record()["context"], json!({ "order": 17, "took_ms": 3.5 }));
    assert_eq!(outcomes[1].record()["context"]["status"], 502);
    assert_eq!(outcomes[2].record()["context"], json!({ "user": "ada", "tries": 3 }));
    assert_eq!(outcomes[3].record()["routes"], json!(["unparsed"]));
    assert_eq!(bench.counter("unparsed"), 1);
}
