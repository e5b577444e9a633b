//! The bundled modules do the same as their sources.
//!
//! Filters are tested natively, next to their code, but the modules in `filters/bundled/` are what runs, and they
//! differ in part: they read text with 128-bit vectors, native code with a plain loop. So this test runs the same
//! records through both and expects output that is equal byte for byte.

use std::fmt::Write as _;

use fastrand::Rng;
use serde_json::{Value as Json, json};
use weir_engine::{Chain, Engine, EngineOptions, FilterSpec, Worker};
use weir_filter_level::MinimumLevel;
use weir_filter_redact::Redact;
use weir_guest::testing::Bench;
use weir_guest::{BatchFilter, Output};
use weir_record::{Aliases, Batch, Defaults, Level, Value};

/// Records per comparison, in batches of any length up to [`MAX_BATCH`].
const RECORDS: usize = 4000;
const MAX_BATCH: usize = 120;

#[test]
fn redact_masks_the_same_in_the_module_and_natively() {
    let samples = include_str!("../../../filters/redact/samples.jsonl");
    let all = ["key", "email", "card", "jwt", "bearer", "service_key", "private_key", "base64", "ip"];
    for options in [
        json!({}),
        json!({
            "detect": all,
            "modes": { "card": "partial" },
            "patterns": [r"\bEMP-[0-9]{6}\b"],
            "allow_values": ["ada@example.com"],
        }),
        json!({
            "mode": "hash",
            "hash_key": "0123456789abcdef",
            "allow_keys": ["context.token", "note"],
            "extra_keys": ["*_id"],
        }),
    ] {
        let changed = compare::<Redact>("redact", &options, samples);
        assert!((RECORDS / 4..RECORDS).contains(&changed), "{changed} of {RECORDS} records were changed");
    }
}

#[test]
fn level_drops_the_same_in_the_module_and_natively() {
    let samples = include_str!("../../../filters/level/samples.jsonl");
    let options = json!({ "default": "WARNING", "sources": { "auth": "DEBUG", "auth.cache": "ERROR" } });
    let dropped = compare::<MinimumLevel>("level", &options, samples);
    assert!((RECORDS / 4..RECORDS).contains(&dropped), "{dropped} of {RECORDS} records were dropped");
}

