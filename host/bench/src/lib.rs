//! `weir bench`: measures the cost of a record, compared with a floor.
//!
//! Each case starts a router as a child process with an empty data folder, sends it load over loopback from this
//! process, waits until everything has arrived, and gets the resources used by the child from the operating system. CPU
//! time per record is the most reliable figure; throughput and latencies vary with the machine's other load.
//!
//! The *floor* is a server in this binary that receives the same bytes, appends them to the same kind of journal with
//! the same group commit, and does nothing else. The ratio to it can be compared between machines and days.
//!
//! | file | purpose |
//! |---|---|
//! | `arguments.rs` | the options of the command |
//! | `cases.rs` | the cases: configuration, records, sink |
//! | `records.rs` | the records, the same bytes in every run |
//! | `child.rs` | a process being measured: start, CPU time, memory, stop |
//! | `load.rs` | the driver: connections, pacing, latencies |
//! | `arrived.rs` | counts records in a sink |
//! | `floor.rs` | the floor |
//! | `outage.rs` | a sink that is down under load |
//! | `swap.rs` | filters replaced under load |
//! | `stream.rs` | clients of the live stream under load |
//! | `tls.rs` | the cost of TLS |
//! | `fair.rs` | a sender of few records while another one floods |
//! | `protocols.rs`, `protocols/` | the cost of a record in each protocol |
//! | `files.rs` | the source `file` beside `tail -F` |
//! | `scale.rs` | how cost grows with sizes, batches, connections, filters, sinks and cores |
//! | `tokens.rs` | what checking a token costs |
//! | `compile.rs` | throughput while a large module is compiled |
//! | `table.rs` | the printed table |
//! | `compare.rs` | two binaries in turn, and their ratio |

mod arguments;
mod arrived;
mod cases;
mod child;
mod compare;
mod compile;
mod fair;
mod files;
pub mod floor;
mod load;
mod outage;
mod protocols;
pub mod records;
mod scale;
mod stream;
mod swap;
mod table;
mod tls;
mod tokens;

use std::path::PathBuf;

use anyhow::{Context, bail};

pub use arguments::BenchArgs;
use cases::{CASES, Case};
use child::Child;
use table::Row;

/// Cases whose results are text, not rows of the table.
const REPORTS: [(&str, Report); 9] = [
    (swap::NAME, swap::report),
    (outage::NAME, outage::report),
    (stream::NAME, stream::report),
    (fair::NAME, fair::report),
    (tls::NAME, tls::report),
    (tokens::NAME, tokens::report),
    (protocols::NAME, protocols::report),
    (files::NAME, files::report),
    (scale::NAME, scale::report),
];

/// The module of the filter `redact`, which some cases replace with new versions of itself.
pub type Module = &'static [u8];

type Report = fn(&BenchArgs, Module) -> anyhow::Result<String>;

/// A case that the binary runs itself, since it needs the sinks.
pub const SEARCH: &str = "search";

/// All cases with their summaries, as listed by `--help`.
pub fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let in_words = [
        (swap::NAME, "latency while filters are replaced under load"),
        (outage::NAME, "one of two sinks down for a minute under load"),
        (stream::NAME, "a thousand clients of the live stream under load"),
        (fair::NAME, "the latency of one sender while another one floods"),
        (tokens::NAME, "one record a request, with and without a token"),
        (tls::NAME, "records and new connections with and without TLS"),
        (protocols::NAME, "what a record costs in each protocol"),
        (files::NAME, "a line in a file, and files without a change, beside `tail -F`"),
        (scale::NAME, "how cost grows with sizes, batches, connections, filters, sinks and cores"),
        (SEARCH, "queries of stored records, in files and in SQLite; not run by default"),
        (compile::NAME, "throughput while a large module is compiled; not run by default"),
    ];
    CASES.iter().map(|case| (case.name, case.summary)).chain(in_words)
}

/// Runs the requested cases and prints the results.
pub fn run(args: &BenchArgs, redact: Module) -> anyhow::Result<()> {
    let wanted = select(&args.cases);
    if let Some(other) = &args.compare {
        if wanted.is_empty() {
            bail!(
                "--compare is for the cases of the table: {}",
                CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ")
            );
        }
        print!("{}", compare::report(args, &wanted, other).with_context(|| format!("--compare {}", other.display()))?);
        return Ok(());
    }
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

/// A server that a case is run against.
enum Contender {
    Weir,
    Floor,
    /// Another binary of Weir.
    Other(PathBuf),
    /// Another router, started by the user's command.
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
            Self::Other(_) => "other",
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
        Contender::Other(binary) => Child::weir_of(binary, folder.path(), &case.configuration())?,
        Contender::Floor => Child::floor(folder.path())?,
        Contender::Peer { command, .. } => Child::peer(folder.path(), command)?,
    };
    let bodies = records::bodies(case.batch, case.encoding);
    let records = args.records.unwrap_or(case.records);
    let mut plan = load::Plan::full_load(&child, case.encoding, &bodies, args.connections);
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

/// An empty folder on the disk to measure.
fn folder(args: &BenchArgs) -> anyhow::Result<tempfile::TempDir> {
    match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .context("can't create a folder for the run; choose one with --folder")
}

fn arrived_in(contender: &Contender, case: &Case) -> arrived::Destination {
    match contender {
        Contender::Floor => arrived::Destination::Answered,
        Contender::Weir | Contender::Other(_) | Contender::Peer { .. } => case.arrives_in,
    }
}

/// The requested cases that give rows of the table; all of them if none is requested.
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
