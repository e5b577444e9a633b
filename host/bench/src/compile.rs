//! Throughput and latency while the running router compiles a large module: a filter in Python takes many seconds of
//! CPU time, for example.
//!
//! Each run compares the same load before and during compilation: at full load for records per second, and at half load
//! for latencies. The round in which the filter is added is not counted, because the chain is longer afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use weir_ingest::client;

use crate::child::Child;
use crate::load::{self, Plan};
use crate::records::{self, Encoding};
use crate::swap;
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "compile";

/// Time limit for compiling, which runs at the lowest priority.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Records in one round of load. Rounds are repeated until the module is compiled.
const ROUND_RECORDS: u64 = 10_000;

/// Rounds before the module is added.
const STEADY_ROUNDS: u64 = 20;

/// The combined results of several rounds.
struct Measured {
    records: u64,
    seconds: f64,
    latencies: Histogram<u64>,
}

/// Measures a router before and during compilation, and reports the difference.
pub fn report(args: &BenchArgs, redact: Module) -> anyhow::Result<String> {
    let path = args.module.as_ref().context("the case `compile` needs a module: give one with --module FILE")?;
    let module = std::fs::read(path).with_context(|| format!("can't read `{}`", path.display()))?;
    let folder = crate::folder(args)?;
    let filters = folder.path().join("filters");
    std::fs::create_dir(&filters)?;
    swap::put(&filters, redact, 0)?;
    let child = Child::weir(folder.path(), swap::CONFIGURATION)?;
    let bodies = records::bodies(100, Encoding::Json);
    let full = Plan::full_load(&child, Encoding::Json, &bodies, args.connections);
    let warm = load::drive(&full, ROUND_RECORDS * 4)?;
    let half = full.at_half(&warm);
    let mut text = format!("\ntraffic while a module of {} KiB is compiled\n", module.len() >> 10);
    for (number, name, plan) in [(1, "full load", &full), (2, "half load", &half)] {
        eprintln!("weir · compile · {name}");
        let steady = drive(plan, |rounds| Ok(rounds < STEADY_ROUNDS))?;
        swap::write(&filters, "heavy", &swap::numbered(&module, number))?;
        let began = Instant::now();
        let during = drive(plan, |_| match is_loaded(&child)? {
            true => Ok(false),
            false if began.elapsed() > TIMEOUT => bail!("the router did not load the module"),
            false => Ok(true),
        })?;
        let took = began.elapsed().as_secs_f64();
        text.push_str(&line(name, "without", &steady));
        text.push_str(&line(name, &format!("for {took:.1} s"), &during));
        std::fs::remove_file(filters.join("heavy.wasm"))?;
        let until = Instant::now() + TIMEOUT;
        while is_loaded(&child)? {
            if Instant::now() > until {
                bail!("the router did not remove the module");
            }
            std::thread::sleep(swap::POLL_INTERVAL);
        }
    }
    child.stop()?;
    Ok(text)
}

/// Runs rounds of load while `goes_on` returns true for their number. The last round is not counted.
fn drive(plan: &Plan<'_>, mut goes_on: impl FnMut(u64) -> anyhow::Result<bool>) -> anyhow::Result<Measured> {
    let mut all: Option<Measured> = None;
    for number in 0.. {
        let round = load::drive(plan, ROUND_RECORDS)?;
        if !goes_on(number)? {
            break;
        }
        let all = all.get_or_insert_with(|| Measured { records: 0, seconds: 0.0, latencies: round.latencies.clone() });
        if all.records > 0 {
            all.latencies.add(&round.latencies)?;
        }
        all.records += round.records;
        all.seconds += round.seconds;
    }
    all.context("it was compiled before a round of load ended; use a larger module")
}

/// Whether the router runs the second filter.
fn is_loaded(child: &Child) -> anyhow::Result<bool> {
    let health = client::get_json(&child.address.into(), "/health")?;
    Ok(health["filters"].as_array().is_some_and(|filters| filters.len() > 1))
}

fn line(load: &str, when: &str, measured: &Measured) -> String {
    let ms = |quantile| measured.latencies.value_at_quantile(quantile) as f64 / 1000.0;
    format!(
        "{load:<10} {when:<12} {:>9.0} records/s   p50 {:6.2} ms   p99 {:6.2} ms   max {:6.2} ms\n",
        measured.records as f64 / measured.seconds,
        ms(0.5),
        ms(0.99),
        ms(1.0),
    )
}
