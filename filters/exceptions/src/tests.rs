//! The filter as the operator sees it: options in, outcomes out.
//!
//! The traces in `testdata` were written by small programs that failed.

use proptest::prelude::*;
use weir_guest::testing::{Json, json};

use crate::Exceptions;

type Bench = weir_guest::testing::Bench<Exceptions>;

const PYTHON_CHAINED: &str = include_str!("testdata/python_chained.txt");
const PYTHON_SIMPLE: &str = include_str!("testdata/python_simple.txt");
const PYTHON_GROUP: &str = include_str!("testdata/python_group.txt");
const JAVA_CAUSED: &str = include_str!("testdata/java_caused.txt");
const JAVA_SIMPLE: &str = include_str!("testdata/java_simple.txt");
const NODE_CAUSE: &str = include_str!("testdata/node_cause.txt");
const NODE_UNCAUGHT: &str = include_str!("testdata/node_uncaught.txt");
const GO_NIL: &str = include_str!("testdata/go_nil.txt");
const GO_PANIC: &str = include_str!("testdata/go_panic.txt");
const RUST_INDEX: &str = include_str!("testdata/rust_index.txt");
const RUST_EXPECT: &str = include_str!("testdata/rust_expect.txt");

const ALL: [&str; 11] = [
    PYTHON_CHAINED,
    PYTHON_SIMPLE,
    PYTHON_GROUP,
    JAVA_CAUSED,
    JAVA_SIMPLE,
    NODE_CAUSE,
    NODE_UNCAUGHT,
    GO_NIL,
    GO_PANIC,
    RUST_INDEX,
    RUST_EXPECT,
];

/// What is said of a text; null if it is no trace.
fn error(text: &str) -> Json {
    let outcome = Bench::with_options(json!({})).run_one(json!({ "message": text }));
    outcome.record()["error"].clone()
}

fn fingerprint(text: &str) -> String {
    error(text)["fingerprint"].as_str().unwrap_or_else(|| panic!("no trace: {text}")).to_owned()
}

/// Compares all but the fingerprint.
fn assert_is(text: &str, expected: Json) {
    let mut error = error(text);
    let fingerprint = error.as_object_mut().unwrap_or_else(|| panic!("no trace: {text}")).remove("fingerprint");
    assert_eq!(fingerprint.and_then(|one| Some(one.as_str()?.len())), Some(16));
    assert_eq!(error, expected);
}

#[test]
fn python_tracebacks_with_chains_and_groups_are_parsed() {
    assert_is(
        PYTHON_CHAINED,
        json!({ "language": "python", "type": "PaymentError", "message": "order 17 declined",
                "cause": "json.decoder.JSONDecodeError",
                "frame": { "function": "charge", "file": "/srv/shop/app.py", "line": 10 } }),
    );
    assert_is(
        PYTHON_SIMPLE,
        json!({ "language": "python", "type": "KeyError", "message": "'price'",
                "frame": { "function": "<genexpr>", "file": "/srv/shop/simple.py", "line": 2 } }),
    );
    assert_is(
        PYTHON_GROUP,
        json!({ "language": "python", "type": "ExceptionGroup", "message": "many (2 sub-exceptions)",
                "frame": { "function": "f", "file": "/srv/shop/group.py", "line": 2 } }),
    );
    // As a logger writes it, behind its own message; and an error of a library.
    let logged = format!("could not charge\n{}", PYTHON_CHAINED.split("\n\n").next().expect("the first of the chain"));
    assert_is(
        &logged,
        json!({ "language": "python", "type": "json.decoder.JSONDecodeError",
                "message": "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
                "frame": { "function": "load", "file": "/srv/shop/app.py", "line": 5 } }),
    );
}

