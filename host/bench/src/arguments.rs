//! The options of `weir bench`, as `--help` shows them.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Cases to run; without any, all but `compile`.
    #[arg(value_name = "CASE", value_parser = bench_cases())]
    pub cases: Vec<String>,
    /// Runs of each case; the median is shown, and the extremes beside it.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Connections that send.
    #[arg(long, default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub connections: usize,
    /// Records in a run; by default as many as the case wants.
    #[arg(long)]
    pub records: Option<u64>,
    /// Folder to make the runs' folders in: the disk that is measured.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Module for the case `compile`: how traffic fares while it is compiled.
    #[arg(long, value_name = "FILE")]
    pub module: Option<PathBuf>,
    /// Another router to run the same cases against, as NAME=COMMAND.
    #[arg(long, value_name = "NAME=COMMAND")]
    pub peer: Vec<String>,
}

fn bench_cases() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::cases().map(|(name, summary)| PossibleValue::new(name).help(summary)))
}
