//! The options of `weir filter test`, as `--help` shows them.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::limits::FUZZ_SECONDS;

#[derive(Args, Debug)]
pub struct TestArgs {
    /// Folder with a module, path of a module, or `bundled:NAME`
    #[arg(default_value = ".")]
    pub target: String,
    /// Cases, in TOML or JSON [default: cases.toml or cases.json next to the module]
    #[arg(long, value_name = "FILE", conflicts_with = "samples")]
    pub cases: Option<PathBuf>,
    /// Records to show, to fuzz from or to compare on: JSON lines, a JSON array, or .msgpack; `-` is standard input
    /// [default: samples.jsonl next to the module, or a few built-in ones]
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// Options for the filter as a JSON object, which override those in the file of cases
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub options: String,
    /// Also write the results of the cases as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the results of the cases as TAP
    #[arg(long)]
    pub tap: bool,
    /// Fuzz the filter with generated records for this long; then find the smallest records that reproduce each fault
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["bench", "against"], value_parser = value_parser!(u64).range(..=FUZZ_SECONDS))]
    pub fuzz: Option<u64>,
    /// Repeat an earlier run of --fuzz with the seed that it printed
    #[arg(long, value_name = "N", requires = "fuzz")]
    pub seed: Option<u64>,
    /// Folder for the records found by --fuzz, which can be shown again with --samples
    #[arg(long, value_name = "DIR", default_value = "fuzz-found", requires = "fuzz")]
    pub found: PathBuf,
    /// Measure the cost of a record, by size and batch, compared with a filter that does nothing
    #[arg(long, conflicts_with = "against")]
    pub bench: bool,
    /// Show how the output of an older version differs: its file, or `bundled:NAME`
    #[arg(long, value_name = "OLD")]
    pub against: Option<String>,
    /// Compare on this many of the newest records in a router's journal, as filters left them; the router may be
    /// running
    #[arg(long, value_name = "N", requires = "against", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub last: Option<usize>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Command {
        #[command(flatten)]
        test: TestArgs,
    }

    #[test]
    fn more_seconds_than_a_clock_counts_are_refused() {
        let seconds = |text: &str| Command::try_parse_from(["test", "--fuzz", text]).ok()?.test.fuzz;
        assert_eq!(seconds("60"), Some(60));
        assert_eq!(seconds(&u64::MAX.to_string()), None);
    }
}
