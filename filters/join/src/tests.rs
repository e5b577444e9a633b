//! The filter as the operator sees it: options in, outcomes out.
//!
//! The traces in `testdata` were written by small programs that failed.

use std::time::Duration;

use proptest::prelude::*;
use weir_guest::HoldingFilter;
use weir_guest::testing::{Json, into_records, json, messages};

use crate::Join;
use crate::limits::MAX_HELD_BYTES;

type Bench = weir_guest::testing::HoldingBench<Join>;

const TRACES: [(&str, &str); 6] = [
    ("python", include_str!("testdata/python_chained.txt")),
    ("java", include_str!("testdata/java_caused.txt")),
    ("node, uncaught", include_str!("testdata/node_uncaught.txt")),
    ("node, with a cause", include_str!("testdata/node_cause.txt")),
    ("go", include_str!("testdata/go_nil.txt")),
    ("rust", include_str!("testdata/rust_index.txt")),
];

/// Everything that goes on of these lines of one stream.
fn joined(bench: &mut Bench, lines: &[&str]) -> Vec<Json> {
    let mut records = into_records(bench.run(lines.iter().map(|line| json!({ "message": line }))));
    records.extend(bench.tick(true));
    records
}

#[test]
fn real_stack_traces_become_one_record_among_other_lines() {
    for (name, trace) in TRACES {
        let trace = trace.trim_matches('\n');
        let lines: Vec<&str> =
            ["listening", "got order 17"].into_iter().chain(trace.lines()).chain(["next", "last"]).collect();
        let records = joined(&mut Bench::with_options(json!({})), &lines);
        let found = messages(&records);
        // A traceback belongs to the line that a logger wrote before it.
        let own = format!("got order 17\n{trace}");
        let expected = if name == "python" {
            vec!["listening", &own, "next", "last"]
        } else {
            vec!["listening", "got order 17", trace, "next", "last"]
        };
        assert_eq!(found, expected, "{name}");
        let at = found.iter().position(|message| message.contains(trace)).expect("the trace is there");
        assert_eq!(records[at]["joined_lines"], found[at].lines().count(), "{name}");
    }
}

#[test]
fn a_line_that_would_make_the_record_too_large_begins_another() {
    let mut bench = Bench::with_options(json!({}));
    let first = json!({ "message": "Traceback (most recent call last):", "body": "x".repeat(1_000_000) });
    let second = json!({ "message": format!("  File {}", "y".repeat(100_000)) });
    let mut records = into_records(bench.run([first, second]));
    records.extend(bench.tick(true));
    assert_eq!((records.len(), bench.counter("cut")), (2, 1));
}

#[test]
fn records_without_room_survive_a_second_new_version() {
    let mut bench = Bench::with_options(json!({}));
    bench.run(["a", "b", "c"].map(|source| json!({ "source": source, "message": source })));
    for _ in 0..2 {
        bench.swap(json!({ "max_streams": 1 })).expect("the state is of this version");
    }
    let mut found = messages(&bench.tick(true));
    found.sort();
    assert_eq!(found, ["a", "b", "c"]);
}

#[test]
fn the_joined_record_has_the_highest_level_and_the_fields_of_the_first_line() {
    let mut bench = Bench::with_options(json!({ "lines": "" }));
    let lines = [("INFO", "a", 1), ("ERROR", " b", 2), ("INFO", " c\r\n", 3)];
    let outcomes = bench.run(lines.map(|(level, message, n)| json!({ "level": level, "message": message, "n": n })));
    assert_eq!(into_records(outcomes), [] as [Json; 0]);
    let records = bench.tick(true);
    assert_eq!(records.len(), 1);
    let mut record = records[0].clone();
    record.as_object_mut().expect("a record is an object").remove("timestamp");
    assert_eq!(record, json!({ "level": "ERROR", "source": "test", "message": "a\n b\n c", "n": 1 }));
}

