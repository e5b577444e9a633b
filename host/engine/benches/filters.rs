//! The cost per record of the bundled filters: in WebAssembly through the engine, compared with the same Rust code
//! natively.
//!
//! `cargo bench -p weir-engine --bench filters [-- WORD]` shows the rows whose names contain WORD. The modules are
//! those in `filters/bundled/`, so build them first. Figures are CPU time of this thread, from the operating system,
//! and include the copy of the batch made for each run. The row `keep` shows the cost of the engine alone, `patch` the
//! cost of adding one key to each record.

#[path = "../../../tests/hostile/mod.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod hostile;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use weir_bench::records::{Secrets, write_record};
use weir_engine::{Chain, Engine, EngineOptions, Filter, FilterSpec, Worker};
use weir_filter_level::MinimumLevel;
use weir_filter_redact::Redact;
use weir_guest::{BatchFilter, Output};
use weir_record::{Aliases, Batch, Defaults, Level};

/// Number of runs; the median is shown.
const RUNS: usize = 5;

/// Records per run. CPU time is counted in clock ticks of 1 to 10 ms.
const RECORDS: usize = 100_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let engine = Engine::new(EngineOptions { cache_folder: None, workers: 1 })?;
    let keep = engine.load(&FilterSpec::new("keep"), &hostile::module(hostile::KEEP))?;
    let patch = engine.load(&FilterSpec::new("patch"), &hostile::module(hostile::PATCH))?;
    let redact = bundled(&engine, "redact")?;
    let level = bundled(&engine, "level")?;
    let rows = [
        ("keep", Secrets::Some, vec![&keep], None),
        ("patch", Secrets::Some, vec![&patch], None),
        ("redact, dirty", Secrets::Some, vec![&redact], Some(native::<Redact> as Native)),
        ("redact, clean", Secrets::None, vec![&redact], Some(native::<Redact>)),
        ("level", Secrets::Some, vec![&level], Some(native::<MinimumLevel>)),
        ("level and redact, dirty", Secrets::Some, vec![&level, &redact], None),
    ];
    println!("ns of CPU a record, of {} bytes; median of {RUNS} runs", batch(Secrets::Some, 100).byte_len() / 100);
    println!("{:24} {:>10} {:>10} {:>10} {:>10}", "", "wasm 100", "wasm 1000", "native 100", "native 1000");
    for (name, secrets, filters, native) in rows {
        if !name.contains(&only) {
            continue;
        }
        let chain = Chain(filters.into_iter().cloned().collect());
        let [small, large] = [100, 1000].map(|count| in_engine(&engine, &chain, &batch(secrets, count)));
        let natively = |count| native.map_or("-".to_owned(), |run| format!("{:.0}", run(&batch(secrets, count))));
        println!("{name:24} {small:10.0} {large:10.0} {:>10} {:>10}", natively(100), natively(1000));
    }
    Ok(())
}

/// Loads a bundled filter, and prints what loading costs.
fn bundled(engine: &Arc<Engine>, name: &str) -> Result<Arc<Filter>, Failure> {
    let path = format!("{}/../../filters/bundled/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    let module = std::fs::read(&path).map_err(|error| format!("can't read `{path}`: {error}"))?;
    let start = Instant::now();
    let filter = engine.load(&FilterSpec::new(name), &module)?;
    println!("{name}: {} bytes, loaded in {:?}", module.len(), start.elapsed());
    Ok(filter)
}

/// The median of several runs, in nanoseconds per record.
fn median(records: usize, mut run: impl FnMut()) -> f64 {
    let mut figures: Vec<f64> = (0..=RUNS)
        .map(|_| {
            let start = cpu_ns();
            for _ in 0..RECORDS / records {
                run();
            }
            (cpu_ns() - start) as f64 / RECORDS as f64
        })
        .skip(1)
        .collect();
    figures.sort_by(f64::total_cmp);
    figures[RUNS / 2]
}

fn in_engine(engine: &Arc<Engine>, chain: &Chain, batch: &Batch) -> f64 {
    let mut worker = Worker::new(engine.clone());
    median(batch.len(), || {
        let outcome = worker.run(chain, batch.clone());
        assert!(outcome.failed.is_empty(), "{}", outcome.failed[0].reason);
        black_box(outcome);
    })
}

type Native = fn(&Batch) -> f64;

fn native<F: BatchFilter>(batch: &Batch) -> f64 {
    let mut filter = F::new(F::Options::default()).expect("the default options");
    median(batch.len(), || {
        let mut output = Output::new();
        filter.process_batch(batch.clone().bytes(), &mut output).expect("canonical records");
        black_box(output.into_parts());
    })
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = stat.as_ref().and_then(|stat| stat.split(' ').next()?.parse().ok());
    on_cpu.expect("this bench needs the CPU time that Linux keeps of every thread")
}

/// Records like those of `weir bench`, the same in every run.
fn batch(secrets: Secrets, count: usize) -> Batch {
    let aliases = Aliases::default();
    let received_ns = 1_767_323_045_000_000_006;
    let defaults = Defaults {
        received_ns,
        source: "bench",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut random = fastrand::Rng::with_seed(0x05EE_D0F3_EC04_D501);
    let mut batch = Batch::new();
    for _ in 0..count {
        let mut json = String::new();
        write_record(&mut json, &mut random, secrets);
        let bad = weir_record::read_json(json.as_bytes(), &defaults, &mut batch).expect("our own JSON");
        assert!(bad.is_empty(), "{}", bad[0].error);
    }
    batch
}
