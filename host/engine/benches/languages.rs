//! The cost of the same filter in every language: size, compile time, start time, and time per record, compared with
//! the same Rust code natively. The filter is the example of `weir filter new`: it masks `context.email`, drops DEBUG,
//! and counts.
//!
//! `cargo bench --workspace --bench languages -- MODULE...` takes modules built by `weir filter build`. Figures per
//! record are CPU time of this thread and include the copy of the batch made for each run. One record in ten is
//! dropped, six in ten are masked.
//!
//! There are two native figures: the time to decide, and the time until the batch is changed as well, which is what the
//! figures of modules include. `/native` is the ratio to the second, `/decided` the ratio to the first. A machine's
//! speed varies with its other load, so module and native code take turns, and a ratio is the median over the turns.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use my_filter::MyFilter;
use weir_engine::{Chain, Engine, EngineOptions, FilterSpec, Worker};
use weir_guest::{BatchFilter, Output};
use weir_record::{Aliases, Batch, Defaults, Level};

/// Number of turns, after one for warming up. The median is shown.
const TURNS: usize = 15;

/// Records per turn.
const RECORDS: usize = 20_000;

/// Instances that are started in a row to measure one.
const INSTANCES: usize = 21;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!(
        "{:<28} {:>10} {:>12} {:>10} {:>12} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "bytes", "compile ms", "cached ms", "instance us", "ns@100", "ns@1000", "/native", "@1000", "/decided"
    );
    for path in std::env::args().skip(1).filter(|word| !word.starts_with("--")) {
        measure(Path::new(&path))?;
    }
    Ok(())
}

fn measure(path: &Path) -> Result<(), Failure> {
    let module = std::fs::read(path)?;
    let cache = std::env::temp_dir().join(format!("weir-languages-{}", std::process::id()));
    let load = |workers| -> Result<_, Failure> {
        let engine = Engine::new(EngineOptions { cache_folder: Some(cache.clone()), workers })?;
        let start = Instant::now();
        let filter = engine.load(&FilterSpec::new("mask"), &module)?;
        Ok((start.elapsed().as_secs_f64() * 1e3, engine, filter))
    };
    let (first, engine, filter) = load(1)?;
    // The compiled module is written by another thread.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let (cached, ..) = load(1)?;
    let (many, ..) = load(INSTANCES)?;
    let chain = Chain(vec![filter]);
    let [small, large] = [100, 1000].map(|count| turns(count, &engine, &chain));
    let name = path.display().to_string();
    let short: String = name.chars().skip(name.chars().count().saturating_sub(28)).collect();
    println!(
        "{short:<28} {:>10} {first:>12.1} {cached:>10.1} {:>12.0} {:>9.0} {:>9.0} {:>9.2} {:>9.2} {:>9.2}",
        module.len(),
        (many - cached).max(0.0) * 1e3 / (INSTANCES - 1) as f64,
        small.module,
        large.module,
        small.beside_native,
        large.beside_native,
        small.beside_decided,
    );
    println!(
        "{:<28} {:>10} {:>12} {:>10} {:>12} {:>9.0} {:>9.0}",
        "  native in its turns", "", "", "", "", small.native, large.native
    );
    std::fs::remove_dir_all(&cache)?;
    Ok(())
}

/// Nanoseconds per record and ratios, each the median of the turns.
struct Figures {
    module: f64,
    native: f64,
    beside_native: f64,
    beside_decided: f64,
}

