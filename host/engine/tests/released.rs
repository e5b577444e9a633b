//! Filters built against a released version of the contract keep working.
//!
//! `tests/released/VERSION/` has guests of every world, written when the version was released and never changed since.
//! The contract itself must not change after its release either, except for its prose. See `wit/README.md` for the
//! policy.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use weir_engine::{Chain, Engine, EngineOptions, Filter, FilterSpec, Worker, World};
use weir_record::{Aliases, Batch, Defaults, Level};

/// Each released version, its text, and the digest of the text without prose.
const RELEASED: [(&str, &str, &str); 2] = [
    (
        "1.0.0",
        include_str!("../../../wit/v1/filter.wit"),
        "a6aa5b5a939132f17a0ab797563f44a124c517684c1275b9906f65616f5ece7d",
    ),
    (
        "2.0.0",
        include_str!("../../../wit/v2/filter.wit"),
        "2620e89e1fc6f22ec3586e479c45961c590c3fe17fdc303234b93a942ed58918",
    ),
];

#[test]
fn released_contracts_change_only_in_prose() {
    for (version, text, released) in RELEASED {
        assert!(text.contains(&format!("package weir:filter@{version};")));
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///"));
        let digest: String =
            Sha256::digest(lines.collect::<Vec<_>>().join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, released, "weir:filter@{version} is released: make the change in a version of its own");
    }
}

#[test]
fn every_released_version_has_a_guest_of_every_world_that_it_added() {
    let engine = engine();
    for (version, name, world) in GUESTS {
        assert_eq!(load(&engine, version, name).world(), world, "{version} {name}");
    }
    assert!(RELEASED.iter().all(|(released, ..)| GUESTS.iter().any(|(version, ..)| version == released)));
}

#[test]
fn guests_of_every_released_version_still_run() {
    assert_eq!(run("1.0.0", "packed"), ["a true", "b true"]);
    assert_eq!(run("1.0.0", "packed-state"), ["a null", "b null", "count 2"]);
    assert_eq!(run("1.0.0", "typed"), ["context.user null", "context.user null"]);
    assert_eq!(run("1.0.0", "typed-state"), ["a null", "a null", "b null", "b null", "count 2"]);
    // The last byte of the first record is even, of the second odd: one continues, the other is held.
    assert_eq!(run("2.0.0", "holding"), ["a null", "count 1"]);
}

#[test]
fn the_state_of_guests_of_every_released_version_is_handed_over() {
    let stateful = GUESTS.into_iter().filter(|(.., world)| world.is_stateful());
    for (version, name, _) in stateful {
        let engine = engine();
        let (old, new) = (load(&engine, version, name), load(&engine, version, name));
        let mut worker = Worker::new(engine);
        let through = worker.run(&Chain(vec![old.clone()]), batch());
        old.hand_over(&new).expect("the state is taken");
        let said = worker.tick(&Chain(vec![new]), true);
        let counted = if name == "holding" { "count 1" } else { "count 2" };
        assert_eq!(shown(&said.batch), [counted], "{version} {name}");
        assert_eq!(said.holding.released, through.holding.held.into_keys().collect::<Vec<_>>(), "{version} {name}");
    }
}

const GUESTS: [(&str, &str, World); 5] = [
    ("1.0.0", "packed", World::PackedFilter),
    ("1.0.0", "packed-state", World::StatefulPackedFilter),
    ("1.0.0", "typed", World::Filter),
    ("1.0.0", "typed-state", World::StatefulFilter),
    ("2.0.0", "holding", World::HoldingFilter),
];

fn engine() -> Arc<Engine> {
    Engine::new(EngineOptions { cache_folder: None, workers: 1 }).expect("the runtime starts")
}

fn load(engine: &Arc<Engine>, version: &str, name: &str) -> Arc<Filter> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/released").join(version);
    let module = wat::parse_file(folder.join(format!("{name}.wat"))).expect("a module in text");
    engine.load(&FilterSpec::new(name), &module).expect("a guest of a released version is loaded")
}

/// The output of a guest for two records and at the final tick.
fn run(version: &str, name: &str) -> Vec<String> {
    let engine = engine();
    let chain = Chain(vec![load(&engine, version, name)]);
    let mut worker = Worker::new(engine);
    let made = worker.run(&chain, batch());
    let said = worker.tick(&chain, true);
    assert!(made.failed.is_empty() && said.failed.is_empty());
    [shown(&made.batch), shown(&said.batch)].concat()
}

fn batch() -> Batch {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 1,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    let records = br#"[{"message":"a","context":{"user":"x"}},{"message":"b","context":{"user":"y"}}]"#;
    assert!(weir_record::read_json(records, &defaults, &mut batch).expect("json").is_empty());
    batch
}

/// The message of each record, and what the guest added.
fn shown(batch: &Batch) -> Vec<String> {
    batch
        .iter()
        .map(|record| {
            let mut json = Vec::new();
            weir_record::write_json(record, &mut json);
            let json: serde_json::Value = serde_json::from_slice(&json).expect("json");
            let noted = json.get("patched").or(json.get("count")).unwrap_or(&serde_json::Value::Null);
            format!("{} {noted}", json["message"].as_str().unwrap_or_default())
        })
        .collect()
}
