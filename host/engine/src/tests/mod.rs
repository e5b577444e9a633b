//! Tests of whole filters in the engine: what they do to batches, how hostile ones are contained, and the errors for
//! files that are not filters.

mod bounds;
mod budget;
mod check;
mod holding;
mod layers;
mod load;
mod numbers;
mod outcomes;
mod rights;
mod shadow;
mod signatures;
mod state;
mod test_instance;
mod times;
mod typed;

#[path = "../../../../tests/hostile/mod.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests")]
mod hostile;

use std::sync::Arc;
use std::time::Duration;

use weir_record::{Aliases, Batch, Defaults, Level};

use crate::{Chain, Engine, EngineOptions, Filter, FilterSpec, Outcome, Worker};
use hostile::{Guest, MARKER};

fn engine() -> Arc<Engine> {
    Engine::new(EngineOptions { cache_folder: None, workers: 1 }).unwrap()
}

/// A deadline that only an endless loop misses, even on a busy machine. What a filter returns has to be read within a part
/// of it, and `bomb` returns very much.
fn spec(name: &str) -> FilterSpec {
    let seconds = if name == "bomb" { 10 } else { 1 };
    FilterSpec { timeout: Duration::from_secs(seconds), ..FilterSpec::new(name) }
}

fn load(engine: &Arc<Engine>, guest: Guest) -> Arc<Filter> {
    engine.load(&spec(guest.0), &hostile::module(guest)).unwrap()
}

/// 2026-01-02T03:04:05.000000006Z.
const TIME_NS: i64 = 1_767_323_045_000_000_006;

/// Records with these messages.
fn batch<'a>(messages: impl IntoIterator<Item = &'a str>) -> Batch {
    let mut batch = Batch::new();
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: TIME_NS,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    for message in messages {
        let message = serde_json::Value::from(message);
        let json = format!(r#"{{"message": {message}, "context": {{"user": "u", "n": 5}}}}"#);
        assert_eq!(weir_record::read_json(json.as_bytes(), &defaults, &mut batch), Ok(vec![]));
    }
    batch
}

/// `count` records, one of which contains the marker.
fn batch_with_marker(count: usize, at: usize) -> Batch {
    let messages: Vec<String> =
        (0..count).map(|i| if i == at { format!("it is {MARKER}") } else { format!("record {i}") }).collect();
    batch(messages.iter().map(String::as_str))
}

fn messages(batch: &Batch) -> Vec<&str> {
    (0..batch.len()).map(|i| batch.record(i).message()).collect()
}

fn run(filters: &[&Arc<Filter>], batch: Batch) -> Outcome {
    let chain = chain(filters);
    Worker::new(filters[0].engine.clone()).run(&chain, batch)
}

fn chain(filters: &[&Arc<Filter>]) -> Chain {
    Chain(filters.iter().map(|&filter| filter.clone()).collect())
}

fn assert_one_line(text: &str) {
    assert!(!text.contains('\n') && text.len() < 1000, "{text}");
}
