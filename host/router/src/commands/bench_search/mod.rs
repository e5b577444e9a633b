//! `weir bench search`: how long typical queries take in the files of a `file` sink, in a `sqlite` sink and, with
//! `--postgres`, in a `postgres` sink, beside the same questions to grep, jq, sqlite3 and psql.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | the queries, their times and the report |
//! | `data.rs` | the records |
//! | `tools.rs` | the same questions to other programs |
//! | `writing.rs` | how fast a sink writes while it is searched |
//!
//! All sinks get the same records. The floor is a look for one word in the bytes of all files, in the blocks and by the
//! function that the search uses: no search without an index can be faster. The first search of files also reads the
//! times of the blocks that it needs, so it is listed on its own, with the first histogram. Then the files are
//! summarised, as a router does in the background, and the same is listed for a process that finds the summaries.

mod data;
mod tools;
mod writing;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use memchr::memmem;
use serde_json::{Value, json};
use weir_bench::BenchArgs;
use weir_query::Query;
use weir_query::search::{By, Search};
use weir_sinks::{BuildContext, Kind, Sink};

/// Records if the command names no number.
const RECORDS: u64 = 200_000;
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
    let mut bench = Bench::new(folder.path(), args);
    anyhow::ensure!(!bench.kinds().is_empty(), "`--only` names `file`, `sqlite`, or with `--postgres` also `postgres`");
    print!("{}", runtime.block_on(bench.report(args.records.unwrap_or(RECORDS)))?);
    Ok(())
}

/// Sinks with the same records.
struct Bench {
    context: BuildContext,
    postgres: Option<String>,
    only: Option<String>,
}

/// A query, the same question to other programs, and what it is typical of.
struct Question {
    name: &'static str,
    query: String,
    tools: tools::Commands,
}

impl Bench {
    fn new(folder: &Path, args: &BenchArgs) -> Bench {
        let context = BuildContext { data: folder.join("data"), base: folder.to_path_buf(), ..BuildContext::default() };
        Bench { context, postgres: args.postgres.clone(), only: args.only.clone() }
    }

