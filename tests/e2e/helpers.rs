//! The SDKs in `guest-sdk/`: for each language a filter in `tests/guests/` that uses the whole SDK; and the empty WASI
//! environment as seen by Go's runtime and a C library.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use weir_engine::{Chain, Engine, Filter, FilterSpec, Outcome, Worker};
use weir_record::{Aliases, Batch, Defaults, Level};

use super::clients::{curl, post, run};
use super::router::{Home, engine, eventually, repository, weir};

#[test]
fn the_whole_c_sdk_works() {
    everything("c");
}

#[test]
fn the_whole_zig_sdk_works() {
    everything("zig");
}

#[test]
fn the_whole_go_sdk_works() {
    everything("go");
}

#[test]
fn the_whole_assemblyscript_sdk_works() {
    everything("assemblyscript");
}

#[test]
fn a_c_filter_holds_another_record_instead() {
    holds_sums("c");
}

#[test]
fn a_javascript_filter_holds_another_record_instead() {
    holds_sums("js");
}

#[test]
fn a_c_library_sees_only_weirs_clock_and_log() {
    wasi("c", "wasi-c", "C");
}

#[test]
fn the_go_runtime_sees_only_weirs_clock_and_log() {
    wasi("go", "wasi-go", "Go");
}

/// Creates a project, replaces its example with a guest, and builds it.
fn build(home: &Home, language: &str, guest: &str) -> Vec<u8> {
    let project = home.path("made/mask");
    run(weir().args(["filter", "new", "mask", "--lang", language, "--folder"]).arg(&project));
    for file in std::fs::read_dir(repository().join("tests/guests").join(guest)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), project.join(file.file_name())).unwrap();
    }
    std::fs::write(project.join("samples.jsonl"), r#"{"message":"a sample","source":"noise"}"#).unwrap();
    if !guest.starts_with("wasi") && !guest.ends_with("-holding") {
        let options =
            "number = -5000000000\nfloat = -0.25\nnested.list = [{}, { text = 'T' }]\n".replace("'T'", OPTION);
        std::fs::write(project.join("options.toml"), options).unwrap();
    }
    run(weir().args(["filter", "build"]).arg(&project));
    std::fs::read(project.join("mask.wasm")).unwrap()
}

/// A guest that holds the sum of the numbers so far: the sum survives a crash, a swap and a stop.
fn holds_sums(language: &str) {
    let home = Home::new();
    let module = build(&home, language, &format!("{language}-holding"));
    let engine = engine();
    let load = || engine.load(&FilterSpec::new("sums"), &module).unwrap();
    let first = load();
    let counted = run_one(&engine, &first, &json!({ "message": "one", "n": 1 }));
    assert_eq!(shown(&counted.batch)[0]["message"], "counted");
    let (id, held) = counted.holding.held.into_iter().next().unwrap();

    let second = load();
    second.restore_held(vec![(id, held.record)]);
    let counted = run_one(&engine, &second, &json!({ "message": "two", "n": 2 }));
    assert_eq!(counted.holding.released, [id]);
    let (id, held) = counted.holding.held.into_iter().next().unwrap();
    let mut sum = Batch::new();
    sum.push(&held.record);
    let sum = shown(&sum);
    assert_eq!((&sum[0]["message"], &sum[0]["n"]), (&json!("sum"), &json!(3)));

    let third = load();
    second.hand_over(&third).unwrap();
    let said = run_one(&engine, &third, &json!({ "message": "show", "n": 4 }));
    assert_eq!((&shown(&said.batch)[0]["n"], said.holding.released), (&json!(7), vec![id]));
    run_one(&engine, &third, &json!({ "message": "more", "n": 5 }));
    let said = Worker::new(engine).tick(&Chain(vec![third]), true);
    assert_eq!((&shown(&said.batch)[0]["n"], said.holding.released.len()), (&json!(12), 1));
}

/// The same string in JSON and in TOML.
const OPTION: &str = r#""ü \"☃\"\n🦀""#;

fn spec() -> FilterSpec {
    let mut spec = FilterSpec::new("everything");
    let text: Value = serde_json::from_str(OPTION).unwrap();
    spec.options =
        json!({ "nested": { "list": [{}, { "text": text }] }, "number": -5_000_000_000_i64, "float": -0.25 });
    spec
}

fn everything(language: &str) {
    let home = Home::new();
    let module = build(&home, language, language);
    let engine = engine();
    let mut wrong = spec();
    wrong.options["shuot"] = json!(true);
    let refused = engine.load(&wrong, &module).unwrap_err().to_string();
    assert!(refused.contains("shuot"), "{refused}");
    let filter = engine.load(&spec(), &module).unwrap();
    decides(&engine, &filter);
    remembers(&engine, &module);
}

