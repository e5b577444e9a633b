//! The options of `weir bench`, as `--help` shows them.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Cases to run [default: all but `search` and `compile`]
    #[arg(value_name = "CASE", value_parser = bench_cases())]
    pub cases: Vec<String>,
    /// Runs of each case; the median is shown, with the minimum and maximum
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Number of sending connections
    #[arg(long, default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub connections: usize,
    /// Records per run [default: depends on the case]
    #[arg(long)]
    pub records: Option<u64>,
    /// Folder for temporary data, on the disk to measure
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Empty database of a Postgres server in which `search` also searches, such as postgres://me@localhost/bench
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// The only type of sink to search, such as `file`, for `search` [default: all]
    #[arg(long, value_name = "TYPE")]
    pub only: Option<String>,
    /// Module to compile under load, for the case `compile`
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// Another binary of Weir, to run the cases of the table in turn with this one: whether a change shows. More runs tell
    /// it more surely
    #[arg(long, value_name = "BINARY", conflicts_with = "peer")]
    pub compare: Option<PathBuf>,
    /// Another router to run the same cases against
    #[arg(long, value_name = "NAME=COMMAND")]
    pub peer: Vec<String>,
}

fn bench_cases() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::cases().map(|(name, summary)| PossibleValue::new(name).help(summary)))
}