#[test]
fn java_stack_traces_with_causes_are_parsed() {
    assert_is(
        JAVA_CAUSED,
        json!({ "language": "java", "type": "com.example.shop.Shop$PaymentException", "message": "order 17 declined",
                "cause": "java.lang.NullPointerException",
                "frame": { "function": "com.example.shop.Shop.charge", "file": "Shop.java", "line": 8 } }),
    );
    assert_is(
        JAVA_SIMPLE,
        json!({ "language": "java", "type": "java.lang.NumberFormatException", "message": "For input string: \"x\"",
                "frame": { "function": "com.example.shop.Shop.main", "file": "Shop.java", "line": 10 } }),
    );
    let logback = "10:00:00 ERROR [main] c.e.Shop - failed: java.io.IOException: disk\n\tat com.example.Shop.run(Shop.java:5) ~[shop.jar:1.0]";
    let error = error(logback);
    assert_eq!((&error["type"], &error["message"]), (&json!("java.io.IOException"), &json!("disk")));
}

#[test]
fn node_stack_traces_are_parsed() {
    assert_is(
        NODE_CAUSE,
        json!({ "language": "node", "type": "PaymentError", "message": "order 17 declined", "cause": "SyntaxError",
                "frame": { "function": "charge", "file": "/srv/shop/app.js", "line": 3 } }),
    );
    assert_is(
        NODE_UNCAUGHT,
        json!({ "language": "node", "type": "TypeError",
                "message": "Cannot read properties of undefined (reading 'price')",
                "frame": { "function": "price", "file": "/srv/shop/thrown.js", "line": 2 } }),
    );
    let coded = "Error [ERR_HTTP_HEADERS_SENT]: Cannot set headers\n    at async file:///srv/a.mjs:3:7";
    let error = error(coded);
    assert_eq!(
        (&error["type"], &error["frame"]),
        (&json!("Error"), &json!({ "file": "file:///srv/a.mjs", "line": 3 }))
    );
}

#[test]
fn go_panics_are_parsed() {
    assert_is(
        GO_NIL,
        json!({ "language": "go", "type": "runtime error",
                "message": "invalid memory address or nil pointer dereference",
                "frame": { "function": "main.(*Shop).Price", "file": "example.com/shop/main.go", "line": 4 } }),
    );
    assert_is(
        GO_PANIC,
        json!({ "language": "go", "type": "panic", "message": "order 17 declined",
                "frame": { "function": "main.main", "file": "example.com/shop/main.go", "line": 7 } }),
    );
    let served = "2026/11/20 10:00:00 http: panic serving 127.0.0.1:5: no room\ngoroutine 7 [running]:\nnet/http.(*conn).serve.func1()\n\tnet/http/server.go:1868 +0xb9\npanic({0x6, 0x7})\n\truntime/panic.go:920 +0x270\nmain.sell(...)\n\t/srv/main.go:9\n";
    let error = error(served);
    assert_eq!((&error["message"], &error["frame"]["function"]), (&json!("no room"), &json!("main.sell")));
}

#[test]
fn rust_panics_with_and_without_a_backtrace_are_parsed() {
    assert_is(
        RUST_INDEX,
        json!({ "language": "rust", "type": "panic", "message": "index out of bounds: the len is 1 but the index is 3",
                "frame": { "function": "main::Shop::price", "file": "./main.rs", "line": 2 } }),
    );
    assert_is(
        RUST_EXPECT,
        json!({ "language": "rust", "type": "panic", "message": "order 17: ParseIntError { kind: InvalidDigit }",
                "frame": { "function": "main::main", "file": "./main.rs", "line": 5 } }),
    );
    let short = "thread 'main' panicked at src/main.rs:5:98:\norder 17 is gone\nnote: run with `RUST_BACKTRACE=1`";
    assert_eq!(error(short)["frame"], json!({ "file": "src/main.rs", "line": 5 }));
    let old = "thread 'main' panicked at 'no room', src/main.rs:5:98\nnote: run with `RUST_BACKTRACE=1`";
    let error = error(old);
    assert_eq!((&error["message"], &error["frame"]["line"]), (&json!("no room"), &json!(5)));
}

