//! This binary beside another one, in rounds in turn: which costs less, on a machine that is not equally fast for long.
//!
//! Each round runs both and gives a ratio of each figure; who is first changes with the round. A difference shows if the
//! ratios of nearly all rounds are on one side of 1.
//!
//! Every run is one of a fresh copy: how a file came into the system's cache decides how its pages lie in memory, and one
//! copy of a binary took up to a tenth more CPU than others of the same.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::cases::Case;
use crate::table::Run;
use crate::{BenchArgs, Contender, measure};

/// A figure of a run. Less is better.
struct Figure {
    name: &'static str,
    of: fn(&Run) -> f64,
}

const FIGURES: [Figure; 5] = [
    Figure { name: "µs CPU/record", of: Run::cpu_micros },
    Figure { name: "µs/record", of: |run| run.seconds * 1e6 / run.records as f64 },
    Figure { name: "p50 ms", of: |run| run.latencies.value_at_quantile(0.5) as f64 / 1e3 },
    Figure { name: "p99 ms", of: |run| run.latencies.value_at_quantile(0.99) as f64 / 1e3 },
    Figure { name: "peak MB", of: |run| run.peak_bytes as f64 / 1e6 },
];

/// Runs the cases and reports the ratios.
pub fn report(args: &BenchArgs, cases: &[&'static Case], other: &Path) -> anyhow::Result<String> {
    let binaries = [std::env::current_exe()?, other.canonicalize()?];
    let copies = crate::folder(args)?;
    let mut text = String::new();
    for case in cases {
        let mut runs = [Vec::new(), Vec::new()];
        for number in 0..args.runs {
            eprintln!("{} · round {} of {}", case.name, number + 1, args.runs);
            let first = number as usize % 2;
            for which in [first, 1 - first] {
                let copy = copies.path().join(format!("weir-{which}"));
                fs::copy(&binaries[which], &copy)
                    .with_context(|| format!("can't copy `{}`", binaries[which].display()))?;
                runs[which].push(measure(case, &Contender::Other(copy.clone()), args)?);
                fs::remove_file(copy)?;
            }
        }
        text += &table(case, other, &runs);
    }
    Ok(text)
}

fn table(case: &Case, other: &Path, [new, old]: &[Vec<Run>; 2]) -> String {
    // Writing to a string can't fail; the same applies below.
    let mut text = format!("\n{}: {}\n", case.name, case.summary);
    let name = other.file_name().unwrap_or_default().to_string_lossy();
    let _ = writeln!(text, "  {:<14} {:>9} {:>9}   this/{name}, of each round", "", "this", name);
    for Figure { name, of } in FIGURES {
        let ratios = sorted(new.iter().zip(old).map(|(new, old)| of(new) / of(old)));
        let _ = writeln!(
            text,
            "  {name:<14} {:>9.2} {:>9.2}   {:.3} ({:.3}–{:.3}), {} of {} below 1",
            middle(&sorted(new.iter().map(of))),
            middle(&sorted(old.iter().map(of))),
            middle(&ratios),
            ratios.first().unwrap_or(&f64::NAN),
            ratios.last().unwrap_or(&f64::NAN),
            ratios.iter().filter(|ratio| **ratio < 1.0).count(),
            ratios.len(),
        );
    }
    let missing = |runs: &[Run]| runs.iter().map(|run| run.expected.saturating_sub(run.arrived)).sum::<u64>();
    if missing(new) + missing(old) > 0 {
        let _ = writeln!(text, "  not arrived: {} and {} records", missing(new), missing(old));
    }
    text
}

/// The values in order.
pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The median of values in order.
pub fn middle(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        odd => sorted[odd / 2],
    }
}
