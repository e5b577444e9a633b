//! `weir bench`: what a record costs, beside what it must cost at least.
//!
//! Each case starts a router of its own as a child process with an empty data folder, drives it
//! over loopback from this process, waits until everything has arrived, and asks the operating
//! system what the child used. Processor time a record is the figure to look at; records a second
//! and latencies swing with what else the machine does.
//!
//! The *floor* is a server in this same binary that receives the same bytes, appends them to the
//! same journal with the same group commit, and does nothing else. The ratio to it is what can be
//! compared between machines and days.
//!
//! | file | purpose |
//! |---|---|
//! | `arguments.rs` | the options of the command |
//! | `cases.rs` | the cases: configuration, records, expected arrivals |
//! | `records.rs` | the records, the same bytes in every run |
//! | `child.rs` | a process under measurement: start, processor time, memory, stop |
//! | `load.rs` | the driver: connections, pacing, latencies |
//! | `arrived.rs` | counts what a sink holds |
//! | `floor.rs` | the floor |
//! | `outage.rs` | one sink away under load |
//! | `swap.rs` | filters replaced under load |
//! | `compile.rs` | traffic while a large module is compiled |
//! | `table.rs` | what is printed |

mod arguments;
mod arrived;
mod cases;
mod child;
mod compile;
pub mod floor;
mod load;
mod outage;
pub mod records;
mod swap;
mod table;

use anyhow::{Context, bail};

pub use arguments::BenchArgs;
use cases::{CASES, Case};
use child::Child;
use table::Row;

/// Cases that are told in words.
const REPORTS: [(&str, Report); 2] = [(swap::NAME, swap::report), (outage::NAME, outage::report)];

/// The module of the filter `redact`, which some cases replace by itself.
pub type Module = &'static [u8];

type Report = fn(&BenchArgs, Module) -> anyhow::Result<String>;

/// Every case there is and what it measures, as `--help` lists them.
pub fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let in_words = [
        (swap::NAME, "filters replaced under load: what that does to latency"),
        (outage::NAME, "one of two sinks away for a while under load"),
        (compile::NAME, "traffic while a large module is compiled; only when asked for"),
    ];
    CASES.iter().map(|case| (case.name, case.summary)).chain(in_words)
}

/// Runs the cases asked for and prints the table.
pub fn run(args: &BenchArgs, redact: Module) -> anyhow::Result<()> {
    let wanted = select(&args.cases);
    let peers = peers(&args.peer)?;
    let mut rows: Vec<Row> = Vec::new();
    for case in wanted {
        for contender in contenders(case, &peers) {
            let mut runs = Vec::new();
            for number in 1..=args.runs {
                eprintln!("{} · {} · run {number} of {}", contender.name(), case.name, args.runs);
                runs.push(measure(case, &contender, args)?);
            }
            rows.push(Row::median(case, contender.name(), runs));
        }
    }
    if !rows.is_empty() {
        print!("{}", table::render(&rows));
    }
    for (name, report) in REPORTS {
        if args.cases.is_empty() || args.cases.iter().any(|case| case == name) {
            print!("{}", report(args, redact)?);
        }
    }
    if args.module.is_some() || args.cases.iter().any(|c| c == compile::NAME) {
        print!("{}", compile::report(args, redact)?);
    }
    Ok(())
}

/// What a case is run against.
enum Contender {
    Weir,
    Floor,
    /// Another router, started by a command that the user gave.
    Peer {
        name: String,
        command: String,
    },
}

impl Contender {
    fn name(&self) -> &str {
        match self {
            Self::Weir => "weir",
            Self::Floor => "floor",
            Self::Peer { name, .. } => name,
        }
    }
}

fn contenders(case: &Case, peers: &[(String, String)]) -> Vec<Contender> {
    let others = peers.iter().map(|(name, command)| Contender::Peer { name: name.clone(), command: command.clone() });
    let mut all = vec![Contender::Floor, Contender::Weir];
    if case.peers {
        all.extend(others);
    }
    all
}

fn measure(case: &Case, contender: &Contender, args: &BenchArgs) -> anyhow::Result<table::Run> {
    let folder = folder(args)?;
    let child = match contender {
        Contender::Weir => Child::weir(folder.path(), &case.configuration())?,
        Contender::Floor => Child::floor(folder.path())?,
        Contender::Peer { command, .. } => Child::peer(folder.path(), command)?,
    };
    let bodies = records::bodies(case.batch, case.encoding);
    let records = args.records.unwrap_or(case.records);
    let mut plan = load::Plan {
        address: child.address,
        content_type: case.encoding.content_type(),
        path: child.path.clone(),
        bodies: &bodies,
        sent: 0,
        connections: args.connections,
        pause: None,
    };
    let warm = load::drive(&plan, records / 10)?;
    let drops_debug = case.drops_debug && !matches!(contender, Contender::Floor);
    let mut expected = warm.expected(&bodies, drops_debug);
    child.wait_for(arrived_in(contender, case), expected)?;
    plan.sent = warm.requests();
    let before = child.usage()?;
    let loaded = load::drive(&plan, records)?;
    expected += loaded.expected(&bodies, drops_debug);
    let arrived = child.wait_for(arrived_in(contender, case), expected)?;
    let used = child.usage()?.since(&before);
    let paced = match case.latency {
        true => Some(load::drive(&plan.at_half(&loaded), records / 2)?),
        false => None,
    };
    let peak_bytes = child.peak_memory()?;
    child.stop()?;
    Ok(table::Run {
        records: loaded.records,
        seconds: loaded.seconds,
        cpu_seconds: used,
        latencies: paced.unwrap_or(loaded).latencies,
        peak_bytes,
        arrived,
        expected,
    })
}

/// An empty folder, on the disk that the user chose.
fn folder(args: &BenchArgs) -> anyhow::Result<tempfile::TempDir> {
    match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .context("can't make a folder for the run; give one with --folder")
}

fn arrived_in(contender: &Contender, case: &Case) -> arrived::Where {
    match contender {
        Contender::Floor => arrived::Where::Answered,
        Contender::Weir | Contender::Peer { .. } => case.arrives_in,
    }
}

/// The tabled cases among those asked for; without any, all.
fn select(names: &[String]) -> Vec<&'static Case> {
    if names.is_empty() {
        return CASES.iter().collect();
    }
    names.iter().filter_map(|name| CASES.iter().find(|case| case.name == name)).collect()
}

fn peers(given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    given
        .iter()
        .map(|peer| match peer.split_once('=') {
            Some((name, command)) => Ok((name.to_string(), command.to_string())),
            None => bail!("--peer `{peer}`: write NAME=COMMAND"),
        })
        .collect()
}