/// Runs the module and the native code in turns, with batches of `count` records.
fn turns(count: usize, engine: &Arc<Engine>, chain: &Chain) -> Figures {
    let mut worker = Worker::new(engine.clone());
    let mut native = Native::new();
    let batch = batch(count);
    let turns: Vec<[f64; 3]> = (0..=TURNS)
        .map(|_| {
            let module = each_ns(count, || {
                let outcome = worker.run(chain, batch.clone());
                assert!(outcome.failed.is_empty(), "{}", outcome.failed[0].reason);
                black_box(outcome);
            });
            [module, each_ns(count, || native.run(&batch, true)), each_ns(count, || native.run(&batch, false))]
        })
        .skip(1)
        .collect();
    let median = |of: &dyn Fn(&[f64; 3]) -> f64| {
        let mut figures: Vec<f64> = turns.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures[TURNS / 2]
    };
    Figures {
        module: median(&|turn| turn[0]),
        native: median(&|turn| turn[1]),
        beside_native: median(&|turn| turn[0] / turn[1]),
        beside_decided: median(&|turn| turn[0] / turn[2]),
    }
}

/// The filter as native code.
struct Native {
    filter: MyFilter,
    result: Batch,
}

impl Native {
    fn new() -> Native {
        let filter = <MyFilter as BatchFilter>::new(Default::default()).expect("the default options");
        Native { filter, result: Batch::new() }
    }

    /// Runs until the filter has decided, or until its verdicts are applied to the batch.
    fn run(&mut self, batch: &Batch, applied: bool) {
        let copy = batch.clone();
        let mut output = Output::new();
        self.filter.process_batch(copy.bytes(), &mut output).expect("canonical records");
        let (verdicts, patches) = output.into_parts();
        if applied {
            self.result.clear();
            apply(&copy, &verdicts, &patches, &mut self.result);
        }
        black_box((&self.result, verdicts, patches));
    }
}

/// Applies the verdicts of this filter: keep, drop and patch.
fn apply(batch: &Batch, verdicts: &[u8], mut patches: &[u8], result: &mut Batch) {
    assert_eq!(verdicts.len(), batch.len());
    let mut at = 0;
    while at < verdicts.len() {
        let kept = verdicts[at..].iter().take_while(|verdict| **verdict == 0).count();
        if kept > 0 {
            result.extend_range(batch, at..at + kept);
            at += kept;
            continue;
        }
        if verdicts[at] == 2 {
            let end = weir_guest::value::skip(patches).expect("a patch for each such verdict");
            let (patch, rest) = patches.split_at(end);
            result.try_append(|bytes| weir_record::merge_patch(batch.get(at), patch, bytes)).expect("a sound patch");
            patches = rest;
        }
        at += 1;
    }
    assert!(patches.is_empty());
}

/// Nanoseconds per record in a turn with batches of `records` records.
fn each_ns(records: usize, mut run: impl FnMut()) -> f64 {
    let start = cpu_ns();
    for _ in 0..RECORDS / records {
        run();
    }
    (cpu_ns() - start) as f64 / RECORDS as f64
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    // The kernel updates the count at its ticks and when a thread yields.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = stat.as_ref().and_then(|stat| stat.split(' ').next()?.parse().ok());
    on_cpu.expect("this bench needs the CPU time that Linux keeps of every thread")
}

/// Records of about 330 bytes.
fn batch(count: usize) -> Batch {
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
    let mut batch = Batch::new();
    for number in 0..count {
        let level = if number % 10 == 9 { "DEBUG" } else { "INFO" };
        let mut json = String::new();
        // Writing into a string can't fail.
        let _ = write!(
            json,
            r#"{{"level":"{level}","source":"checkout","message":"order {number:016x} paid with card ending in 1111 after {} ms","metadata":{{"attempt":1,"cached":false,"amount":12.5,"path":"/v1/orders/{number}"}},"context":{{"request_id":"{number:032x}","user":{{"id":{number},"plan":"team"}}"#,
            number % 1000,
        );
        if number % 10 < 6 {
            let _ = write!(json, r#","email":"user{number}@example.com""#);
        }
        json.push_str("}}");
        let bad = weir_record::read_json(json.as_bytes(), &defaults, &mut batch).expect("our own JSON");
        assert!(bad.is_empty(), "{}", bad[0].error);
    }
    batch
}
