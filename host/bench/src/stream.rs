//! Clients of the live stream under full load: measures what a thousand of them cost the pipeline and how late a person
//! sees a record meanwhile, and checks that each client received every matching record or was told exactly how many it
//! missed.
//!
//! Rounds of load without and with clients alternate, because a machine is not equally fast for long. Fifty clients read
//! nothing until the load of their round is over.
//!
//! | file | purpose |
//! |---|---|
//! | `clients` | the thousand clients, and what each got |
//! | `watcher` | one more client, with a query of its own, that measures delays |

mod clients;
mod watcher;

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::arrived::Destination;
use crate::cases::MASKING;
use crate::child::{Child, Usage};
use crate::load::{self, LoadResult, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};
use clients::{CLIENTS, Clients, SLOW};
use watcher::Watcher;

/// The name of the case.
pub const NAME: &str = "stream";

/// Rounds without and with clients, each.
const ROUNDS: u64 = 5;

/// Records in one round of load. A round must not take the 30 s after which a client that reads nothing is disconnected.
const ROUND_RECORDS: u64 = 500_000;

/// Records that the watcher waits for without load.
const QUIET_RECORDS: u64 = 40;

/// Name of the router's thread for live streams.
const STREAM_THREAD: &str = "weir-streams";

/// What rounds of one kind took.
#[derive(Default)]
struct Rounds {
    /// Records per second of each.
    rates: Vec<f64>,
    records: u64,
    seconds: f64,
    /// CPU time of the router, in seconds.
    router: f64,
    /// The part of it that was spent for live streams.
    streams: f64,
    /// CPU time of the clients, in seconds.
    clients: f64,
}

/// What the clients of all rounds got.
#[derive(Default)]
struct Got {
    matched: u64,
    received: u64,
    /// Those that were received before the load of their round was over.
    received_in_time: u64,
    missed: u64,
    delays: watcher::Delays,
}

struct Case<'a> {
    child: &'a Child,
    plan: Plan<'a>,
    /// How many records of each body the clients' query selects.
    matching: Vec<u64>,
    sent: u64,
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let folder = crate::folder(args)?;
    let child = Child::weir(folder.path(), MASKING)?;
    let bodies = records::bodies(100, Encoding::Json);
    let plan = Plan::full_load(&child, Encoding::Json, &bodies, args.connections);
    let matching = bodies.iter().map(|body| clients::matching(&body.bytes)).collect::<anyhow::Result<_>>()?;
    let mut case = Case { child: &child, plan, matching, sent: 0 };
    eprintln!("weir · {NAME} · warming up");
    case.load(ROUND_RECORDS / 4)?;
    let quiet = case.quiet()?;
    let (mut without, mut with, mut got) = (Rounds::default(), Rounds::default(), Got::default());
    let mut memory_without = 0;
    for round in 1..=ROUNDS {
        eprintln!("weir · {NAME} · round {round} of {ROUNDS} without clients");
        case.without(&mut without)?;
        if round == 1 {
            memory_without = child.peak_memory()?;
        }
        eprintln!("weir · {NAME} · round {round} of {ROUNDS} with {CLIENTS} clients");
        case.with(&mut with, &mut got)?;
    }
    let memory = child.peak_memory()?;
    let sent = case.sent;
    let arrived = child.wait_for(Destination::Lines, sent)?;
    child.stop()?;
    let mut text = format!(
        "\n{CLIENTS} clients of the live stream, {SLOW} of them not reading; records sent {sent}, arrived {arrived}\n"
    );
    describe(&mut text, &without, &with, &got);
    delays(&mut text, "without load", &quiet);
    delays(&mut text, "under load", &got.delays);
    let _ =
        writeln!(text, "memory      peak {:.0} MB, {:.0} MB before", memory as f64 / 1e6, memory_without as f64 / 1e6);
    Ok(text)
}

impl Case<'_> {
    fn load(&mut self, records: u64) -> anyhow::Result<LoadResult> {
        let loaded = load::drive(&self.plan, records)?;
        self.plan.sent += loaded.requests();
        self.sent += loaded.records;
        Ok(loaded)
    }

    /// The delays of a single client without load.
    fn quiet(&mut self) -> anyhow::Result<watcher::Delays> {
        let watcher = Watcher::start(self.child)?;
        watcher.wait_for(QUIET_RECORDS)?;
        let delays = watcher.stop()?;
        self.sent += delays.sent;
        Ok(delays)
    }

    fn without(&mut self, rounds: &mut Rounds) -> anyhow::Result<()> {
        let before = self.child.usage()?;
        let loaded = self.load(ROUND_RECORDS)?;
        rounds.add(&loaded, &before, &self.child.usage()?);
        Ok(())
    }

    fn with(&mut self, rounds: &mut Rounds, got: &mut Got) -> anyhow::Result<()> {
        let clients = Clients::connect(self.child.address)?;
        let watcher = Watcher::start(self.child)?;
        let (before, streams, used) = (self.child.usage()?, self.child.usage_of(STREAM_THREAD)?, clients.usage()?);
        let loaded = self.load(ROUND_RECORDS)?;
        rounds.add(&loaded, &before, &self.child.usage()?);
        got.received_in_time += clients.received();
        rounds.streams += self.child.usage_of(STREAM_THREAD)?.since(&streams);
        rounds.clients += clients.usage()?.since(&used);
        let delays = watcher.stop()?;
        self.sent += delays.sent;
        got.delays.add(&delays)?;
        let matched = loaded.sent.iter().zip(&self.matching).map(|(times, matching)| times * matching).sum();
        let (received, missed) = clients.finish(matched)?;
        got.matched += matched * CLIENTS as u64;
        got.received += received;
        got.missed += missed;
        Ok(())
    }
}

impl Rounds {
    fn add(&mut self, loaded: &LoadResult, before: &Usage, after: &Usage) {
        self.rates.push(loaded.records as f64 / loaded.seconds);
        self.records += loaded.records;
        self.seconds += loaded.seconds;
        self.router += after.since(before);
    }

    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    /// Microseconds for each record.
    fn each(&self, seconds: f64) -> f64 {
        seconds * 1e6 / self.records as f64
    }
}

fn describe(text: &mut String, without: &Rounds, with: &Rounds, got: &Got) {
    let mut ratios: Vec<f64> = without.rates.iter().zip(&with.rates).map(|(without, with)| with / without).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    // Writing into a string can't fail.
    let _ = write!(
        text,
        "throughput  without {:.0}/s   with {:.0}/s   ratio {:.3}, in single rounds {:.3} to {:.3}\n\
         CPU         router without {:.2} µs per record   with {:.2}, and {:.2} for streams   clients {:.2}\n\
         counts      {} matched, {} received ({} under load), {} told as missed: {}\n",
        without.rate(),
        with.rate(),
        with.rate() / without.rate(),
        ratios[0],
        ratios[ratios.len() - 1],
        without.each(without.router),
        with.each(with.router - with.streams),
        with.each(with.streams),
        with.each(with.clients),
        got.matched,
        got.received,
        got.received_in_time,
        got.missed,
        if got.received + got.missed == got.matched { "exact" } else { "WRONG" },
    );
}

fn delays(text: &mut String, when: &str, delays: &watcher::Delays) {
    let ms = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let seen = &delays.seen;
    let _ = writeln!(
        text,
        "delay       {when}: p50 {:.1} ms, p90 {:.1}, max {:.1}; {} of {} records missed",
        ms(seen, 0.5),
        ms(seen, 0.9),
        ms(seen, 1.0),
        delays.missed,
        delays.sent,
    );
}
