//! `weir bench search`: how long typical queries take in the files of a `file` sink and in a `sqlite` sink.
//!
//! Both get the same records. The floor is a look for one word in the bytes of all files, in the blocks and by the
//! function that the search uses: no search without an index can be faster. The first search of a process also reads the
//! times of the blocks that it needs, so it is listed on its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use memchr::memmem;
use serde_json::json;
use weir_bench::{BenchArgs, records};
use weir_query::Query;
use weir_query::search::Search;
use weir_record::time::format_rfc3339;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};
use weir_sinks::{BuildContext, Indexes, Selected};

/// Records if the command names no number.
const RECORDS: u64 = 200_000;
/// Records delivered at once.
const BATCH: u64 = 1000;
/// One in so many is a refund.
const RARE: u64 = 5000;
/// 2026-11-20T00:00:00Z
const START_NS: i64 = 1_795_132_800_000_000_000;
/// The records are spread over three days.
const SPAN_NS: i64 = 3 * 86_400_000_000_000;
/// Results of each search.
const LIMIT: usize = 100;
/// Each query is repeated so often, but not longer than this.
const ROUNDS: usize = 50;
const ROUNDS_TIME: Duration = Duration::from_secs(5);
/// The size of the blocks in which a search reads files.
const BLOCK_BYTES: usize = 256 << 10;

pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .context("can't create a folder for the run; choose one with --folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    print!("{}", runtime.block_on(report(folder.path(), args.records.unwrap_or(RECORDS)))?);
    Ok(())
}

async fn report(folder: &Path, count: u64) -> anyhow::Result<String> {
    let context = BuildContext { data: folder.join("data"), base: folder.to_path_buf(), ..BuildContext::default() };
    let mut text = String::new();
    let id = fill(&context, count).await?;
    let (bytes, floor) = floor(&folder.join("logs"))?;
    let _ = writeln!(text, "{count} records, {} MB of lines; the newest {LIMIT} of each query\n", bytes / 1_000_000);
    let gb_per_s = bytes as f64 / floor.as_secs_f64() / 1e9;
    let _ = writeln!(text, "floor of files, all bytes searched for one word: {} ms ({gb_per_s:.1} GB/s)", ms(floor));
    let queries = queries(&id);
    let mut columns = Vec::new();
    for kind in ["file", "sqlite"] {
        let search = open(kind, &context)?;
        let first = Instant::now();
        search.newest(&Query::parse("refunded", None)?, None, LIMIT).await?;
        let _ = writeln!(text, "first search in {kind}: {} ms", ms(first.elapsed()));
        let mut column = Vec::new();
        for (_, query) in &queries {
            eprintln!("{kind} · {query}");
            column.push(measure(&*search, &Query::parse(query, None)?).await?);
        }
        columns.push(column);
    }
    let _ = writeln!(text, "\n{:<18} {:>7} {:>20} {:>20}", "query", "results", "files p50/p99 ms", "sqlite p50/p99 ms");
    for (at, (name, _)) in queries.iter().enumerate() {
        let [file, sqlite] = [&columns[0][at], &columns[1][at]];
        anyhow::ensure!(file.results == sqlite.results, "`{name}`: {} and {} results", file.results, sqlite.results);
        let _ = writeln!(text, "{name:<18} {:>7} {:>20} {:>20}", file.results, file.times(), sqlite.times());
    }
    Ok(text)
}

/// Typical queries, by what they look for.
fn queries(id: &str) -> Vec<(&'static str, String)> {
    [
        ("rare word", "refunded"),
        ("common word", "paid"),
        ("phrase", "\"after 500 ms\""),
        ("level and source", "level:ERROR source:auth"),
        ("exact id", &format!("context.request_id={id}")),
        ("number", "metadata.amount>499.5"),
        ("regex", "message~\"user4711\\d@\""),
        ("exists", "refund:*"),
        ("time range", "since:2026-11-21T12:00:00Z until:2026-11-21T13:00:00Z refunded"),
        ("newest of all", ""),
    ]
    .map(|(name, query)| (name, query.to_owned()))
    .to_vec()
}

fn options(kind: &str) -> serde_json::Value {
    if kind == "sqlite" { json!({ "path": "logs.db" }) } else { json!({}) }
}

fn open(kind: &str, context: &BuildContext) -> anyhow::Result<Arc<dyn Search>> {
    let open = weir_sinks::kind(kind).and_then(|kind| kind.search).context("it can be searched")?;
    open(kind, options(kind), context).map_err(anyhow::Error::msg)
}

