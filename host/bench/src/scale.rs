//! How the cost of a record grows with its size, and with the numbers of records in a batch, connections, filters, sinks
//! and cores. Nothing should grow faster than its work: a point's cost per unit of work should not exceed that of the
//! point before.
//!
//! Each series changes one thing, and each point has a router of its own.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use crate::arrived::{self, Destination};
use crate::child::Child;
use crate::compare::{middle, sorted};
use crate::load::{self, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "scale";

/// Bytes and requests in a round, at most.
const ROUND_BYTES: u64 = 80_000_000;
const ROUND_REQUESTS: u64 = 20_000;

/// Requests of a connection in a round, at least.
const CONNECTION_REQUESTS: u64 = 5;

/// Bytes of a request whose records are large.
const REQUEST_BYTES: usize = 1_000_000;

/// What a router is given to do.
#[derive(Clone, Copy)]
struct Setup {
    record_bytes: usize,
    batch: usize,
    connections: usize,
    filters: usize,
    sinks: usize,
    /// `None`: all of them.
    cores: Option<usize>,
}

/// What the other series have in common with the one that changes it.
const USUAL: Setup = Setup { record_bytes: 400, batch: 100, connections: 4, filters: 1, sinks: 1, cores: None };

/// Routers that differ in one thing.
struct Series {
    name: &'static str,
    /// What the cost is divided by.
    unit: &'static str,
    values: &'static [usize],
    setup: fn(usize) -> Setup,
    cost: Cost,
}

/// How the cost per unit of work follows from that per record.
enum Cost {
    Record,
    /// Per 1,000 bytes of a record.
    Kilobyte,
    /// For each one beyond those of the first point, the cost beyond that of the first point.
    Further,
}

const SERIES: [Series; 6] = [
    Series {
        name: "bytes of a record",
        unit: "kB",
        values: &[100, 1_000, 10_000, 100_000, 1_000_000],
        setup: |record_bytes| Setup { record_bytes, batch: (REQUEST_BYTES / record_bytes).min(USUAL.batch), ..USUAL },
        cost: Cost::Kilobyte,
    },
    Series {
        name: "records of a batch",
        unit: "record",
        values: &[1, 10, 100, 1_000, 10_000],
        setup: |batch| Setup { batch, ..USUAL },
        cost: Cost::Record,
    },
    Series {
        name: "connections, batches of 10",
        unit: "record",
        values: &[1, 4, 16, 64, 256, 1_024],
        setup: |connections| Setup { connections, batch: 10, ..USUAL },
        cost: Cost::Record,
    },
    Series {
        name: "filters",
        unit: "filter",
        values: &[0, 1, 2, 4, 8, 16],
        setup: |filters| Setup { filters, ..USUAL },
        cost: Cost::Further,
    },
    Series {
        name: "sinks",
        unit: "further sink",
        values: &[1, 2, 4, 8, 12],
        setup: |sinks| Setup { sinks, ..USUAL },
        cost: Cost::Further,
    },
    Series {
        name: "cores",
        unit: "record",
        values: &[1, 2, 4, 8, 16],
        setup: |cores| Setup { cores: Some(cores), ..USUAL },
        cost: Cost::Record,
    },
];

/// A measured point of a series.
struct Point {
    value: usize,
    /// Records per second.
    rate: f64,
    /// Microseconds of CPU per record.
    cpu: f64,
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let cores = allowed_cores()?;
    let mut text = format!(
        "\nmasking, to files; {} bytes, batches of {}, {} connections, unless stated otherwise: median of {} rounds\n",
        USUAL.record_bytes, USUAL.batch, USUAL.connections, args.runs
    );
    for series in &SERIES {
        let mut points: Vec<Point> = Vec::new();
        for &value in series.values {
            let setup = (series.setup)(value);
            if setup.cores.is_some_and(|wanted| wanted > cores.len()) {
                continue;
            }
            eprintln!("{NAME} · {value} {}", series.name);
            points.push(measure(value, &setup, &cores, args).with_context(|| format!("{value} {}", series.name))?);
        }
        text += &describe(series, &points);
    }
    Ok(text)
}

fn describe(series: &Series, points: &[Point]) -> String {
    let unit = format!("µs/{}", series.unit);
    let mut text = format!(
        "\n  {:>27} {:>10} {:>10} {unit:>16} {:>20}\n",
        series.name, "records/s", "µs/record", "× the point before"
    );
    let mut before: Option<f64> = None;
    for point in points {
        let cost = match series.cost {
            Cost::Record => Some(point.cpu),
            Cost::Kilobyte => Some(point.cpu * 1000.0 / point.value as f64),
            Cost::Further if point.value == points[0].value => None,
            Cost::Further => Some((point.cpu - points[0].cpu) / (point.value - points[0].value) as f64),
        };
        let show = |figure: Option<f64>| figure.map(|figure| format!("{figure:.2}")).unwrap_or_default();
        let growth = cost.zip(before).map(|(cost, before)| cost / before);
        let (cost_text, growth) = (show(cost), show(growth));
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "  {:>27} {:>10.0} {:>10.2} {cost_text:>16} {growth:>20}",
            point.value, point.rate, point.cpu
        );
        before = cost;
    }
    text
}