#[test]
fn equal_failures_have_equal_fingerprints() {
    let same = |text: &str, changes: &[(&str, &str)]| {
        let mut other = text.to_owned();
        for (from, to) in changes {
            assert!(other.contains(from), "{from} is not in\n{other}");
            other = other.replace(from, to);
        }
        assert_eq!(fingerprint(text), fingerprint(&other), "{other}");
    };
    same(PYTHON_CHAINED, &[("order 17", "order 99"), ("/srv/shop", "/opt/releases/7"), ("line 10", "line 12")]);
    same(
        JAVA_CAUSED,
        &[("order 17", "order 99"), ("Shop.java:8", "Shop.java:11"), ("lambda$charge$0", "lambda$charge$1")],
    );
    same(
        NODE_CAUSE,
        &[
            ("order 17", "order 99"),
            ("/srv/shop/", "/app/"),
            ("3:69", "5:1"),
            ("node:internal/modules/run_main", "node:internal/run"),
        ],
    );
    same(
        GO_NIL,
        &[
            ("0x1bfc0e0ceea0", "0xc000012345"),
            ("main.go:4", "main.go:44"),
            ("+0x41", "+0x99"),
            ("goroutine 1", "goroutine 7"),
        ],
    );
    same(
        RUST_INDEX,
        &[
            ("is 3", "is 4"),
            ("59807616e1fa", "0123456789ab"),
            ("main.rs:2:59", "main.rs:3:1"),
            ("main::charge\n", "main::charge::h0123456789abcdef\n"),
        ],
    );
    let short = |n: u32| format!("thread 'main' panicked at src/main.rs:{n}:98:\norder {n} of '{n} x' is gone\n");
    assert_eq!(fingerprint(&short(5)), fingerprint(&short(17)));
    let deep =
        |n: usize| format!("RangeError: too deep\n{}    at main (/a.js:1:1)", "    at down (/a.js:2:1)\n".repeat(n));
    assert_eq!(fingerprint(&deep(9)), fingerprint(&deep(20)), "a recursion");
}

#[test]
fn other_failures_have_other_fingerprints() {
    let mut seen: Vec<String> = ALL.iter().map(|text| fingerprint(text)).collect();
    seen.push(fingerprint(&PYTHON_SIMPLE.replace("KeyError", "IndexError")));
    seen.push(fingerprint(&PYTHON_SIMPLE.replace("in total", "in sum_up")));
    seen.push(fingerprint(&JAVA_CAUSED.replace("NullPointer", "ClassCast")));
    seen.push(fingerprint("thread 'main' panicked at src/main.rs:5:98:\norder is gone\n"));
    seen.push(fingerprint("thread 'main' panicked at src/main.rs:5:98:\norder is late\n"));
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn the_operator_decides_which_frames_are_in_app() {
    let frame = |options: Json| {
        Bench::with_options(options).run_one(json!({ "message": JAVA_SIMPLE })).record()["error"]["frame"]["function"]
            .clone()
    };
    assert_eq!(frame(json!({ "in_app": ["java.lang.Integer"] })), "java.lang.Integer.parseInt");
    assert_eq!(frame(json!({ "library": ["Shop.java"] })), "java.lang.NumberFormatException.forInputString");
}

#[test]
fn fields_are_searched_in_order_and_existing_values_are_kept() {
    let mut bench = Bench::with_options(json!({ "level": "ERROR" }));
    let outcome = bench.run_one(json!({ "message": "failed", "error": { "stack": NODE_CAUSE, "code": 5 } }));
    let error = &outcome.record()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("PaymentError"), &json!(5)));
    assert_eq!(outcome.record()["level"], "ERROR");
    let outcome = bench.run_one(json!({ "level": "CRITICAL", "error": GO_PANIC }));
    assert_eq!(
        (&outcome.record()["error"]["text"], &outcome.record()["level"]),
        (&json!(GO_PANIC), &json!("CRITICAL"))
    );
    assert!(bench.run_one(json!({ "message": GO_PANIC, "error": [1] })).is_kept());
    assert_eq!(bench.counter("in_the_way"), 1);
    assert!(bench.run_one(json!({ "message": 5, "stack": ["a\n    at b (c:1:2)"] })).is_kept());
}

