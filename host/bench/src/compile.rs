//! Traffic while a large module is compiled in the running router: a filter in Python, say, takes many seconds of
//! processor time before it is taken up.
//!
//! Each run compares the same load before and during, at full rate for the records a second and at half of that for
//! the latencies. A round in which the filter was taken up does not count: from then on it is a longer chain.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use weir_ingest::client;

use crate::child::Child;
use crate::load::{self, Plan};
use crate::records::{self, Encoding};
use crate::swap;
use crate::{BenchArgs, Module};

/// What the user calls it.
pub const NAME: &str = "compile";

/// How long compiling may take: it happens at the lowest priority.
const PATIENCE: Duration = Duration::from_secs(600);

/// Records of one round of load; rounds follow each other until the module is compiled.
const ROUND: u64 = 10_000;

/// Rounds before the module is there.
const STEADY_ROUNDS: u64 = 20;

/// Rounds of load together.
struct Measured {
    records: u64,
    seconds: f64,
    latencies: Histogram<u64>,
}

/// Drives a router without and with a module that is compiled, and says what differed.
pub fn report(args: &BenchArgs, redact: Module) -> anyhow::Result<String> {
    let path = args.module.as_ref().context("the case `compile` needs a module: give one with --module FILE")?;
    let module = std::fs::read(path).with_context(|| format!("can't read `{}`", path.display()))?;
    let folder = crate::folder(args)?;
    let filters = folder.path().join("filters");
    std::fs::create_dir(&filters)?;
    swap::put(&filters, redact, 0)?;
    let child = Child::weir(folder.path(), swap::CONFIGURATION)?;
    let bodies = records::bodies(100, Encoding::Json);
    let full = Plan {
        address: child.address,
        path: child.path.clone(),
        content_type: Encoding::Json.content_type(),
        bodies: &bodies,
        sent: 0,
        connections: args.connections,
        pause: None,
    };
    let warm = load::drive(&full, ROUND * 4)?;
    let half = full.at_half(&warm);
    let mut text = format!("\ntraffic while a module of {} KiB is compiled\n", module.len() >> 10);
    for (number, name, plan) in [(1, "full load", &full), (2, "half load", &half)] {
        eprintln!("weir · compile · {name}");
        let steady = drive(plan, |rounds| Ok(rounds < STEADY_ROUNDS))?;
        swap::write(&filters, "heavy", &swap::numbered(&module, number))?;
        let began = Instant::now();
        let during = drive(plan, |_| match is_taken_up(&child)? {
            true => Ok(false),
            false if began.elapsed() > PATIENCE => bail!("the router did not take up the module"),
            false => Ok(true),
        })?;
        let took = began.elapsed().as_secs_f64();
        text.push_str(&line(name, "without", &steady));
        text.push_str(&line(name, &format!("for {took:.1} s"), &during));
        std::fs::remove_file(filters.join("heavy.wasm"))?;
        let until = Instant::now() + PATIENCE;
        while is_taken_up(&child)? {
            if Instant::now() > until {
                bail!("the router did not take the module out again");
            }
            std::thread::sleep(swap::LOOK);
        }
    }
    child.stop()?;
    Ok(text)
}

/// Round after round, until `goes_on` says otherwise of the number so far; that round does not count.
fn drive(plan: &Plan<'_>, mut goes_on: impl FnMut(u64) -> anyhow::Result<bool>) -> anyhow::Result<Measured> {
    let mut all: Option<Measured> = None;
    for number in 0.. {
        let round = load::drive(plan, ROUND)?;
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
    all.context("it was compiled before a round of load was over: give a larger module")
}

/// Whether the router runs the second filter.
fn is_taken_up(child: &Child) -> anyhow::Result<bool> {
    let health = client::get_json(child.address, "/health")?;
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
