//! Random records, and random queries that find some of them: for tests that compare a database's answers with those of
//! the matcher. The same seed gives the same samples.

use std::fmt::Write;

use fastrand::Rng;
use serde_json::{Map, Value};
use weir_query::{Query, field, quoted};
use weir_record::{Aliases, Batch, Defaults, Level, path, read_json};

/// 2026-11-24T10:00:00Z
pub const NOW_NS: i64 = 1_795_514_400_000_000_000;

/// Words that databases split, fold, escape or compare in their own ways.
const WORDS: &[&str] = &[
    "timeout",
    "time",
    "out",
    "user_id",
    "user",
    "id",
    "_",
    "k8s",
    "K8S",
    "Zürich",
    "zurich",
    "ZÜRICH",
    "Straße",
    "STRASSE",
    "ẞ",
    "naïve",
    "café",
    "cafe\u{301}",
    "\u{17f}ource",
    "\u{212a}elvin",
    "kelvin",
    "\u{212a}8\u{17f}",
    "source",
    "Å",
    "\u{212b}",
    "σίγμα",
    "ΣΊΓΜΑ",
    "ς",
    "İstanbul",
    "ı",
    "istanbul",
    "Ж",
    "ж",
    "日本",
    "日",
    "²",
    "m²",
    "½",
    "x\u{e000}",
    "true",
    "false",
    "null",
    "500",
    "500.0",
    "5e2",
    "5",
    "-3",
    "0",
    "1.5",
    "inf",
    "NaN",
    "18446744073709551615",
    "9223372036854775808",
    "ERROR",
    "error",
    "checkout-eu",
    "checkout",
    "100%",
    "%",
    "a.b",
    "a\"b",
    "a\\b",
    "x\ny",
    "\tz",
    "\u{1}c",
    "nul\0x",
    "\0",
    "*",
    "?",
    "'",
    "🦀",
    "2026-11-24",
    "2026-11-24T10:00:00Z",
    "2026-11-24T09:30:00+01:00",
    "nt",
    "u0000",
    "app",
    "AND",
];
const KEYS: &[&str] =
    &["a", "b", "a.b", "0", "1", "tags", "ctx", "q\"uote", "back\\slash", "ü", "user id", "", "true", "é"];
const SOURCES: &[&str] =
    &["app", "APP", "checkout-eu", "checkout", "Zürich", "\u{212a}elvin", "500", "x_y", "nul\0x", ""];
const SEPARATORS: &[&str] = &[" ", " ", " ", "-", "_", ": ", "/", "", "."];

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// A word, of those that the search index of SQLite takes for what queries do unless `odd`.
fn word(rng: &mut Rng, odd: bool) -> &'static str {
    let is_odd = |word: &str| word.contains(|c: char| c.is_control() || "²½🦀\u{e000}\u{17f}\u{212a}".contains(c));
    loop {
        let word = pick(rng, WORDS);
        if odd || !is_odd(word) {
            return word;
        }
    }
}

/// Words in a row.
fn text(rng: &mut Rng, most: usize, odd: bool) -> String {
    let mut text = String::new();
    for at in 0..rng.usize(..=most) {
        if at > 0 {
            text.push_str(pick(rng, SEPARATORS));
        }
        text.push_str(word(rng, odd));
    }
    text
}

