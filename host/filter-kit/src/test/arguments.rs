//! The options of `weir filter test`, as `--help` shows them.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub struct TestArgs {
    /// A folder with a module in it, the module's file, or `bundled:NAME`.
    #[arg(default_value = ".")]
    pub target: String,
    /// Cases, in TOML or JSON; without it, cases.toml or cases.json beside the module.
    #[arg(long, value_name = "FILE", conflicts_with = "samples")]
    pub cases: Option<PathBuf>,
    /// Records to show, to fuzz from or to compare on: JSON, one a line or an array, or .msgpack; `-`
    /// is standard input. Without it, samples.jsonl beside the module, or a few built-in ones.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// Options for the filter, as a JSON object, over those of the file of cases.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub options: String,
    /// Also write the result of the cases as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the result of the cases as TAP.
    #[arg(long)]
    pub tap: bool,
    /// Throw generated records at the filter, so many seconds long; then find the smallest records
    /// that show what went wrong.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["bench", "against"])]
    pub fuzz: Option<u64>,
    /// Make the records of an earlier run of --fuzz again, which said its seed.
    #[arg(long, value_name = "N", requires = "fuzz")]
    pub seed: Option<u64>,
    /// Where --fuzz leaves a file for each finding, to be shown again with --samples.
    #[arg(long, value_name = "DIR", default_value = "fuzz-found", requires = "fuzz")]
    pub found: PathBuf,
    /// Measure what a record costs, by size and batch, beside a filter that does nothing.
    #[arg(long, conflicts_with = "against")]
    pub bench: bool,
    /// Show where an older version does otherwise: its file, or `bundled:NAME`.
    #[arg(long, value_name = "OLD")]
    pub against: Option<String>,
    /// Compare on the newest records of a router's journal, as the filters left them; the router may
    /// be running.
    #[arg(long, value_name = "N", requires = "against", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub last: Option<usize>,
}