#[test]
fn streams_are_separate_and_records_wait_at_most_for_the_timeout() {
    let mut bench = Bench::with_options(json!({ "key": ["source", "context.pod"] }));
    let line = |pod: &str, message: &str| json!({ "message": message, "context": { "pod": pod } });
    let records =
        into_records(bench.run([line("a", "1"), line("b", "2"), line("a", " 1+"), line("b", " 2+"), line("b", "3")]));
    assert_eq!(messages(&records), ["2\n 2+"]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(into_records(bench.run([line("a", " 1++")])).len(), 0);
    bench.advance(Duration::from_secs(1));
    assert_eq!(messages(&bench.tick(false)), ["3"]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(messages(&bench.tick(false)), ["1\n 1+\n 1++"]);
}

#[test]
fn expressions_decide_which_lines_start_or_continue_a_record() {
    let mut start = Bench::with_options(json!({ "start": [r"^\d{4}-", "^BEGIN"] }));
    let records = joined(&mut start, &["2026-01 a", "b", "  c", "BEGIN d", "e"]);
    assert_eq!(messages(&records), ["2026-01 a\nb\n  c", "BEGIN d\ne"]);
    let mut continues = Bench::with_options(json!({ "continues": [r"^\+"] }));
    let records = joined(&mut continues, &["+a", "b", "+c", " d"]);
    assert_eq!(messages(&records), ["+a", "b\n+c", " d"]);
}

#[test]
fn records_that_are_too_long_are_split() {
    let mut by_lines = Bench::with_options(json!({ "max_lines": 2 }));
    assert_eq!(messages(&joined(&mut by_lines, &["a", " b", " c", " d", " e"])), ["a\n b", " c\n d", " e"]);
    assert_eq!(by_lines.counter("cut"), 2);
    let mut by_bytes = Bench::with_options(json!({ "max_bytes": 5 }));
    assert_eq!(messages(&joined(&mut by_bytes, &["a", " bb", " c"])), ["a\n bb", " c"]);
}

#[test]
fn without_room_lines_go_on_unjoined() {
    let mut bench = Bench::with_options(json!({ "max_streams": 1 }));
    let line = |source: &str, message: &str| json!({ "source": source, "message": message });
    let records = into_records(bench.run([line("a", "1"), line("b", "2"), line("b", " 3"), line("a", " 4")]));
    assert_eq!(messages(&records), ["2", " 3"]);
    assert_eq!(bench.counter("no_room"), 2);
    assert_eq!(messages(&bench.tick(true)), ["1\n 4"]);
    let long = "x".repeat(5000);
    assert!(bench.run_one(line(&long, "a")).is_kept());
    assert!(bench.held().is_empty());
}

#[test]
fn memory_is_limited() {
    let mut bench = Bench::with_options(json!({ "max_streams": 20_000 }));
    let text = "x".repeat(100_000);
    let mut out = 0;
    for n in 0..200 {
        out += into_records(vec![bench.run_one(json!({ "source": n.to_string(), "message": text }))]).len();
    }
    assert!(bench.counter("no_room") > 100);
    assert!(bench.held_bytes() <= MAX_HELD_BYTES);
    assert_eq!(out + bench.tick(true).len(), 200);
}

#[test]
fn no_more_lines_are_held_than_weir_allows() {
    let mut bench = Bench::with_options(json!({ "max_streams": 20_000, "max_lines": 10_000 }));
    bench.run((0..100_000).map(|n| json!({ "source": (n / 5000).to_string(), "message": " x" })));
    assert!((10_000..50_000).contains(&bench.held().len()), "{}", bench.held().len());
}

#[test]
fn a_record_without_a_line_flushes_its_stream() {
    let mut bench = Bench::with_options(json!({ "field": "context.line" }));
    bench.run_one(json!({ "context": { "line": "a" } }));
    let records = bench.run_one(json!({ "message": "b" })).into_records();
    assert_eq!(records.len(), 2);
    assert_eq!((&records[0]["context"]["line"], &records[1]["message"]), (&json!("a"), &json!("b")));
    assert!(bench.run_one(json!({ "context": { "line": 5 } })).is_kept());
}

#[test]
fn a_new_version_and_a_new_instance_continue_waiting_records() {
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nValueError: x";
    let lines: Vec<&str> = trace.lines().collect();
    type Change = fn(&mut Bench);
    let changes: [Change; 2] = [
        |bench| bench.swap(json!({ "timeout": 5 })).expect("it is of this version"),
        |bench| assert_eq!(messages(&bench.crash()), [] as [&str; 0]),
    ];
    for change in changes {
        let mut bench = Bench::with_options(json!({}));
        bench.run(lines[..2].iter().map(|line| json!({ "message": line })));
        change(&mut bench);
        assert_eq!(messages(&joined(&mut bench, &[lines[2], "next"])), [trace, "next"]);
        assert!(bench.held().is_empty());
    }
}

#[test]
fn after_a_crash_waiting_records_go_on_after_another_timeout() {
    let mut bench = Bench::with_options(json!({}));
    bench.run([json!({ "message": "a" }), json!({ "message": " b" })]);
    bench.advance(Duration::from_secs(3600));
    assert_eq!(bench.crash(), [] as [Json; 0]);
    assert_eq!(bench.tick(false), [] as [Json; 0]);
    bench.advance(Duration::from_secs(2));
    assert_eq!(messages(&bench.tick(false)), ["a\n b"]);
    assert!(bench.held().is_empty());
}

#[test]
fn after_a_crash_records_over_new_limits_go_on() {
    let mut bench = Bench::with_options(json!({}));
    bench.run(["a", "b"].map(|source| json!({ "source": source, "message": source })));
    let records = bench.restart(json!({ "max_streams": 1 })).expect("the options are good");
    assert_eq!((messages(&records), bench.held().len()), (vec!["b".to_owned()], 1));
}

#[test]
fn state_of_another_filter_is_refused() {
    let mut bench = Bench::with_options(json!({}));
    for (state, expected) in [
        (vec![], "not a MessagePack array"),
        (vec![0x90], "no version"),
        (vec![0x91, 0x01], "has version 1"),
        (vec![0x92, 0x02, 0x91, 0x05], "damaged"),
        (vec![0x91, 0x02], "damaged"),
    ] {
        let error = bench.filter().restore(&state).expect_err("refused");
        assert!(error.contains(expected), "{state:?}: {error}");
    }
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({ "begin": ["a"] }), "unknown field `begin`, expected one of `field`, `key`, `start`"),
        (json!({ "start": ["a"], "continues": ["b"] }), "set only one of them"),
        (json!({ "start": ["("] }), "option `start[0]`: `(` is not a valid regular expression"),
        (json!({ "continues": ["a", "\\w{900}{900}"] }), "option `continues[1]`"),
        (json!({ "start": vec!["a"; 17] }), "17 expressions"),
        (json!({ "timeout": 0 }), "option `timeout`: 0; it must be 1 to 60"),
        (json!({ "max_lines": 0 }), "option `max_lines`"),
        (json!({ "max_bytes": 1 << 20 }), "option `max_bytes`"),
        (json!({ "max_streams": 0 }), "option `max_streams`"),
        (json!({ "key": ["message"] }), "option `key`: `message` differs in nearly every line"),
        (json!({ "field": "level" }), "option `field`: `level` is a reserved field"),
        (json!({ "lines": "level" }), "option `lines`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

/// Lines that mean something to the filter, and some that don't.
fn line() -> impl Strategy<Value = String> {
    let traced: Vec<String> = TRACES.iter().flat_map(|(_, trace)| trace.lines()).map(str::to_owned).collect();
    prop_oneof![prop::sample::select(traced), "\\PC{0,12}", "[ \t]{0,2}[a-z]{0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_line_goes_on_once_and_in_order(
        lines in prop::collection::vec((0..3_u8, line(), 0..3_u64, any::<bool>()), 0..60),
        max_lines in 1..8_usize,
        max_streams in 1..4_usize,
    ) {
        let mut bench = Bench::with_options(json!({ "max_lines": max_lines, "max_streams": max_streams }));
        let mut records = Vec::new();
        for (source, line, seconds, crashes) in &lines {
            if *crashes {
                records.extend(bench.crash());
            }
            bench.advance(Duration::from_secs(*seconds));
            records.extend(into_records(vec![bench.run_one(json!({ "source": source.to_string(), "message": line }))]));
            records.extend(bench.tick(false));
        }
        records.extend(bench.tick(true));
        for source in 0..3_u8 {
            let name = source.to_string();
            let own = records.iter().filter(|record| record["source"] == name.as_str());
            let found: Vec<&str> = own.map(|record| record["message"].as_str().expect("a text")).collect();
            let expected: Vec<&str> = lines.iter().filter(|line| line.0 == source).map(|line| &*line.1).collect();
            prop_assert_eq!(found.join("\n"), expected.join("\n"));
        }
        prop_assert!(bench.held().is_empty());
    }

    #[test]
    fn a_crash_at_any_point_does_not_change_the_output(
        batches in prop::collection::vec(prop::collection::vec((0..3_u8, line()), 1..8), 0..12),
    ) {
        let run = |crash_at: Option<usize>| {
            let mut bench = Bench::with_options(json!({}));
            let mut records = Vec::new();
            for (index, batch) in batches.iter().enumerate() {
                if crash_at == Some(index) {
                    records.extend(bench.crash());
                }
                let batch = batch.iter().map(|(source, line)| json!({ "source": source.to_string(), "message": line }));
                records.extend(into_records(bench.run(batch)));
            }
            if crash_at == Some(batches.len()) {
                records.extend(bench.crash());
            }
            records.extend(bench.tick(true));
            records
        };
        let expected = run(None);
        for crash_at in 0..=batches.len() {
            prop_assert_eq!(run(Some(crash_at)), &expected[..], "with a crash before batch {}", crash_at);
        }
    }

    #[test]
    fn no_state_causes_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bench = Bench::with_options(json!({}));
        for state in [bytes.clone(), [&[0x92, 0x02][..], &bytes].concat()] {
            if bench.filter().restore(&state).is_ok() {
                bench.tick(true);
            }
        }
    }
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let mut records =
        into_records(bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON"))));
    records.extend(bench.tick(true));
    let lines: Vec<&Json> = records.iter().map(|record| &record["joined_lines"]).collect();
    assert_eq!(lines, [&json!(3), &json!(null), &json!(null)]);
    assert_eq!(records[0]["level"], "ERROR");
}