    /// The types of the sinks.
    fn kinds(&self) -> Vec<&'static str> {
        let postgres = self.postgres.as_ref().map(|_| "postgres");
        let is_wanted = |kind: &&str| self.only.as_ref().is_none_or(|only| only == kind);
        ["file", "sqlite"].into_iter().chain(postgres).filter(is_wanted).collect()
    }

    fn options(&self, kind: &str) -> Value {
        match kind {
            "sqlite" => json!({ "path": "logs.db" }),
            "postgres" => json!({ "url": self.postgres, "table": tools::POSTGRES_TABLE }),
            _ => json!({}),
        }
    }

    fn sink(&self, kind: &str) -> anyhow::Result<Box<dyn Sink>> {
        of_kind(kind)?.create(kind, self.options(kind), &self.context).map_err(anyhow::Error::msg)
    }

    fn search(&self, kind: &str) -> anyhow::Result<Arc<dyn Search>> {
        let search = of_kind(kind)?.open_search(kind, self.options(kind), &self.context);
        search.context("it can be searched")?.map_err(anyhow::Error::msg)
    }

    async fn report(&mut self, count: u64) -> anyhow::Result<String> {
        let mut text = String::new();
        let (mut sinks, id) = data::fill(self, count).await?;
        let _ = writeln!(text, "{count} records; the newest {LIMIT} of each query\n");
        if self.kinds().contains(&"file") {
            let (bytes, floor) = floor(&self.context.base.join("logs"))?;
            let (mb, gb_per_s) = (bytes / 1_000_000, bytes as f64 / floor.as_secs_f64() / 1e9);
            let _ = writeln!(
                text,
                "floor of files, all {mb} MB of lines searched for one word: {} ms ({gb_per_s:.1} GB/s)",
                ms(floor)
            );
        }
        let questions = questions(&id);
        let mut columns = Vec::new();
        for kind in self.kinds() {
            let mut search = self.first(kind, "", &mut text).await?;
            if kind == "file" {
                let since = Instant::now();
                search.prepare().await?;
                let (time, bytes) = (since.elapsed(), size(&self.context.data.join("search").join(kind)));
                let _ = writeln!(text, "summaries of {kind}: {} ms, {:.1} MB", ms(time), bytes as f64 / 1e6);
                search = self.first(kind, ", summarised", &mut text).await?;
            }
            let mut column = Vec::new();
            for Question { query, .. } in &questions {
                eprintln!("{kind} · {query}");
                column.push(measure(&*search, &Query::parse(query, None)?).await?);
            }
            columns.push(column);
        }
        self.table(&questions, &columns, &mut text)?;
        for (kind, sink) in self.kinds().into_iter().zip(&mut sinks) {
            let mut sequence = count.div_ceil(data::BATCH);
            let rates = writing::while_searched(self, kind, &mut **sink, &mut sequence).await?;
            let _ = writeln!(text, "{kind} writes {rates}");
            if kind == "postgres" {
                self.with_more_indexes(&questions, &mut text).await?;
                let rates = writing::while_searched(self, kind, &mut **sink, &mut sequence).await?;
                let _ = writeln!(text, "with them, {kind} writes {rates}");
            }
        }
        Ok(text)
    }

    /// The queries for which Postgres needs indexes that a sink does not create.
    async fn with_more_indexes(&self, questions: &[Question], text: &mut String) -> anyhow::Result<()> {
        let since = Instant::now();
        tools::add_indexes(self.postgres.as_deref().unwrap_or_default())?;
        let _ = write!(text, "indexes of trigrams and of keys, created in {} s", since.elapsed().as_secs());
        let search = self.search("postgres")?;
        for Question { name, query, .. } in
            questions.iter().filter(|question| ["regex", "exists"].contains(&question.name))
        {
            let found = measure(&*search, &Query::parse(query, None)?).await?;
            let _ = write!(text, "; {name} {}", found.times());
        }
        text.push('\n');
        Ok(())
    }

    /// Opens the search of a sink, as a process does that has not searched it yet, and takes the time of its first
    /// searches.
    async fn first(&self, kind: &str, state: &str, text: &mut String) -> anyhow::Result<Arc<dyn Search>> {
        let search = self.search(kind)?;
        let first = Instant::now();
        search.newest(&Query::parse("refunded", None)?, None, LIMIT).await?;
        let _ = writeln!(text, "first search in {kind}{state}: {} ms", ms(first.elapsed()));
        for turn in ["first ", ""] {
            let all = Instant::now();
            search.histogram(&Query::parse("", None)?, By::Level, 60).await?;
            let _ = writeln!(text, "{turn}histogram of all records in {kind}{state}: {} ms", ms(all.elapsed()));
        }
        Ok(search)
    }

    /// The times of each query in each sink, and those of other programs.
    fn table(&self, questions: &[Question], columns: &[Vec<Measured>], text: &mut String) -> anyhow::Result<()> {
        let _ = write!(text, "\n{:<17} {:>7}", "query, ms", "results");
        for kind in self.kinds() {
            let _ = write!(text, " {:>19}", format!("{kind} p50/p99"));
        }
        let programs = self.programs();
        for program in &programs {
            let _ = write!(text, " {:>14}", program.name());
        }
        text.push('\n');
        for (at, Question { name, tools, .. }) in questions.iter().enumerate() {
            let results = columns[0][at].results;
            let _ = write!(text, "{name:<17} {results:>7}");
            for column in columns {
                let found = column[at].results;
                anyhow::ensure!(found == results, "`{name}`: {results} and {found} results");
                let _ = write!(text, " {:>19}", column[at].times());
            }
            for program in &programs {
                eprintln!("{} · {name}", program.name());
                let time = program.run(tools, &self.context.base, results)?;
                let _ = write!(text, " {time:>14}");
            }
            text.push('\n');
        }
        Ok(())
    }

    fn programs(&self) -> Vec<tools::Program> {
        let of_kind = |kind| match kind {
            "file" => Some(tools::Program::Grep),
            "sqlite" => Some(tools::Program::Sqlite3),
            _ => self.postgres.clone().map(tools::Program::Psql),
        };
        self.kinds().into_iter().filter_map(of_kind).collect()
    }
}