/// Runs samples and random records through both. Returns how many records the filter changed or dropped.
fn compare<F: BatchFilter>(name: &str, options: &Json, samples: &str) -> usize {
    let engine = Engine::new(EngineOptions { cache_folder: None, workers: 1 }).unwrap();
    let path = format!("{}/../../filters/bundled/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    let spec = FilterSpec { options: options.clone(), ..FilterSpec::new(name) };
    let chain = Chain(vec![engine.load(&spec, &std::fs::read(path).unwrap()).unwrap()]);
    let mut worker = Worker::new(engine);
    let mut bench = Bench::<F>::new(options.clone()).unwrap();
    let mut random = Rng::with_seed(0x0B5E_55ED_0DD5);
    let mut touched = 0;
    let mut left = RECORDS;
    let mut batch = read(samples.lines().map(str::to_owned));
    loop {
        let (native, count) = run_natively(bench.filter(), &batch);
        touched += count;
        let outcome = worker.run(&chain, batch);
        assert!(outcome.failed.is_empty(), "{}", outcome.failed[0].reason);
        assert_eq!(outcome.batch.len(), native.len(), "{name} with {options}");
        for index in 0..native.len() {
            let (module, native) = (text(outcome.batch.get(index)), text(native.get(index)));
            assert!(module == native, "{name} with {options}\nmodule: {module}\nnative: {native}");
        }
        if left == 0 {
            return touched;
        }
        let count = (1 + random.usize(..MAX_BATCH)).min(left);
        left -= count;
        batch = read((0..count).map(|_| record(&mut random)));
    }
}

/// Runs a batch through the native filter. Also returns how many records it did not keep unchanged.
fn run_natively<F: BatchFilter>(filter: &mut F, batch: &Batch) -> (Batch, usize) {
    let mut output = Output::new();
    filter.process_batch(batch.bytes(), &mut output).unwrap();
    let (verdicts, patches) = output.into_parts();
    assert_eq!(verdicts.len(), batch.len());
    let touched = verdicts.iter().filter(|verdict| **verdict != 0).count();
    let mut rest = &patches[..];
    let mut out = Batch::new();
    for (index, verdict) in verdicts.into_iter().enumerate() {
        match verdict {
            0 => out.push(batch.get(index)),
            1 => {}
            2 => {
                let (patch, after) = rest.split_at(Value::read(rest).unwrap().1);
                rest = after;
                let mut record = Vec::new();
                weir_record::merge_patch(batch.get(index), patch, &mut record).unwrap();
                out.push(&record);
            }
            other => panic!("verdict {other}"),
        }
    }
    assert!(rest.is_empty());
    (out, touched)
}

fn read(records: impl Iterator<Item = String>) -> Batch {
    let aliases = Aliases::default();
    let received_ns = 1_767_323_045_000_000_006;
    let defaults = Defaults {
        received_ns,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    for record in records {
        assert_eq!(weir_record::read_json(record.as_bytes(), &defaults, &mut batch), Ok(vec![]), "{record}");
    }
    batch
}

fn text(record: &[u8]) -> String {
    record.escape_ascii().to_string()
}

/// Parts of texts: secrets, similar texts, and surroundings.
const PARTS: &[&str] = &[
    "ada@example.com",
    "postgres://weir:hunter2@db.internal:5432/x",
    "react@18.2.0",
    "@",
    "4111 1111 1111 1111",
    "4111111111111111",
    "5555-5555-5555-4444",
    "4111111111111112",
    "12 4111111111111111",
    "1763632800123456789",
    "2026-11-20 10:00:00",
    "password=hunter2",
    "api_key: \"a b\"",
    "token='x'",
    "level=info",
    "\"secret\":{\"a\":1}",
    "Bearer abc123def456",
    "bearer of this",
    "order ",
    "error ",
    "AKIAIOSFODNN7EXAMPLE",
    "EMP-123456",
    "10.1.2.3",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "wJalrXUtnFEMI7K3MDENGbPxRfiCYEXAMPLEKEY",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "hello",
    "größe",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "/usr/lib/x86_64-linux-gnu/Config2",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n-----END RSA PRIVATE KEY-----",
    "=",
    ":",
    " ",
    ", ",
    ".",
    "_",
    "-",
    "/",
    "x",
];

const KEYS: &[&str] = &[
    "user",
    "api_key",
    "apiKey",
    "context",
    "token",
    "id",
    "request_id",
    "x-auth-token",
    "PASSWORD",
    "note",
    "path",
    "Set-Cookie",
    "monkey",
    "n",
    "größe",
    "a_rather_long_key_that_is_no_secret_at_all",
    "card_number",
];

/// A record, as JSON.
fn record(random: &mut Rng) -> String {
    const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    const SOURCES: [&str; 5] = ["web", "auth", "auth.login", "auth.cache.lru", "authority"];
    let mut record = json!({ "level": one_of(random, &LEVELS), "source": one_of(random, &SOURCES) });
    if random.usize(..4) > 0 {
        record["message"] = sentence(random).into();
    }
    for _ in 0..random.usize(..4) {
        record[one_of(random, KEYS)] = value(random, 0);
    }
    record.to_string()
}

fn value(random: &mut Rng, depth: usize) -> Json {
    const NUMBERS: [u64; 4] = [4_111_111_111_111_111, 1_763_632_800_123_456_789, u64::MAX, 5_555_555_555_554_444];
    match random.usize(..if depth < 4 { 12 } else { 8 }) {
        0 => Json::Null,
        1 => (random.bool()).into(),
        2 => random.usize(..100_000).into(),
        3 => NUMBERS[random.usize(..NUMBERS.len())].into(),
        4 => (random.usize(..1000) as f64 / 8.0).into(),
        5..=7 => sentence(random).into(),
        8 | 9 => (0..random.usize(..4)).map(|_| value(random, depth + 1)).collect(),
        _ => {
            let entries = (0..random.usize(..5)).map(|_| (one_of(random, KEYS).to_owned(), value(random, depth + 1)));
            Json::Object(entries.collect())
        }
    }
}

/// A text in which every part can be at every position of a block.
fn sentence(random: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..random.usize(..8) {
        match random.usize(..3) {
            0 => text.push_str(&"....:.... ........".repeat(3)[..random.usize(..40)]),
            1 => drop(write!(text, "{:x} ", random.u64(..) >> (4 * random.usize(..16)))),
            _ => {}
        }
        text.push_str(one_of(random, PARTS));
    }
    text
}

fn one_of<'t>(random: &mut Rng, list: &[&'t str]) -> &'t str {
    list[random.usize(..list.len())]
}
