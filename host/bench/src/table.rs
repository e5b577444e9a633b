//! The printed table.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::cases::Case;

/// A run of a case against a server.
pub struct Run {
    pub records: u64,
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// Latencies in microseconds.
    pub latencies: Histogram<u64>,
    pub peak_bytes: u64,
    pub arrived: u64,
    pub expected: u64,
}

impl Run {
    pub fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.records as f64
    }
}

/// The median run of a case against a server, by CPU time.
pub struct Row {
    case: &'static str,
    summary: &'static str,
    contender: String,
    run: Run,
    /// CPU time of the cheapest and the most expensive run.
    between: (f64, f64),
}

impl Row {
    /// The median of at least one run.
    pub fn median(case: &Case, contender: &str, mut runs: Vec<Run>) -> Self {
        runs.sort_by(|a, b| a.cpu_micros().total_cmp(&b.cpu_micros()));
        let between = (runs.first().map_or(0.0, Run::cpu_micros), runs.last().map_or(0.0, Run::cpu_micros));
        let middle = runs.len() / 2;
        Self {
            case: case.name,
            summary: case.summary,
            contender: contender.to_string(),
            run: runs.swap_remove(middle),
            between,
        }
    }
}

/// Renders the table: rows grouped by case, with the ratio to the floor of the case.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut case = "";
    for row in rows {
        if row.case != case {
            case = row.case;
            // Writing to a string can't fail; the same applies below.
            let _ = write!(text, "\n{case}: {}\n", row.summary);
            let _ = writeln!(
                text,
                "  {:<12} {:>10} {:>15} {:>9} {:>9} {:>9} {:>9} {:>8}   arrived/sent",
                "", "records/s", "µs CPU/record", "× floor", "p50 ms", "p99 ms", "max ms", "peak MB",
            );
        }
        let floor =
            rows.iter().find(|r| r.case == row.case && r.contender == "floor").map_or(f64::NAN, |r| r.run.cpu_micros());
        let run = &row.run;
        let ms = |q| run.latencies.value_at_quantile(q) as f64 / 1000.0;
        let _ = writeln!(
            text,
            "  {:<12} {:>10.0} {:>5.2} ({:.2}–{:.2}) {:>7.1} {:>9.2} {:>9.2} {:>9.2} {:>8.0}   {}/{}",
            row.contender,
            run.records as f64 / run.seconds,
            run.cpu_micros(),
            row.between.0,
            row.between.1,
            run.cpu_micros() / floor,
            ms(0.5),
            ms(0.99),
            ms(1.0),
            run.peak_bytes as f64 / 1e6,
            run.arrived,
            run.expected,
        );
    }
    text
}
