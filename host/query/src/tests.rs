//! What queries select, and what their errors say.

use proptest::prelude::*;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use crate::Query;
use crate::limits::{MAX_DEPTH, MAX_QUERY_BYTES, MAX_TERMS};

/// 2026-11-24T10:00:00Z
const NOW_NS: i64 = 1_795_514_400_000_000_000;

fn record(json: &str) -> Batch {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: NOW_NS - 3_600_000_000_000,
        source: "none",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    assert_eq!(read_json(json.as_bytes(), &defaults, &mut batch), Ok(vec![]), "{json}");
    batch
}

fn query(text: &str) -> Query {
    Query::parse(text, NOW_NS).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

fn selects(text: &str, json: &str) -> bool {
    query(text).matches(record(json).record(0))
}

/// An hour old.
const RECORD: &str = r#"{"level":"ERROR","source":"checkout-eu","message":"Connection reset by peer: user_id 7, 40% done",
    "took_ms":250.5,"status":500,"path":"/health?q=(1)","trace_id":null,"ok":true,"big":18446744073709551615,
    "started":"2026-11-24T09:00:00+01:00","digits":"12","tags":["red","Deep Blue",5],
    "context":{"user.id":42,"name":"Ünal","deep":{"list":["needle in hay"]}}}"#;

#[test]
fn a_query_selects_what_its_page_says() {
    for yes in [
        "",
        "  ",
        "connection",
        "CONNECTION reset",
        "conn* *set",
        "con*on",
        "*",
        "user_id",
        r#""connection reset by""#,
        r#""peer: user_id""#,
        r#""40% done""#,
        "40%",
        "*:needle",
        "*:ünal",
        r#"*:"NEEDLE IN""#,
        r"*~ne+dle",
        "message:peer",
        r#"message:"reset by""#,
        "source:checkout-eu",
        "source:CHECKOUT*",
        "source:c?eckout-??",
        "source=checkout-eu",
        "source!=checkout",
        "nothing!=x",
        "nothing!~x",
        r#"source:"checkout-eu""#,
        "status:500",
        "status:5*",
        "status:500.0",
        "status=500",
        "status=5e2",
        "took_ms>250",
        "took_ms>=250.5",
        "took_ms<1e3",
        "took_ms:>250",
        "took_ms=250.5",
        "digits>11.5",
        "digits:12",
        "big=18446744073709551615",
        "big>1e19",
        "ok=true",
        "ok:TRUE",
        "level:error",
        "level=err",
        "level>=WARN",
        "level<CRITICAL",
        "level!=info",
        "tags:red",
        r#"tags:"deep blue""#,
        "tags.1:deep*",
        "tags=5",
        "tags>4",
        "tags~^De",
        r"context.user\.id=42",
        "context:*",
        "context.deep.list:*needle*",
        "-trace_id:*",
        "-nothing:*",
        "path:/health?q=(1)",
        "path~(q=)",
        "started<2026-11-24T09:00:00Z",
        "started>=2026-11-24T08:00:00Z -started>2026-11-24T08:00:00Z",
        "since:1h",
        "since:2h until:30m",
        "since:2026-11-24 until:2026-11-25",
        "timestamp>2026-11-24T08:59:59Z",
        "timestamp=2026-11-24T09:00:00Z timestamp<=1h timestamp>=1h",
        "timeout OR reset",
        "timeout OR reset peer",
        "NOT timeout",
        "-timeout -slow",
        "--reset",
        "NOT -reset",
        "(timeout OR reset) AND (peer)",
        "( reset )",
        r#"-"connection timed""#,
    ] {
        assert!(selects(yes, RECORD), "{yes}");
    }
    for no in [
        "connect",
        "reset timeout",
        "user",
        "eer*",
        r#""reset connection""#,
        r#""conn*""#,
        "needle",
        "*:hays",
        "source:checkout",
        "source=Checkout-eu",
        r#"source:"checkout*""#,
        "source!=checkout-eu",
        "source!~check",
        "status:50",
        "status=500.5",
        "status!=500",
        "took_ms>251",
        "took_ms>1h",
        "message>3",
        "big=18446744073709551614",
        "level>ERROR",
        "level:info",
        "trace_id:*",
        "nothing:*",
        "nothing:x",
        "nothing>0",
        "tags:blue",
        "context:x",
        "context.user.id=42",
        "started>=2026-11-25",
        "since:59m",
        "until:1h",
        "since:2026-11-25",
        "timestamp>1h",
        "reset AND timeout",
        "(timeout OR reset) -peer",
        "timeout OR slow",
        "ok=1",
        "-*",
    ] {
        assert!(!selects(no, RECORD), "{no}");
    }
}