fn of_kind(kind: &str) -> anyhow::Result<&'static Kind> {
    weir_sinks::kind(kind).context("a kind of sink")
}

/// Typical queries, by what they look for.
fn questions(id: &str) -> Vec<Question> {
    let newest_first = |grep: &str| format!("ls -r logs/* | xargs -n 1 tac | {grep}");
    let all = |grep: &str| format!("cat logs/* | {grep} | tail -n {LIMIT}");
    let question = |name, query: &str, files: String, sqlite: &str, postgres: &str| Question {
        name,
        query: query.to_owned(),
        tools: tools::Commands::new(files, sqlite, postgres),
    };
    let word = |word: &str| format!("id IN (SELECT rowid FROM logs_search WHERE logs_search MATCH '{word}')");
    let time = "timestamp >= '2026-11-21T12:00Z' AND timestamp < '2026-11-21T13:00Z'";
    vec![
        question("rare word", "refunded", all("grep -iw refunded"), &word("refunded"), "message ILIKE '%refunded%'"),
        question(
            "common word",
            "paid",
            newest_first(&format!("grep -iwm {LIMIT} paid")),
            &word("paid"),
            "message ILIKE '%paid%'",
        ),
        question(
            "phrase",
            "\"after 500 ms\"",
            all("grep -i 'after 500 ms'"),
            &word("\"after 500 ms\""),
            "message ILIKE '%after 500 ms%'",
        ),
        question(
            "level and source",
            "level:ERROR source:auth",
            newest_first(&format!("grep -m {LIMIT} '\"level\":\"ERROR\",\"source\":\"auth\"'")),
            "level = 'ERROR' AND source = 'auth'",
            "level = 'ERROR' AND logger_name = 'auth'",
        ),
        question(
            "exact id",
            &format!("context.request_id={id}"),
            all(&format!("grep -F '\"request_id\":\"{id}\"'")),
            &format!("fields ->> '$.context.request_id' = '{id}'"),
            &format!("extra_data @> '{{\"context\": {{\"request_id\": \"{id}\"}}}}'"),
        ),
        question(
            "number",
            "metadata.amount>499.5",
            all("jq -c 'select(.metadata.amount > 499.5)'"),
            "fields ->> '$.metadata.amount' > 499.5",
            "(extra_data #> '{metadata,amount}')::float > 499.5",
        ),
        question(
            "regex",
            "message~\"user4711\\d@\"",
            all("grep -E 'user4711[0-9]@'"),
            "message GLOB '*user4711[0-9]@*'",
            "message ~ 'user4711[0-9]@'",
        ),
        question(
            "exists",
            "refund:*",
            all("grep '\"refund\":'"),
            "fields ->> '$.refund' IS NOT NULL",
            "extra_data ? 'refund'",
        ),
        question(
            "time range",
            "since:2026-11-21T12:00:00Z until:2026-11-21T13:00:00Z refunded",
            all("grep '^{\"timestamp\":\"2026-11-21T12:' | grep -iw refunded"),
            "timestamp >= 1795262400000000000 AND timestamp < 1795266000000000000 AND message LIKE '%refunded%'",
            &format!("{time} AND message ILIKE '%refunded%'"),
        ),
        question("newest of all", "", newest_first(&format!("head -n {LIMIT}")), "TRUE", "TRUE"),
    ]
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

/// The size of the files in a folder, in bytes. Few records are not summarised, so there is no folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