fn measure(value: usize, setup: &Setup, cores: &[String], args: &BenchArgs) -> anyhow::Result<Point> {
    let folder = crate::folder(args)?;
    let configuration = configuration(setup);
    let child = match setup.cores {
        Some(count) => Child::weir_on(&cores[..count].join(","), folder.path(), &configuration)?,
        None => Child::weir(folder.path(), &configuration)?,
    };
    let bodies = records::bodies_of(setup.record_bytes, setup.batch);
    let request_bytes = (setup.record_bytes * setup.batch) as u64;
    let requests =
        (ROUND_BYTES / request_bytes).min(ROUND_REQUESTS).max(CONNECTION_REQUESTS * setup.connections as u64);
    let mut plan = Plan { retries: true, ..Plan::full_load(&child, Encoding::Json, &bodies, setup.connections) };
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=args.runs {
        let before = child.usage()?;
        let loaded = load::drive(&plan, requests * setup.batch as u64)?;
        plan.sent += loaded.requests();
        for sink in 0..setup.sinks {
            let due = plan.sent * setup.batch as u64;
            let arrived = arrived::wait(Destination::Lines, &sink_folder(folder.path(), sink), due)?;
            anyhow::ensure!(arrived == due, "{arrived} of {due} records arrived");
        }
        if round > 0 {
            rates.push(loaded.records as f64 / loaded.seconds);
            costs.push(child.usage()?.since(&before) * 1e6 / loaded.records as f64);
        }
    }
    child.stop()?;
    Ok(Point { value, rate: middle(&sorted(rates.into_iter())), cpu: middle(&sorted(costs.into_iter())) })
}

fn configuration(setup: &Setup) -> String {
    let mut text = "data = \"data\"\nfilters_folder = \"filters\"\n".to_owned();
    // Connections of one round may still be there when those of the next are opened.
    text += "http = { max_connections = 4096 }\n";
    if setup.filters == 0 {
        text += "filter = []\n";
    }
    for number in 0..setup.filters {
        // Writing to a string can't fail; the same applies below.
        let _ = writeln!(text, "[[filter]]\nname = \"redact-{number}\"\nmodule = \"bundled:redact\"");
    }
    for number in 0..setup.sinks {
        let file = sink_folder(Path::new(""), number).join("out.jsonl");
        let _ = writeln!(text, "[sink.out-{number}]\ntype = \"file\"\npath = \"{}\"", file.display());
    }
    text
}

fn sink_folder(folder: &Path, number: usize) -> std::path::PathBuf {
    folder.join(format!("sink-{number}"))
}

/// The numbers of the cores that this process may use.
fn allowed_cores() -> anyhow::Result<Vec<String>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).context("no such field")?;
    let mut cores = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cores.extend((first.parse::<u32>()?..=last.parse()?).map(|core| core.to_string()));
    }
    Ok(cores)
}