#[test]
fn prose_is_not_a_stack_trace() {
    for text in [
        "",
        "one line",
        "Traceback (most recent call last):",
        "Traceback (most recent call last):\nno type, but words",
        "meet me\n  at noon (or later)",
        "the list:\n  at home\n  at work",
        "goroutine 1\nis a word\n",
        "a\ngoroutine 1 [running]:\n",
        "5 items\n\n  1: a\n  2: b",
    ] {
        assert_eq!(error(text), Json::Null, "{text}");
    }
}

#[test]
fn huge_and_broken_traces_are_fast() {
    let frames = "\tat com.example.Shop.main(Shop.java:10)\n".repeat(50_000);
    let python = format!("Traceback (most recent call last):\n{}", "  File \"a.py\", line 1, in f\n".repeat(50_000));
    let headers = "a: b c: d java.lang.Error ".repeat(20_000);
    for text in [
        format!("java.lang.Error: x\n{frames}"),
        format!("{headers}\n{frames}"),
        python.clone(),
        format!("{python}ValueError: x"),
        "Traceback (most recent call last):\n".repeat(30_000),
        format!("goroutine 1 [running]:\n{}", "main.f()\n\ta.go:1\n".repeat(60_000)),
        format!("thread 'x' panicked at a.rs:1:1:\n{}", "  1: f\n  at a.rs:1\n".repeat(60_000)),
        format!("Error: x\n{}", "    at f (a.js:1:1)\n".repeat(50_000)),
    ] {
        error(&text);
    }
}

#[test]
fn invalid_options_are_refused_with_a_hint() {
    for (options, expected) in [
        (json!({ "field": "a" }), "unknown field `field`, expected one of `fields`, `into`"),
        (json!({ "fields": [] }), "option `fields`: the list is empty"),
        (json!({ "fields": vec!["a"; 65] }), "option `fields`: 65"),
        (json!({ "in_app": [""] }), "option `in_app`: an empty text"),
        (json!({ "into": "message" }), "option `into`: `message` is a reserved field"),
        (json!({ "frames": 0 }), "option `frames`: 0; it must be 1 to 64"),
        (json!({ "level": "LOUD" }), "unknown level `LOUD`"),
    ] {
        let error = Bench::refused(options.clone());
        assert!(error.contains(expected), "{options}\n  said: {error}\n  not:  {expected}");
    }
}

proptest! {
    #[test]
    fn no_text_causes_a_panic(
        trace in prop::sample::select(ALL.to_vec()),
        from in 0..2000_usize,
        to in 0..2000_usize,
        middle in "\\PC{0,20}|[\n\t :('\"|+-]{0,10}",
    ) {
        let (from, to) = (trace.floor_char_boundary(from), trace.floor_char_boundary(to));
        error(&format!("{}{middle}{}", &trace[..from], &trace[to..]));
        error(&format!("{middle}\n{}", &trace[to..]));
    }

    #[test]
    fn no_mix_of_lines_from_all_languages_causes_a_panic(
        lines in prop::collection::vec(prop::sample::select(ALL.iter().flat_map(|text| text.lines()).collect::<Vec<_>>()), 0..30),
    ) {
        error(&lines.join("\n"));
    }
}

#[test]
fn the_example_options_work_on_the_samples() {
    let mut bench =
        Bench::with_options(toml::from_str(include_str!("../options.toml")).expect("the example is valid TOML"));
    let samples = include_str!("../samples.jsonl").lines();
    let outcomes = bench.run(samples.map(|line| serde_json::from_str(line).expect("a sample is JSON")));
    let types: Vec<&Json> = outcomes.iter().map(|outcome| &outcome.record()["error"]["type"]).collect();
    assert_eq!(types, [&json!("KeyError"), &json!("com.example.shop.OrderException"), &json!(null)]);
    assert_eq!(outcomes[0].record()["level"], "ERROR");
    assert_eq!(outcomes[1].record()["error"]["frame"]["function"], "com.example.shop.Shop.charge");
}
