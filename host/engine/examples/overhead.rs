//! The overhead of the engine: runs the same records through a guest that answers without looking at them, and through
//! guests that keep, drop and change them. `cargo run --release -p weir-engine --example overhead [FILTER.wasm]`

#[path = "../../../tests/hostile/mod.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod hostile;

use std::time::{Duration, Instant};

use weir_engine::{Chain, Engine, EngineOptions, FilterSpec, Worker};
use weir_record::{Aliases, Batch, Defaults, Level};

/// Keeps every record without reading it; computes the count from the size, since all records are equally long.
const BLIND: hostile::Guest = (
    "blind",
    r#"
    (func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 0))
    (func (export "weir:filter/packed@1.0.0#process") (param $at i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 256) (i32.const 0))
      (call $pair (i32.const 260) (i32.const 1024)
        (i32.div_u (local.get $length) (i32.sub (call $skip (local.get $at)) (local.get $at))))
      (call $pair (i32.const 268) (i32.const 0) (i32.const 0))
      (i32.const 256))
    (func (export "cabi_post_weir:filter/packed@1.0.0#process") (param i32)
      (global.set $free (i32.const 65536)))"#,
);

fn batch(count: usize) -> Batch {
    let mut batch = Batch::new();
    let aliases = Aliases::default();
    let received_ns = 1_767_323_045_000_000_006;
    let defaults = Defaults {
        received_ns,
        source: "api",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let json = format!(
        r#"{{"message": "user logged in from 192.168.0.17 after 2 attempts", "context": {{"user": "jane.doe@example.com",
        "request": "0f8fad5b-d9cb-469f-a165-70867728950e", "path": "/api/v1/session"}}, "text": "{}"}}"#,
        "lorem ipsum ".repeat(10)
    );
    for _ in 0..count {
        weir_record::read_json(json.as_bytes(), &defaults, &mut batch).expect("the text above is json");
    }
    batch
}

/// The median over several rounds, in nanoseconds per record.
fn measure(worker: &mut Worker, chain: &Chain, count: usize) -> f64 {
    let batch = batch(count);
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let calls = 200_000 / count;
            let mut taken = Duration::ZERO;
            for _ in 0..calls {
                let input = batch.clone();
                let start = Instant::now();
                let outcome = worker.run(chain, input);
                taken += start.elapsed();
                assert!(outcome.failed.is_empty(), "{:?}", outcome.failed[0]);
            }
            taken.as_nanos() as f64 / (calls * count) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(EngineOptions { cache_folder: None, workers: 1 })?;
    let mut modules: Vec<(String, Vec<u8>)> = [BLIND, hostile::KEEP, hostile::PATCH, hostile::EXPAND, hostile::TYPED]
        .iter()
        .map(|&guest| (guest.0.to_owned(), hostile::module(guest)))
        .collect();
    for path in std::env::args().skip(1) {
        modules.push((path.clone(), std::fs::read(path)?));
    }
    println!("ns a record, {} bytes each; batches of 1, 100, 1000", batch(1).byte_len());
    for (name, module) in modules {
        let start = Instant::now();
        let filter = engine.load(&FilterSpec::new(&name), &module)?;
        let loaded = start.elapsed();
        let chain = Chain(vec![filter]);
        let mut worker = Worker::new(engine.clone());
        let figures = [1, 100, 1000].map(|count| measure(&mut worker, &chain, count));
        println!("{name:30} {:8.0} {:8.1} {:8.1}   loaded in {loaded:?}", figures[0], figures[1], figures[2]);
    }
    Ok(())
}