fn decides(engine: &Arc<Engine>, filter: &Arc<Filter>) {
    let changed = decided(
        engine,
        filter,
        &json!({
            "message": "change", "context": { "token": "t", "user": { "id": 7 } }, "secret": "s",
            "list": [1, { "deep": true }], "keep": 1,
        }),
    );
    let expected = json!([{
        "timestamp": "1970-01-01T00:00:00.000000001Z", "level": "ERROR", "source": "test", "message": "changed",
        "context": { "user": { "id": 7, "name": "Ada Lovelace", "age": 36 } }, "list": [1, { "deep": true }], "keep": 1,
        "a.b": "dotted", "ratio": 0.5, "ok": true, "routes": ["audit"], "copy": { "deep": true },
    }]);
    assert_eq!(changed, expected);

    let split = decided(
        engine,
        filter,
        &json!({ "message": "split", "level": "WARNING", "number": -7, "context": { "a": 1 } }),
    );
    assert_eq!(
        (&split[0]["message"], &split[0]["n"], &split[0]["level"]),
        (&json!("one"), &json!(-7), &json!("WARNING"))
    );
    assert_eq!((&split[1]["message"], &split[1]["context"]), (&json!("two"), &json!({ "a": 1 })));
    assert_eq!(split.as_array().map(Vec::len), Some(2));

    let stored = &decided(engine, filter, &json!({ "message": "store" }))[0];
    let kept = json!([stored["stored"], stored["gone"], stored["n"], stored["later"]]);
    assert_eq!(kept, json!(["kept", true, 5, true]));

    let wide: serde_json::Map<String, Value> = (0..20).map(|i| (format!("k{i}"), json!(i * 1000))).collect();
    // The keys of JSON objects are sorted: float, huge, large, list, many, most, none, wide, yes.
    let kinds = &decided(
        engine,
        filter,
        &json!({
            "message": "kinds", "huge": "x".repeat(70_000), "many": vec![1.5; 20], "wide": wide, "none": null, "yes": true,
            "large": -5_000_000_000_i64, "float": 2.5, "list": ["a", "b", "c"], "most": u64::MAX,
        }),
    )[0];
    let seen = json!([kinds["kinds"], kinds["sum"], kinds["length"], kinds["bounded"], kinds["nearest"]]);
    assert_eq!(seen, json!(["itttftiLLinMb", -4_999_999_997.5, 3, i64::MAX, u64::MAX as f64]));

    assert_eq!(decided(engine, filter, &json!({ "message": "x", "source": "noise" })), json!([]));
    let failed = run_one(engine, filter, &json!({ "message": "fail" }));
    assert!(failed.failed[0].reason.contains("no idea"), "{}", failed.failed[0].reason);
}

fn remembers(engine: &Arc<Engine>, module: &[u8]) {
    let old = engine.load(&spec(), module).unwrap();
    for _ in 0..3 {
        decided(engine, &old, &json!({ "message": "counted" }));
    }
    let new = engine.load(&spec(), module).unwrap();
    old.hand_over(&new).unwrap();
    decided(engine, &new, &json!({ "message": "counted" }));
    let said = Worker::new(engine.clone()).tick(&Chain(vec![new]), true);
    let said = shown(&said.batch);
    assert_eq!((&said[0]["message"], &said[0]["n"]), (&json!("seen"), &json!(4)), "{said}");
}

fn run_one(engine: &Arc<Engine>, filter: &Arc<Filter>, record: &Value) -> Outcome {
    let mut batch = Batch::new();
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 1,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let bad = weir_record::read_json(record.to_string().as_bytes(), &defaults, &mut batch);
    assert_eq!(bad, Ok(vec![]));
    Worker::new(engine.clone()).run(&Chain(vec![filter.clone()]), batch)
}

fn decided(engine: &Arc<Engine>, filter: &Arc<Filter>, record: &Value) -> Value {
    let outcome = run_one(engine, filter, record);
    assert!(outcome.failed.is_empty(), "{record}: {}", outcome.failed[0].reason);
    shown(&outcome.batch)
}

fn shown(batch: &Batch) -> Value {
    let records = batch.iter().map(|record| {
        let mut json = Vec::new();
        weir_record::write_json(record, &mut json);
        serde_json::from_slice(&json).unwrap()
    });
    Value::Array(records.collect())
}

fn wasi(language: &str, guest: &str, title: &str) {
    let home = Home::new();
    let module = build(&home, language, guest);
    // Sleeping must return at once: a filter has a quarter of a second.
    let mut router = home.start();
    home.put_filter("wasi", &module);
    router.wait_for_line("filter `wasi`");
    for _ in 0..3 {
        let answer = post(&router, r#"{"message":"look"}"#);
        assert_eq!(answer.body, r#"{"accepted":1}"#, "{}", router.stderr());
    }
    eventually("the console shows it", || router.stdout().contains("as_it_should_be"));
    router.wait_for_line(&format!("printed in {title}"));
    router.wait_for_line(&format!("an error in {title}"));
    for end in ["exit", "raise", "panic"] {
        let answer = post(&router, &format!(r#"{{"message":"{end}"}}"#));
        let ended = (language == "go") == (end == "panic");
        assert_eq!(answer.body.contains("\"quarantined\":1"), ended, "{end}: {}", answer.body);
    }
    if language == "go" {
        // The runtime prints it in pieces, each of which is a line here.
        router.wait_for_line("on purpose");
    }
    assert!(!Path::new("here").exists());
    assert!(curl(&router, "/health", &[], b"").status == 200);
}