/// The page's own examples.
#[test]
fn every_query_on_the_page_is_valid() {
    let page = include_str!("../README.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let examples: Vec<&str> = rows.filter_map(|row| row.split_once('`')).map(|(example, _)| example).collect();
    assert!(examples.len() > 15, "{examples:?}");
    let block = page.split("```").nth(1).and_then(|block| block.strip_prefix("text\n")).expect("the first example");
    for example in examples.into_iter().chain([block]) {
        query(example);
    }
}

#[test]
fn and_binds_closer_than_or() {
    let message = |text: &str| format!(r#"{{"message":"{text}"}}"#);
    let found = ["a", "b c", "b", "c"].map(|text| selects("a OR b c", &message(text)));
    assert_eq!(found, [true, true, false, false]);
    let found = ["a", "b c", "a c"].map(|text| selects("(a OR b) AND c", &message(text)));
    assert_eq!(found, [false, true, true]);
}

#[test]
fn keywords_in_lower_case_or_quotes_are_words() {
    assert!(selects(r#"and "OR" not"#, r#"{"message":"this and that or not"}"#));
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    for (text, column, part) in [
        ("reset AND", 10, "expected a word"),
        ("OR reset", 1, "expected a word"),
        ("a OR OR b", 6, "expected a word"),
        ("a NOT", 6, "expected a word"),
        ("(a b", 1, "this `(` has no `)`"),
        ("ü (a", 3, "this `(` has no `)`"),
        ("a b)", 4, "this `)` has no `(`"),
        ("()", 2, "expected a word"),
        (r#"a "b"#, 3, "this quote is not closed"),
        (r#"source:"b"#, 8, "this quote is not closed"),
        ("source: api", 8, "expected a value after `:`"),
        ("a took>=", 9, "expected a value after `>=`"),
        (":api", 1, "expected the name of a field before `:`"),
        ("=5", 1, "expected the name of a field before `=`"),
        ("level>=loud", 8, "`loud` is not a level: TRACE"),
        ("took>fast", 6, "`>` compares numbers, times and `level`"),
        ("took>NaN", 6, "compares numbers"),
        ("since:soon", 7, "`soon` is not a time: write 2026-11-24T10:00:00Z"),
        ("timestamp:yesterday", 11, "is not a time"),
        ("a message~(", 11, "is not a valid regular expression: unclosed group"),
        ("a~(x{1000}){1000}", 3, "exceeds"),
        ("*=5", 3, "search any field with `*:`"),
    ] {
        let error = Query::parse(text, NOW_NS).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("column {column}: ")), "{error}");
    }
}

#[test]
fn without_a_current_time_ages_are_refused() {
    for (text, column, part) in [
        ("timeout since:1h", 15, "`1h` is an age, and there is no time here to count it back from: write 2026-11-24T"),
        ("started>90s", 9, "`90s` is an age"),
        ("until:soon", 7, "`soon` is not a time: write 2026-11-24T10:00:00Z or 2026-11-24"),
    ] {
        let error = Query::parse(text, None).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.message.starts_with(part), "{text}: {error}");
    }
    for text in ["since:2026-11-24 until:2026-11-25", "took>0", "took:>250 started>2026-11-24"] {
        assert!(Query::parse(text, None).is_ok(), "{text}");
    }
}

#[test]
fn huge_queries_are_refused_at_documented_limits() {
    assert!(Query::parse(&"a ".repeat(MAX_TERMS), NOW_NS).is_ok());
    let error = Query::parse(&"a ".repeat(MAX_TERMS + 1), NOW_NS).expect_err("too many");
    assert!(error.message.contains("256 words"), "{error}");
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Query::parse(&nested(MAX_DEPTH - 1), NOW_NS).is_ok());
    for deep in [nested(MAX_DEPTH), nested(MAX_QUERY_BYTES / 2 - 1), "-".repeat(5000) + "a", "NOT ".repeat(4000) + "a"]
    {
        let error = Query::parse(&deep, NOW_NS).expect_err("too deep");
        assert!(error.message.contains("nested"), "{error}");
    }
    assert!(Query::parse(&"a".repeat(MAX_QUERY_BYTES + 1), NOW_NS).expect_err("too long").message.contains("longer"));
}

#[test]
fn a_value_ends_at_a_parenthesis_that_it_did_not_open() {
    assert!(selects("(source~(a|b)c) d", r#"{"source":"bc","message":"d"}"#));
    assert!(!selects("(source~(a|b)c) d", r#"{"source":"bc","message":"e"}"#));
}

proptest! {
    #[test]
    fn any_text_is_a_query_or_an_error_within_it(text in "\\PC{0,40}") {
        if let Err(error) = Query::parse(&text, NOW_NS) {
            prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}: {}", text, error);
        }
    }

    #[test]
    fn any_text_of_the_language_is_a_query_or_an_error_within_it(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a", " ", "(", ")", "\"", "-", "NOT", "AND", "OR", ":", "=", "!=", "~", ">=", "*", "\\", "level", "since", "1h", "ü",
        ]), 0..24)
    ) {
        let text = parts.concat();
        match Query::parse(&text, NOW_NS) {
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}: {}", text, error),
            Ok(query) => {
                let batch = record(RECORD);
                let inverse = Query::parse(&format!("NOT ({text})"), NOW_NS);
                if let Ok(inverse) = inverse {
                    prop_assert_ne!(query.matches(batch.record(0)), inverse.matches(batch.record(0)), "{}", text);
                }
            }
        }
    }
}
