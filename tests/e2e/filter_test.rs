//! `weir filter test`: cases and their reports, fuzzing of broken filters, comparison of two versions.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

use super::clients::{post, python, run};
use super::hostile::guests::{self, Guest, MARKER};
use super::router::{Home, module, repository, weir};

/// Runs `weir filter test` in a folder.
fn test(home: &Home, arguments: &[&str]) -> Output {
    weir().current_dir(home.path("")).args(["filter", "test"]).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn put(home: &Home, guest: Guest) -> String {
    let name = format!("{}.wasm", guest.0);
    std::fs::write(home.path(&name), guests::module(guest)).unwrap();
    name
}

/// The folders of filters under a folder.
fn filters_in(folder: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(repository().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    folders
}

#[test]
fn every_filter_has_cases_and_bundled_modules_pass_them() {
    let mut bundled = 0;
    for folder in filters_in("filters") {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let cases = folder.join("cases.toml");
        assert!(cases.is_file(), "{} is missing", cases.display());
        if !repository().join(format!("filters/bundled/{name}.wasm")).is_file() {
            continue;
        }
        let shown = run(weir().args(["filter", "test"]).arg(module(&name)).arg("--cases").arg(cases));
        assert!(String::from_utf8_lossy(&shown.stdout).ends_with("cases passed\n"), "{name}: {}", text(&shown));
        bundled += 1;
    }
    assert!(bundled >= 5, "{bundled} bundled filters");
}

#[test]
fn every_example_filter_in_rust_has_cases() {
    for folder in filters_in("examples/filters") {
        // The files of `weir filter new` share their cases.
        let shared = repository().join("examples/filters/project");
        let folder = if folder.ends_with("rust") { shared } else { folder };
        let has_cases = ["cases.toml", "cases.json"].iter().any(|file| folder.join(file).is_file());
        assert!(has_cases, "{} has no cases", folder.display());
    }
}

/// Two cases next to the module, the second of which fails in every possible way.
const CASES: &str = r#"
[[case]]
name = "kept & <fine>"
records = [{ message = "a" }]
verdicts = ["keep"]

[[case]]
name = "wrong"
records = [{ message = "b" }, { message = "HOSTILE" }]
verdicts = ["drop", "keep"]
expect = [{ message = "ü \u0001" }, {}]
counters = { masked = 1 }
absent = ["message"]
never = ["b"]
"#;

#[test]
fn a_failing_case_reports_all_differences_and_sets_the_exit_code() {
    let home = Home::new();
    put(&home, guests::DROP);
    std::fs::write(home.path("cases.toml"), CASES).unwrap();
    let output = test(&home, &["."]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "ok    kept & <fine>",
        "FAIL  wrong (./cases.toml:7)",
        "record 1: the verdict is `keep`, expected `drop`",
        "record 2: the verdict is `drop`, expected `keep`",
        "1 record came out, expected 2",
        "the counter `masked` is 0, expected 1",
        "it has a value at `message`",
        "\"b\" occurs in `message`",
        "1 of 2 cases failed",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    std::fs::write(home.path("cases.toml"), CASES.split_once("[[case]]\nname = \"wrong\"").unwrap().0).unwrap();
    let output = test(&home, &["drop.wasm"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).ends_with("1 case passed\n"), "found beside the module: {}", text(&output));
}

#[test]
fn a_parser_accepts_the_junit_report() {
    let home = Home::new();
    let module = put(&home, guests::DROP);
    std::fs::write(home.path("cases.toml"), CASES).unwrap();
    assert_eq!(test(&home, &[&module, "--junit", "results.xml"]).status.code(), Some(1));
    let program = "import json, sys, junitparser\n\
        suites = junitparser.JUnitXml.fromfile(sys.argv[1])\n\
        print(json.dumps({'tests': suites.tests, 'failures': suites.failures, 'errors': suites.errors, 'cases': \
        [[suite.name, case.name, case.classname, case.time, [type(r).__name__ + ' ' + r.message for r in case.result]] \
        for suite in suites for case in suite]}))";
    let read = run(python().args(["-c", program]).arg(home.path("results.xml")));
    let read: Json = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!((&read["tests"], &read["failures"], &read["errors"]), (&2.into(), &1.into(), &0.into()), "{read}");
    assert_eq!(read["cases"][0][1], "kept & <fine>");
    assert_eq!(read["cases"][0][4], serde_json::json!([]));
    assert_eq!(read["cases"][1][0], "drop");
    assert!(read["cases"][1][3].is_f64(), "{read}");
    let failure = read["cases"][1][4][0].as_str().unwrap();
    assert!(failure.starts_with("Failure record 1: the verdict is `keep`"), "{failure}");
}

#[test]
fn a_parser_accepts_the_tap_report() {
    let home = Home::new();
    let module = put(&home, guests::DROP);
    std::fs::write(home.path("cases.toml"), CASES).unwrap();
    let output = test(&home, &[&module, "--tap"]);
    assert_eq!(output.status.code(), Some(1));
    std::fs::write(home.path("results.tap"), &output.stdout).unwrap();
    let program = "use TAP::Parser; my $p = TAP::Parser->new({ source => $ARGV[0] }); $p->run; \
        print join(' ', $p->version, $p->tests_planned, scalar($p->passed), scalar($p->failed), \
        scalar($p->parse_errors)), \"\\n\";";
    let read = run(Command::new("perl").args(["-e", program]).arg(home.path("results.tap")));
    assert_eq!(String::from_utf8_lossy(&read.stdout), "13 2 1 1 0\n", "{}", text(&output));
}

#[test]
fn an_invalid_case_file_is_refused_with_every_line_and_a_hint() {
    let home = Home::new();
    let module = put(&home, guests::KEEP);
    let toml = "[[case]]\nname = \"a\"\nrecord = [{ message = \"x\" }]\nverdicts = [\"kep\"]\n";
    let json = "{\"case\": [{\n\"name\": \"a\",\n\"record\": [{}],\n\"verdicts\": [\"kep\"]}]}";
    for (file, written) in [("wrong.toml", toml), ("wrong.json", json)] {
        std::fs::write(home.path(file), written).unwrap();
        let output = test(&home, &[&module, "--cases", file]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in
            ["`record`", "did you mean `records`?", "did you mean `keep`?", &format!("{file}:3"), &format!("{file}:4")]
        {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
    }
    let said = text(&test(&home, &[&module, "--tap"]));
    assert!(said.contains("there are no cases to report"), "{said}");
    let said = text(&test(&Home::new(), &["."]));
    assert!(said.contains("no module in .") && said.contains("weir filter build ."), "{said}");
}

/// Fuzzes a guest; returns the output and the files left behind.
fn fuzz(guest: Guest) -> (Home, Output, Vec<PathBuf>) {
    let home = Home::new();
    let module = put(&home, guest);
    let output = test(&home, &[&module, "--fuzz", "3", "--seed", "7", "--found", "found"]);
    let mut files: Vec<PathBuf> = std::fs::read_dir(home.path("found"))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    (home, output, files)
}

fn only_record(file: &Path) -> Json {
    let text = std::fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: not one record in {text}"))
}

#[test]
fn fuzzing_finds_and_minimises_the_record_that_a_filter_traps_on() {
    let (home, output, files) = fuzz(guests::TRAP);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--seed 7") && said.contains("trap: it trapped"), "{said}");
    let [file] = &files[..] else { panic!("{files:?}: {said}") };
    assert_eq!(only_record(file)["message"], MARKER, "{said}");
    assert_eq!(only_record(file).as_object().unwrap().len(), 4, "beside it only what every record has: {said}");
    let again = test(&home, &["trap.wasm", "--samples", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("record 1: failed: it trapped"), "{}", text(&again));
}

#[test]
fn fuzzing_detects_memory_that_grows_with_every_record() {
    let (_home, output, files) = fuzz(guests::LEAK);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("growth: its memory kept growing"), "{said}");
    let [file] = &files[..] else { panic!("{files:?}: {said}") };
    assert!(only_record(file).to_string().contains(MARKER), "{said}");
}

#[test]
fn fuzzing_detects_endless_and_slow_calls() {
    let (_home, output, _) = fuzz(guests::LOOP);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("timeout: it ran longer than 1000 ms"), "{}", text(&output));
    // On a busy machine, it may even exceed the limit, or the calls it is compared with are as slow.
    let is_slow = || {
        let said = text(&fuzz(guests::SLOW).1);
        said.contains("times what is usual for that size") || said.contains("timeout: ")
    };
    assert!((0..5).any(|_| is_slow()), "five runs found no slow call");
}

#[test]
fn fuzzing_a_correct_filter_finds_nothing() {
    for guest in [guests::KEEP, guests::EXPAND] {
        let (_home, output, files) = fuzz(guest);
        assert_eq!((output.status.code(), files.len()), (Some(0), 0), "{}: {}", guest.0, text(&output));
    }
}

#[test]
fn the_bench_shows_every_batch_size_next_to_the_floor() {
    let home = Home::new();
    let output = test(&home, &["bundled:redact", "--bench"]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for part in ["100 B", "400 B", "2.0 KiB", "16.0 KiB", "floor", "memory of the instance"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    let rows = said.lines().filter(|line| line.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(rows.count(), 12, "{said}");
}

#[test]
fn two_versions_are_compared_on_samples_and_on_stored_records() {
    let home = Home::with("filter = []\n");
    let (keep, drop, trap) = (put(&home, guests::KEEP), put(&home, guests::DROP), put(&home, guests::TRAP));
    let records = format!("{{\"message\":\"a\"}}\n{{\"message\":\"{MARKER}\"}}\n{{\"message\":\"b\"}}\n");
    std::fs::write(home.path("three.jsonl"), &records).unwrap();
    let output = test(&home, &[&drop, "--against", &keep, "--samples", "three.jsonl"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("2 of 3 records: the same") && said.contains("1 keep, now drop"), "{said}");
    assert!(said.contains("record 2: keep, now drop") && said.contains("-   \"message\": \"HOSTILE\""), "{said}");
    let output = test(&home, &[&trap, "--against", &keep, "--samples", "three.jsonl"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("1 keep, now fail"), "{}", text(&output));

    let router = home.start();
    for _ in 0..10 {
        let body = format!("[{{\"message\":\"old\"}},{{\"message\":\"{MARKER}\"}}]");
        assert_eq!(post(&router, &body).body, r#"{"accepted":2}"#);
    }
    let last = ["--last", "5", "--data", "weir-data"];
    let output = test(&home, &[&[drop.as_str(), "--against", &keep], &last[..]].concat());
    let said = text(&output);
    assert!(said.contains("over 5 records") && said.contains("3 keep, now drop"), "{said}");
    assert_eq!(post(&router, r#"{"message":"after"}"#).body, r#"{"accepted":1}"#, "the router does not mind");
}