/// Writes the records to both sinks. Returns the id of a request in the middle.
async fn fill(context: &BuildContext, count: u64) -> anyhow::Result<String> {
    let mut sinks = Vec::new();
    for kind in ["file", "sqlite"] {
        let build = weir_sinks::kind(kind).context("a kind of sink")?.build;
        let mut sink = build(kind, options(kind), context).map_err(anyhow::Error::msg)?;
        sink.start(0).await?;
        sinks.push(sink);
    }
    let (mut random, mut id) = (fastrand::Rng::with_seed(1), String::new());
    let mut number = 0;
    while number < count {
        let mut lines = String::new();
        for _ in 0..BATCH.min(count - number) {
            let from = lines.len();
            write_line(&mut lines, number, count, &mut random);
            if number == count / 2 {
                let line: serde_json::Value = serde_json::from_str(&lines[from..])?;
                id = line["context"]["request_id"].as_str().unwrap_or_default().to_owned();
            }
            number += 1;
        }
        let batch = Arc::new(batch(&lines)?);
        let sequence = number.div_ceil(BATCH);
        for sink in &mut sinks {
            let frame = Selected { sequence, time_ns: 0, batch: batch.clone(), indexes: Indexes::All, complete: true };
            sink.deliver(&[frame]).await?;
        }
        if sequence.is_multiple_of(100) {
            eprintln!("{number} records written");
        }
    }
    for sink in &mut sinks {
        sink.flush().await?;
    }
    Ok(id)
}

/// Appends a record as a line of JSON: one of `weir bench`, with its time; a few are refunds.
fn write_line(lines: &mut String, number: u64, count: u64, random: &mut fastrand::Rng) {
    let mut line = String::new();
    records::write_record(&mut line, random, records::Secrets::Some);
    let ago = i128::from(SPAN_NS) * i128::from(number) / i128::from(count.max(1));
    let mut time = Vec::new();
    format_rfc3339(START_NS.saturating_add(i64::try_from(ago).unwrap_or_default()), &mut time);
    line = line.replacen("2026-11-20T00:00:00.000Z", &String::from_utf8_lossy(&time), 1);
    if number % RARE == RARE / 2 {
        line =
            line.replacen(" paid by ", " refunded to ", 1).replacen("\"context\":", "\"refund\":true,\"context\":", 1);
    }
    lines.push_str(&line);
    lines.push('\n');
}

fn batch(lines: &str) -> anyhow::Result<Batch> {
    let aliases = Aliases::none();
    let defaults = Defaults {
        received_ns: START_NS,
        source: "bench",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: false,
    };
    let mut batch = Batch::new();
    read_json(lines.as_bytes(), &defaults, &mut batch)?;
    Ok(batch)
}

struct Measured {
    results: usize,
    times: Vec<Duration>,
}

impl Measured {
    fn times(&self) -> String {
        let at = |share: f64| self.times[((self.times.len() - 1) as f64 * share).round() as usize];
        format!("{} / {}", ms(at(0.5)), ms(at(0.99)))
    }
}

async fn measure(search: &dyn Search, query: &Query) -> anyhow::Result<Measured> {
    let (begun, mut times, mut results) = (Instant::now(), Vec::new(), 0);
    while times.is_empty() || (times.len() < ROUNDS && begun.elapsed() < ROUNDS_TIME) {
        let since = Instant::now();
        results = search.newest(query, None, LIMIT).await?.len();
        times.push(since.elapsed());
    }
    times.sort_unstable();
    Ok(Measured { results, times })
}

/// Looks for a word in all bytes of the files, which are in memory as they are in a search: the number of bytes, and
/// the shortest of three times.
fn floor(folder: &Path) -> anyhow::Result<(u64, Duration)> {
    let finder = memmem::Finder::new("refunded");
    let mut buffer = vec![0; BLOCK_BYTES];
    let (mut bytes, mut shortest) = (0, Duration::MAX);
    for _ in 0..3 {
        let since = Instant::now();
        bytes = 0;
        for entry in fs::read_dir(folder)? {
            let mut file = File::open(entry?.path())?;
            loop {
                let got = file.read(&mut buffer)?;
                if got == 0 {
                    break;
                }
                bytes += got as u64;
                std::hint::black_box(finder.find_iter(&buffer[..got]).count());
            }
        }
        shortest = shortest.min(since.elapsed());
    }
    Ok((bytes, shortest))
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