fn value(rng: &mut Rng, depth: usize, odd: bool) -> Value {
    match rng.usize(..if depth == 0 { 10 } else { 13 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => pick(rng, &[0, 5, 500, -3, 42, i64::MAX, i64::MIN]).into(),
        3 => pick(rng, &[u64::MAX, 1 << 63, 500]).into(),
        4..=6 => pick(rng, &[0.0, 1.5, 500.0, 0.1, 250.125, 1e300, -2.5e-7, 9_223_372_036_854_775_808.0]).into(),
        7..=9 => text(rng, 3, odd).into(),
        10 | 11 => (0..rng.usize(..4)).map(|_| value(rng, depth - 1, odd)).collect(),
        _ => map(rng, depth - 1, odd).into(),
    }
}

fn map(rng: &mut Rng, depth: usize, odd: bool) -> Map<String, Value> {
    (0..rng.usize(..4)).map(|_| (pick(rng, KEYS).to_owned(), value(rng, depth, odd))).collect()
}

/// Records whose times are out of order and often equal. `step_ns` is what times are a multiple of.
pub fn records(rng: &mut Rng, count: usize, step_ns: i64) -> Batch {
    let aliases = Aliases::none();
    let mut batch = Batch::new();
    let odd = rng.usize(..3) == 0;
    for _ in 0..count {
        let time = NOW_NS - 3_600_000_000_000 + rng.i64(0..40) * step_ns;
        let mut record = map(rng, 2, odd);
        record.insert("level".into(), pick(rng, &Level::ALL).as_str().into());
        record.insert("source".into(), pick(rng, SOURCES).into());
        record.insert("message".into(), text(rng, 5, odd).into());
        let defaults = Defaults {
            received_ns: time,
            source: "none",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let bad = read_json(Value::from(record).to_string().as_bytes(), &defaults, &mut batch);
        assert_eq!(bad, Ok(vec![]));
    }
    batch
}

/// A query that is likely to select some of the records, but not all.
pub fn query(rng: &mut Rng, records: &Batch) -> (String, Query) {
    loop {
        let text = any(rng, records, 2);
        if let Ok(query) = Query::parse(&text, NOW_NS) {
            return (text, query);
        }
    }
}

fn any(rng: &mut Rng, records: &Batch, depth: usize) -> String {
    if depth == 0 || rng.usize(..3) == 0 {
        return term(rng, records);
    }
    let one = any(rng, records, depth - 1);
    match rng.usize(..4) {
        0 => format!("({one} OR {})", any(rng, records, depth - 1)),
        1 => format!("({one} {})", any(rng, records, depth - 1)),
        2 => format!("NOT ({one})"),
        _ => one,
    }
}

/// A value of a record: its path, and itself or an item of it.
fn leaf(rng: &mut Rng, records: &Batch) -> (String, Value) {
    let record = records.record(rng.usize(..records.len()));
    let keys: Vec<&str> = record.entries().map(|(key, _)| key).filter(|key| *key != "timestamp").collect();
    let key = pick(rng, &keys);
    let (mut found, mut value) = (String::new(), record.get(&escaped(key)).expect("a key of it"));
    found.push_str(&escaped(key));
    for _ in 0..2 {
        let inner: Vec<(String, weir_record::Value<'_>)> = match value {
            weir_record::Value::Map(map) => map.iter().map(|(key, value)| (escaped(key), value)).collect(),
            weir_record::Value::Array(items) => {
                items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
            }
            _ => break,
        };
        if inner.is_empty() {
            break;
        }
        let (key, next) = inner[rng.usize(..inner.len())].clone();
        value = next;
        // Sometimes the list itself, of which this is an item.
        if rng.usize(..3) > 0 {
            write!(found, ".{key}").expect("a string");
        } else {
            break;
        }
    }
    let mut json = Vec::new();
    weir_record::write_json_value(value, &mut json);
    (found, serde_json::from_slice(&json).unwrap_or_default())
}

fn escaped(key: &str) -> String {
    let mut out = String::new();
    path::escape(&mut out, key);
    out
}

/// A piece of a text, between characters.
fn piece(rng: &mut Rng, text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = rng.usize(..=chars.len());
    let to = rng.usize(from..=chars.len());
    chars[from..to].iter().collect()
}

fn recased(rng: &mut Rng, text: &str) -> String {
    match rng.usize(..3) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        _ => text.to_owned(),
    }
}

fn with_wildcards(rng: &mut Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(..3) {
        let at = rng.usize(..=chars.len());
        match rng.usize(..3) {
            0 if at < chars.len() => chars[at] = '?',
            1 => chars.truncate(at),
            _ => {}
        }
        chars.insert(at.min(chars.len()), '*');
    }
    chars.into_iter().collect()
}

/// Words of a text, or other words.
fn words(rng: &mut Rng, text: &str) -> String {
    let all: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let word = match rng.usize(..4) {
        0 => pick(rng, WORDS).to_owned(),
        1 => return quoted(&recased_piece(rng, text)),
        _ if all.is_empty() => pick(rng, WORDS).to_owned(),
        _ => pick(rng, &all).to_owned(),
    };
    let word = recased(rng, &word);
    let plain = !word.contains(|c: char| c.is_whitespace() || ":=~<>!()\"\\".contains(c)) && !word.starts_with('-');
    match rng.usize(..3) {
        _ if !plain || word.is_empty() => quoted(&word),
        0 => with_wildcards(rng, &word),
        _ => word,
    }
}

fn recased_piece(rng: &mut Rng, text: &str) -> String {
    let piece = piece(rng, text);
    recased(rng, &piece)
}

fn term(rng: &mut Rng, records: &Batch) -> String {
    let record = records.record(rng.usize(..records.len()));
    let (path, value) = leaf(rng, records);
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match rng.usize(..12) {
        0 | 1 => words(rng, record.message()),
        2 => format!("*:{}", words(rng, &text)),
        3 => format!("level{}{}", pick(rng, &[">=", "<", ":", "!="]), record.level().as_str()),
        4 => format!("source{}{}", pick(rng, &[":", "=", "!=", "~"]), quoted(record.source())),
        5 => {
            let mut time = Vec::new();
            weir_record::time::format_rfc3339(record.timestamp(), &mut time);
            let operator = pick(rng, &["since:", "until:", "timestamp>", "timestamp<=", "timestamp="]);
            format!("{operator}{}", String::from_utf8_lossy(&time))
        }
        6 => format!("{}:*", field(&path)),
        7 => {
            let other = if rng.bool() { text } else { pick(rng, WORDS).to_owned() };
            format!("{}{}{}", field(&path), pick(rng, &[">", ">=", "<", "<=", ":>"]), other)
        }
        8 => format!("{}{}{}", field(&path), pick(rng, &["=", "!="]), quoted(&text)),
        9 => {
            let part = regex::escape(&piece(rng, &text));
            let (field, flags) = (field(&path), pick(rng, &["", "", "(?i)"]));
            let field = if rng.usize(..4) == 0 { "*" } else { &field };
            format!("{field}{}{}", pick(rng, &["~", "!~"]), quoted(&format!("{flags}{part}")))
        }
        10 => format!("{}:{}", field(&path), quoted(&recased(rng, &text))),
        _ => {
            let glob = with_wildcards(rng, &text);
            format!("{}:{}", field(&path), recased(rng, &glob))
        }
    }
}
