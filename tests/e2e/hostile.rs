//! Hostile filters in a running router: each is contained, the other traffic is unaffected, and the operator gets one
//! readable line.

#[path = "../hostile/mod.rs"]
#[allow(dead_code, reason = "the engine's own tests use the others")]
pub mod guests;

use guests::MARKER;

use super::clients::{curl, post};
use super::router::{Home, eventually};

const CONFIGURATION: &str = r#"
[[filter]]
name = "hostile"
module = "hostile.wasm"
timeout = "500ms"
memory = "64MiB"
max_output = "1MiB"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// Ten records, one of them marked.
fn records() -> String {
    let all: Vec<_> = (0..10)
        .map(|n| match n {
            3 => format!(r#"{{"n":3,"message":"{MARKER}"}}"#),
            n => format!(r#"{{"n":{n},"message":"harmless"}}"#),
        })
        .collect();
    format!("[{}]", all.join(","))
}

fn lines(home: &Home) -> usize {
    std::fs::read_to_string(home.path("out.jsonl")).map_or(0, |all| all.lines().count())
}

#[test]
fn each_hostile_filter_is_contained_and_only_its_bad_record_is_quarantined() {
    for (guest, reason) in guests::HOSTILE {
        // What a filter returns has to be read within a part of the time, and this one returns very much.
        let timeout = if guest.0 == "bomb" { "10s" } else { "500ms" };
        let home = Home::with(&CONFIGURATION.replace("500ms", timeout));
        home.put_filter("hostile", &guests::module(*guest));
        let router = home.start();
        let answer = post(&router, &records());
        let json = answer.json();
        assert_eq!(answer.status, 200, "{}: {json}", guest.0);
        assert_eq!((&json["accepted"], &json["quarantined"]), (&9.into(), &1.into()), "{}: {json}", guest.0);
        assert_eq!(json["errors"][0]["record"], 3, "{}: {json}", guest.0);
        let said = json["errors"][0]["error"].as_str().unwrap().to_lowercase();
        assert!(said.contains(reason) && !said.contains('\n'), "{}: {said}", guest.0);
        // The next request is unaffected.
        assert_eq!(post(&router, r#"{"message":"after"}"#).body, r#"{"accepted":1}"#, "{}", guest.0);
        eventually("the others arrive", || lines(&home) == 10);
        eventually("the operator can see it", || {
            curl(&router, "/metrics", &[], b"").body.lines().any(|line| {
                line.starts_with("weir_filter_errors_total") && line.contains("hostile") && !line.ends_with(" 0")
            })
        });
    }
}

#[test]
fn on_error_pass_lets_records_through_and_reject_returns_an_error() {
    let home = Home::with(&CONFIGURATION.replace("timeout", "on_error = \"pass\"\ntimeout"));
    home.put_filter("hostile", &guests::module(guests::TRAP));
    let router = home.start();
    assert_eq!(post(&router, &records()).body, r#"{"accepted":10}"#);
    eventually("all arrive", || lines(&home) == 10);
    drop(router);

    let home = Home::with(&CONFIGURATION.replace("timeout", "on_error = \"reject\"\ntimeout"));
    home.put_filter("hostile", &guests::module(guests::TRAP));
    let router = home.start();
    let some = post(&router, &records());
    assert_eq!((some.status, &some.json()["rejected"]), (200, &1.into()), "{some:?}");
    let all = post(&router, &format!(r#"{{"message":"{MARKER}"}}"#));
    assert_eq!(all.status, 422, "{all:?}");
    eventually("the others arrive", || lines(&home) == 9);
}

#[test]
fn a_filter_that_keeps_failing_is_shown_as_failing_and_others_continue() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("hostile", &guests::module(guests::TRAP));
    let router = home.start();
    for _ in 0..20 {
        assert_eq!(post(&router, &records()).json()["accepted"], 9);
    }
    let health = curl(&router, "/health", &[], b"").json();
    let state = health["filters"][0]["state"].as_str().unwrap().to_string();
    assert!(state.starts_with("failing"), "{state}");
    eventually("the others arrive", || lines(&home) == 180);
}

#[test]
fn a_module_that_is_not_a_filter_never_replaces_a_running_one() {
    let home = Home::with(CONFIGURATION);
    let good = guests::module(guests::KEEP);
    home.put_filter("hostile", &good);
    let mut router = home.start();
    let truncated = &good[..good.len() / 2];
    let strange = guests::assemble("(module (import \"env\" \"open\" (func)) (func (export \"main\")))");
    for (number, bytes) in [&b""[..], truncated, b"no module at all", &strange].into_iter().enumerate() {
        home.put_filter("hostile", bytes);
        eventually("it is refused", || {
            router.stderr().lines().filter(|line| line.contains("the running version stays")).count() == number + 1
        });
        assert_eq!(post(&router, r#"{"message":"still here"}"#).body, r#"{"accepted":1}"#);
    }
    let refusals = router.stderr();
    for line in refusals.lines().filter(|line| line.contains("stays")) {
        assert!(line.contains("ERROR") && line.contains("hostile"), "{line}");
    }
    router.wait_for_line("stays");
}

#[test]
fn a_configured_filter_that_cannot_be_loaded_prevents_the_start() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("hostile", b"");
    let output = super::router::weir()
        .current_dir(home.path(""))
        .args(["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("hostile") && said.contains("empty"), "{said}");
}

/// Logs, and reports about itself, megabytes of text that looks like Weir's own lines and contains terminal escapes.
fn forger() -> Vec<u8> {
    let said = r#"x\0a2026-11-28T00:00:00Z ERROR forged\1b[2J\e2\80\ae"#;
    let configure = r#"(func (export "weir:filter/lifecycle@1.0.0#configure") (param i32 i32) (result i32)"#;
    let text = guests::text(guests::KEEP)
        .replacen(
            "(module",
            r#"(module (import "weir:filter/host@1.0.0" "log" (func $log (param i32 i32 i32)))"#,
            1,
        )
        .replacen(
            configure,
            &format!(r#"(data (i32.const 700) "{said}") {configure} (call $log (i32.const 3) (i32.const 700) (i32.const 42))"#),
            1,
        )
        .replacen(r#""guest""#, r#""g\1b[2m""#, 1)
        .replacen("(memory (export \"memory\") 2)", "(memory (export \"memory\") 64)", 1)
        .replacen("(i32.const 136) (i32.const 48) (i32.const 5)", "(i32.const 136) (i32.const 700) (i32.const 400000)", 1);
    guests::assemble(&text)
}

#[test]
fn filter_output_cannot_forge_lines_control_terminals_or_flood_answers() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("hostile", &forger());
    let mut router = home.start();
    let line = router.wait_for_line("forged");
    assert!(
        line.contains("hostile") && line.contains(r"x\n2026-11-28T00:00:00Z ERROR forged\x1b[2J\u{202e}"),
        "{line}"
    );
    let health = curl(&router, "/health", &[], b"").body;
    assert!(health.len() < 10_000, "{} bytes", health.len());
    let list =
        super::router::weir().current_dir(home.path("")).args(["filter", "list", "--config", "weir.toml"]).output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    // After the banner, which also shows the version.
    router.wait_for_line("try ");
    for text in [&health, &list, &router.stderr()] {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']), "{text:?}");
        assert!(text.lines().all(|line| !line.starts_with("2026-11-28T00:00:00Z ERROR")), "{text}");
    }
}

#[test]
fn a_module_with_an_invalid_file_name_is_skipped_with_the_reason() {
    let home = Home::new();
    home.put_filter("good", &guests::module(guests::KEEP));
    for name in ["a b", "red\u{1b}[31m", ".hidden", &"x".repeat(65)] {
        home.put_filter(name, &guests::module(guests::KEEP));
    }
    let mut router = home.start();
    let line = router.wait_for_line(r"red\x1b[31m.wasm is not loaded");
    assert!(line.contains("rename the file: a name has 1 to 64 characters"), "{line}");
    router.wait_for_line("try ");
    let said = router.stderr();
    assert_eq!(said.matches("is not loaded").count(), 4, "{said}");
    assert!(!said.contains('\u{1b}') && said.contains("good 1.0.0 (filters/good.wasm)"), "{said}");
}

/// Without limits of its own, so that only those of the engine apply.
const ROOMY: &str = r#"
[[filter]]
name = "hostile"
module = "hostile.wasm"
timeout = "500ms"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// Two filters that each expand a record to 2,000 would make four million of one.
#[test]
fn filters_that_multiply_records_are_limited_and_the_router_continues() {
    let second = "[[filter]]\nname = \"second\"\nmodule = \"hostile.wasm\"\n";
    let home = Home::with(&ROOMY.replace("[sink.out]", &format!("{second}[sink.out]")));
    // The low bytes of the count: 60,000 is 0xea60, 2,000 is 0x07d0.
    let flood = guests::text(guests::FLOOD).replace("60000", "2000");
    let flood = flood.replace("(i32.const 0x60)", "(i32.const 0xd0)").replace("(i32.const 0xea)", "(i32.const 0x07)");
    home.put_filter("hostile", &guests::assemble(&flood));
    let router = home.start();
    let answer = post(&router, r#"{"message":"x"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    // On a busy machine, the first may already have taken too long.
    assert!(answer.body.contains("made more than"), "{answer:?}");
    assert_eq!(curl(&router, "/ready", &[], b"").status, 200);
}

/// 200,000 changes fit a filter's output. A router that copies the record for each copies 180 GB, which takes longer
/// than the filter has.
#[test]
fn hundreds_of_thousands_of_changes_by_a_typed_filter_are_merged() {
    let home = Home::with(&ROOMY.replace("500ms", "1s"));
    let sets = guests::text(guests::SETS).replace("19200000", "6400000").replace("600000", "200000");
    home.put_filter("hostile", &guests::assemble(&sets));
    let router = home.start();
    let large = records().replace(r#"{"n":3,"#, &format!(r#"{{"n":3,"large":"{}","#, "x".repeat(900_000)));
    for body in [records(), large] {
        assert_eq!(post(&router, &body).body, r#"{"accepted":10}"#);
    }
    eventually("all arrive", || lines(&home) == 20);
    let text = std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    let changed = text.lines().filter(|line| line.contains(MARKER) && line.contains(r#""n":1"#));
    assert_eq!(changed.count(), 2);
}

#[test]
fn too_many_records_from_a_tick_are_discarded() {
    let home = Home::with(ROOMY);
    home.put_filter("hostile", &guests::module(guests::TICK_FLOOD));
    let mut router = home.start();
    router.wait_for_line("`tick` failed");
    assert_eq!(post(&router, &records()).body, r#"{"accepted":10}"#);
    eventually("the others arrive", || lines(&home) == 10);
    let (_, said) = router.stop();
    assert!(said.contains("made more than 1000 records"), "{said}");
    assert_eq!(lines(&home), 10);
}

#[test]
fn a_filter_that_never_finishes_saving_is_reported_and_records_go_on() {
    let home = Home::with(&CONFIGURATION.replace("100ms", "50ms"));
    let saves = "(i32.store (i32.const 640) (global.get $count))";
    let endless = guests::text(guests::COUNT).replacen(saves, "(loop $ever (br $ever))", 1);
    home.put_filter("hostile", &guests::assemble(&endless));
    let mut router = home.start();
    router.wait_for_line("next attempt in 4 s");
    assert_eq!(post(&router, r#"{"message":"after"}"#).body, r#"{"accepted":1}"#);
}

/// Nested components.
fn nested(depth: usize) -> Vec<u8> {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let mut component = HEADER.to_vec();
    for _ in 0..depth {
        let mut length = component.len();
        let mut outer = [HEADER, &[4]].concat();
        while length >= 0x80 {
            outer.push(length as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.append(&mut component);
        component = outer;
    }
    component
}

/// The filter that keeps everything, with a function of a million additions.
fn additions() -> Vec<u8> {
    let adds = "i64.const 1 i64.add ".repeat(1_000_000);
    let text = guests::text(guests::KEEP);
    let end = text.rfind(')').unwrap();
    guests::assemble(&format!("{}(func (export \"sum\") (result i64) (i64.const 0) {adds}))", &text[..end]))
}

#[test]
fn modules_that_are_too_expensive_to_compile_are_refused_at_once() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("hostile", &guests::module(guests::KEEP));
    let mut router = home.start();
    home.put_filter("hostile", &nested(20_000));
    router.wait_for_line("deep inside one another");
    home.put_filter("hostile", &additions());
    router.wait_for_line("a function of");
    assert_eq!(post(&router, &records()).body, r#"{"accepted":10}"#);
    let said = router.stderr();
    assert_eq!(said.lines().filter(|line| line.contains("the running version stays")).count(), 2, "{said}");
}

#[test]
fn a_module_path_that_is_not_a_file_blocks_neither_reload_nor_stop() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("hostile", &guests::module(guests::DROP));
    let router = home.start();
    let made = std::process::Command::new("mkfifo").arg(home.path("filters/fifo.new")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("/dev/zero", home.path("filters/zero.new")).unwrap();
    for (number, strange) in ["fifo", "zero"].into_iter().enumerate() {
        std::fs::rename(home.path(&format!("filters/{strange}.new")), home.path("filters/hostile.wasm")).unwrap();
        eventually("it is refused", || router.stderr().matches("it is not a regular file").count() > number);
        home.put_filter("hostile", &guests::module([guests::TRAP, guests::KEEP][number]));
        eventually("the next is taken up", || router.stderr().matches("replaced by").count() > number);
    }
    assert_eq!(post(&router, &records()).body, r#"{"accepted":10}"#);
    assert!(router.stop().0.success());
}

#[test]
fn a_filter_is_compiled_in_a_separate_process_and_cached() {
    let home = Home::new();
    let cache = home.path("cache");
    let options = weir_engine::EngineOptions { cache_folder: Some(cache.clone()), workers: 1 };
    let compiler = weir_engine::Compiler {
        program: super::router::weir().get_program().into(),
        arguments: vec!["compile".into(), "--cache".into(), cache.into()],
        bounds: weir_engine::CompileBounds::default(),
        notes: Some(home.path("notes")),
    };
    let engine = weir_engine::Engine::with_compiler(options, compiler).unwrap();
    let spec = weir_engine::FilterSpec::new("keep");
    engine.load(&spec, &guests::module(guests::KEEP)).unwrap();
    assert_eq!(engine.cache_hits(), 1, "it was compiled elsewhere");
    assert_eq!(std::fs::read_dir(home.path("notes")).unwrap().count(), 1);
    let strange = guests::assemble("(module (func (export \"main\")))");
    let refused = engine.load(&spec, &strange).unwrap_err().to_string();
    assert!(refused.contains("none of the worlds"), "{refused}");
}

/// The filter that keeps everything, with functions of 300,000 additions each: within the limits of a module.
fn slow_to_compile(functions: usize) -> Vec<u8> {
    let function = format!("(func (param i64) (result i64) (local.get 0) {})", "i64.const 1 i64.add ".repeat(300_000));
    let text = guests::text(guests::KEEP);
    let end = text.rfind(')').unwrap();
    guests::assemble(&format!("{}{})", &text[..end], function.repeat(functions)))
}

/// An engine that compiles modules with the binary under test, within these limits.
fn bounded(home: &Home, memory_bytes: u64, seconds: u64) -> std::sync::Arc<weir_engine::Engine> {
    let cache = home.path("cache");
    let compiler = weir_engine::Compiler {
        program: super::router::weir().get_program().into(),
        arguments: vec!["compile".into(), "--cache".into(), cache.clone().into()],
        bounds: weir_engine::CompileBounds { memory_bytes, seconds },
        notes: None,
    };
    let options = weir_engine::EngineOptions { cache_folder: Some(cache), workers: 1 };
    weir_engine::Engine::with_compiler(options, compiler).unwrap()
}

#[test]
fn the_compiler_process_ends_when_it_exceeds_its_memory_or_time() {
    let home = Home::new();
    let spec = weir_engine::FilterSpec::new("slow");
    let small = guests::module(guests::KEEP);
    let slow = slow_to_compile(1);
    // The allocator reserves a gigabyte, which counts.
    for (memory_bytes, seconds, expected) in
        [(3 << 30, 1, "compiling it takes longer than 1 s"), (1280 << 20, 60, "compiling it takes more than 1280 MiB")]
    {
        let engine = bounded(&home, memory_bytes, seconds);
        let refused = engine.load(&spec, &slow).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        engine.load(&spec, &small).unwrap();
    }
}

#[test]
fn validate_compiles_in_a_limited_process_and_leaves_no_files_behind() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("hostile", &guests::module(guests::KEEP));
    let (before, temporary) = (home.files().len(), home.path("temporary"));
    std::fs::create_dir(&temporary).unwrap();
    let trace = home.path("trace");
    let output = std::process::Command::new("strace")
        .args(["-f", "-e", "trace=execve", "-o"])
        .arg(&trace)
        .arg(super::router::weir().get_program())
        .arg("validate")
        .arg(home.path("weir.toml"))
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let started = std::fs::read_to_string(&trace).unwrap();
    assert!(started.contains(r#""compile", "--cache""#), "{started}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert_eq!(home.files().len(), before + 1, "only the trace is new");
}

#[test]
fn a_stop_does_not_wait_for_compilation() {
    let home = Home::with(CONFIGURATION).with_own_cache();
    home.put_filter("hostile", &guests::module(guests::KEEP));
    let router = home.start();
    home.put_filter("hostile", &slow_to_compile(4));
    eventually("the compiler runs", || !children(router.pid()).is_empty());
    let compiler = children(router.pid()).remove(0);
    assert!(router.stop().0.success());
    // Weir notes there each module that it compiled to the end.
    let compiled = std::fs::read_dir(home.path("weir-data/compiled")).unwrap();
    assert_eq!(compiled.count(), 1, "the new version was not compiled to the end");
    eventually("no compiler is left", || !compiler.exists());
}

/// The folders in `/proc` of a process's children.
fn children(parent: u32) -> Vec<std::path::PathBuf> {
    let is_child = |process: &std::path::PathBuf| {
        // `pid (name) state parent …`
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after_name.split(' ').nth(1) == Some(&parent.to_string())
    };
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes.filter(is_child).collect()
}
