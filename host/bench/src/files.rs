//! The source `file`: what a line costs, compared with `tail -F | cat`, and what files cost that nobody writes.
//!
//! Both read the same lines, first all at once from a file that is there, then while they are written. What Weir does
//! includes the journal with its fsyncs and a file as sink; `cat` writes a file, too.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::arrived::Destination;
use crate::child::{Child, usage_in};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "files";

const CONFIGURATION: &str = r#"
data = "data"
filters_folder = "filters"
filter = []
[sink.out]
type = "file"
path = "out.jsonl"
[source.app]
type = "file"
paths = ["logs/**/*.log"]
"#;

/// Lines of a run.
const LINES: u64 = 400_000;

/// Lines are written in this many portions, this far apart.
const PORTIONS: u64 = 100;
const PORTION_INTERVAL: Duration = Duration::from_millis(100);

/// Files that nobody writes, and how long they are watched.
const IDLE_FILES: u32 = 1_000;
const IDLE_TIME: Duration = Duration::from_secs(20);

/// Time for all lines to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// Microseconds of CPU per line.
struct Cost {
    at_once: f64,
    written: f64,
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let lines = args.records.unwrap_or(LINES);
    let mut text = format!("\nfiles: a line in a file of the source `file`, {lines} lines of about 150 bytes\n");
    _ = writeln!(text, "  {:<14} {:>22} {:>22}", "", "at once, µs CPU/line", "written, µs CPU/line");
    for (name, measure) in [("tail -F | cat", of_tail as fn(&Path, u64) -> _), ("weir", of_weir)] {
        let mut runs = Vec::new();
        for number in 1..=args.runs {
            eprintln!("{name} · files · run {number} of {}", args.runs);
            runs.push(measure(crate::folder(args)?.path(), lines)?);
        }
        let median = |cost: fn(&Cost) -> f64| {
            let mut costs: Vec<f64> = runs.iter().map(cost).collect();
            costs.sort_by(f64::total_cmp);
            format!("{:.2} ({:.2}–{:.2})", costs[costs.len() / 2], costs[0], costs[costs.len() - 1])
        };
        let (at_once, written) = (median(|cost| cost.at_once), median(|cost| cost.written));
        _ = writeln!(text, "  {name:<14} {at_once:>22} {written:>22}");
    }
    eprintln!("weir · files · {IDLE_FILES} files that nobody writes");
    let (few, many) = (idle(args, 1)?, idle(args, IDLE_FILES)?);
    _ = writeln!(text, "  without a change: {few:.2} % of a CPU for 1 file, {many:.2} % for {IDLE_FILES}");
    Ok(text)
}

fn of_weir(folder: &Path, lines: u64) -> anyhow::Result<Cost> {
    fs::create_dir(folder.join("logs"))?;
    let child = Child::weir(folder, CONFIGURATION)?;
    let mut before = child.usage()?;
    write_at_once(&folder.join("logs"), lines)?;
    let arrived = child.wait_for(Destination::Lines, lines)?;
    let at_once = child.usage()?.since(&before);
    before = child.usage()?;
    write_in_portions(&folder.join("logs"), lines)?;
    let all = child.wait_for(Destination::Lines, 2 * lines)?;
    let written = child.usage()?.since(&before);
    child.stop()?;
    if (arrived, all) != (lines, 2 * lines) {
        bail!("{all} of {} lines arrived", 2 * lines);
    }
    Ok(cost(at_once, written, lines))
}

fn of_tail(folder: &Path, lines: u64) -> anyhow::Result<Cost> {
    let (log, out) = (folder.join("app.log"), folder.join("out"));
    File::create(&log)?;
    let mut tail = Command::new("tail")
        .args(["-F", "-n", "+1"])
        .arg(&log)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("tail is not installed")?;
    let from_tail = tail.stdout.take().context("no standard output")?;
    let mut cat = Command::new("cat").stdin(from_tail).stdout(File::create(&out)?).spawn()?;
    let processes = [tail.id(), cat.id()].map(|id| Path::new("/proc").join(id.to_string()));
    let measured = (|| {
        let since = |write: fn(&Path, u64) -> anyhow::Result<()>| {
            let before = [usage_in(&processes[0])?, usage_in(&processes[1])?];
            write(folder, lines)?;
            wait_for_size(&out, &log)?;
            anyhow::Ok(usage_in(&processes[0])?.since(&before[0]) + usage_in(&processes[1])?.since(&before[1]))
        };
        anyhow::Ok(cost(since(write_at_once)?, since(write_in_portions)?, lines))
    })();
    // Without `tail`, `cat` ends by itself.
    tail.kill()?;
    tail.wait()?;
    cat.wait()?;
    measured
}

fn cost(at_once_s: f64, written_s: f64, lines: u64) -> Cost {
    let micros = |seconds: f64| seconds * 1e6 / lines as f64;
    Cost { at_once: micros(at_once_s), written: micros(written_s) }
}

/// Puts a file with all lines in place.
fn write_at_once(folder: &Path, lines: u64) -> anyhow::Result<()> {
    let (beside, log) = (folder.join("app.new"), folder.join("app.log"));
    fs::write(&beside, text(0..lines))?;
    if log.exists() {
        // It is open already.
        let mut file = File::options().append(true).open(&log)?;
        file.write_all(&fs::read(&beside)?)?;
        return Ok(());
    }
    fs::rename(beside, log).map_err(Into::into)
}

fn write_in_portions(folder: &Path, lines: u64) -> anyhow::Result<()> {
    let mut file = File::options().append(true).open(folder.join("app.log"))?;
    let begun = Instant::now();
    for portion in 0..PORTIONS {
        file.write_all(text(portion * lines / PORTIONS..(portion + 1) * lines / PORTIONS).as_bytes())?;
        let due = PORTION_INTERVAL * (portion as u32 + 1);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

fn text(numbers: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for number in numbers {
        // Writing to a string can't fail.
        _ = writeln!(
            text,
            "2026-01-31T10:22:07.{:03}Z INFO shop.orders [worker-{}] order {number} of customer {} is paid, 3 items, \
             149.90 EUR, took {} ms at the provider",
            number % 1_000,
            number % 8,
            number * 7 % 100_000,
            number % 300,
        );
    }
    text
}

fn wait_for_size(out: &Path, log: &Path) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while fs::metadata(out)?.len() < fs::metadata(log)?.len() {
        if Instant::now() > until {
            bail!("`tail -F | cat` did not copy all lines");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Percent of a CPU that a router takes while nobody writes to so many files.
fn idle(args: &BenchArgs, files: u32) -> anyhow::Result<f64> {
    let folder = crate::folder(args)?;
    fs::create_dir(folder.path().join("logs"))?;
    for number in 0..files {
        fs::write(folder.path().join(format!("logs/app-{number}.log")), text(0..1))?;
    }
    let child = Child::weir(folder.path(), CONFIGURATION)?;
    child.wait_for(Destination::Lines, files.into())?;
    let before = child.usage()?;
    std::thread::sleep(IDLE_TIME);
    let used = child.usage()?.since(&before);
    child.stop()?;
    Ok(100.0 * used / IDLE_TIME.as_secs_f64())
}
