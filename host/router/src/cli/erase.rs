//! The options of `weir erase`.

use std::time::Duration;

use clap::Args;

use super::levels::duration;
use super::{DataArgs, RouterArgs};

#[derive(Args, Debug)]
pub struct EraseArgs {
    /// Which records, in the query language.
    #[arg(long = "where", value_name = "QUERY", allow_hyphen_values = true)]
    pub query: String,
    /// Only count them.
    #[arg(long)]
    pub dry_run: bool,
    /// Erase without asking.
    #[arg(long)]
    pub yes: bool,
    /// Accept a query that selects records whatever they contain, such as an empty one or exclusions alone.
    #[arg(long)]
    pub all: bool,
    /// How long it may take; then it stops, and can be run again.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub within: Duration,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub running: RouterArgs,
}
