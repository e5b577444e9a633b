//! Fair sharing: the latency of a sender of few records, alone and while another address floods the router with large
//! batches on many connections.
//!
//! Rounds of the quiet sender alone, of the flood alone, and of both alternate, because a machine is not equally fast
//! for long. The flood's threads have niceness 19: in practice, they run on other machines.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use hdrhistogram::Histogram;

use crate::arrived::Destination;
use crate::cases::MASKING;
use crate::child::Child;
use crate::load::{self, LoadResult, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "fair";

/// Rounds of each kind.
const ROUNDS: u32 = 5;

/// Records that the quiet sender sends in a round, one every [`PAUSE`].
const QUIET_RECORDS: u64 = 200;

const PAUSE: Duration = Duration::from_millis(50);

/// Connections of the flood.
const CONNECTIONS: usize = 64;

/// Records in each of its requests.
const BATCH: usize = 1000;

/// Records of the flood in a round without the quiet sender.
const FLOOD_RECORDS: u64 = 1_000_000;

/// Where the quiet sender connects from: another address of this machine.
const QUIET: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// What all rounds of one kind took.
struct Rounds {
    latencies: Histogram<u64>,
    /// Of each round, in microseconds.
    p99: Vec<u64>,
    records: u64,
    refused: u64,
    seconds: f64,
}

impl Rounds {
    fn new(loaded: &LoadResult) -> Rounds {
        let mut latencies = loaded.latencies.clone();
        latencies.reset();
        Rounds { latencies, p99: Vec::new(), records: 0, refused: 0, seconds: 0.0 }
    }

    fn add(&mut self, loaded: &LoadResult) -> anyhow::Result<()> {
        self.latencies.add(&loaded.latencies)?;
        self.p99.push(loaded.latencies.value_at_quantile(0.99));
        self.records += loaded.records;
        self.refused += loaded.refused;
        self.seconds += loaded.seconds;
        Ok(())
    }

    fn ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let folder = crate::folder(args)?;
    let child = Child::weir(folder.path(), MASKING)?;
    let (large, small) = (records::bodies(BATCH, Encoding::Json), records::bodies(1, Encoding::Json));
    let mut flood =
        Plan { niceness: 19, retries: true, ..Plan::full_load(&child, Encoding::Json, &large, CONNECTIONS) };
    let mut quiet = Plan {
        pause: Some(PAUSE),
        from: Some(QUIET),
        retries: true,
        ..Plan::full_load(&child, Encoding::Json, &small, 1)
    };
    eprintln!("weir · {NAME} · warming up");
    let warm = load::drive(&flood, FLOOD_RECORDS / 4)?;
    flood.sent += warm.requests();
    let mut sent = warm.records;
    let [mut alone, mut beside, mut flood_alone, mut flood_beside] = [(); 4].map(|()| Rounds::new(&warm));
    for round in 1..=ROUNDS {
        eprintln!("weir · {NAME} · round {round} of {ROUNDS}");
        let loaded = load::drive(&quiet, QUIET_RECORDS)?;
        quiet.sent += loaded.requests();
        alone.add(&loaded)?;
        let loaded = load::drive(&flood, FLOOD_RECORDS)?;
        flood.sent += loaded.requests();
        flood_alone.add(&loaded)?;
        let (of_quiet, of_flood) = both(&quiet, &flood)?;
        quiet.sent += of_quiet.requests();
        flood.sent += of_flood.requests();
        beside.add(&of_quiet)?;
        flood_beside.add(&of_flood)?;
    }
    sent += [&alone, &beside, &flood_alone, &flood_beside].iter().map(|rounds| rounds.records).sum::<u64>();
    let arrived = child.wait_for(Destination::Lines, sent)?;
    child.stop()?;
    if arrived != sent {
        bail!("{sent} records were acknowledged and {arrived} arrived");
    }
    Ok(describe(&alone, &beside, &flood_alone, &flood_beside))
}

/// The quiet sender while the other one floods, from before its first record until after its last.
fn both(quiet: &Plan<'_>, flood: &Plan<'_>) -> anyhow::Result<(LoadResult, LoadResult)> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| load::drive_until(flood, u64::MAX / 2, &over));
        std::thread::sleep(PAUSE);
        let of_quiet = load::drive(quiet, QUIET_RECORDS);
        over.store(true, Ordering::Relaxed);
        let of_flood = flooding.join().unwrap_or_else(|_| bail!("the flood panicked"));
        Ok((of_quiet?, of_flood?))
    })
}

fn describe(alone: &Rounds, beside: &Rounds, flood_alone: &Rounds, flood_beside: &Rounds) -> String {
    let mut text = format!(
        "\none record every {PAUSE:?} from one address, while another sends batches of {BATCH} on {CONNECTIONS} \
         connections\n"
    );
    for (name, rounds) in [("alone", alone), ("beside", beside)] {
        let of_rounds: Vec<String> = rounds.p99.iter().map(|us| format!("{:.1}", *us as f64 / 1e3)).collect();
        // Writing into a string can't fail.
        let _ = writeln!(
            text,
            "quiet {name:<7} p50 {:.2} ms, p99 {:.2}, max {:.1}, {} refused; p99 of rounds {}",
            rounds.ms(0.5),
            rounds.ms(0.99),
            rounds.ms(1.0),
            rounds.refused,
            of_rounds.join(" ")
        );
    }
    let ratio = |quantile| beside.ms(quantile) / alone.ms(quantile);
    let _ = writeln!(
        text,
        "ratio         p50 {:.1}, p99 {:.1}\n\
         flood         {:.0} records/s alone, {:.0} beside: {:.2} times; p99 {:.0} and {:.0} ms; {} and \
         {} refused",
        ratio(0.5),
        ratio(0.99),
        flood_alone.rate(),
        flood_beside.rate(),
        flood_beside.rate() / flood_alone.rate(),
        flood_alone.ms(0.99),
        flood_beside.ms(0.99),
        flood_alone.refused,
        flood_beside.refused,
    );
    text
}
