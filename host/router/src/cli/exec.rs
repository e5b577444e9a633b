//! `weir exec`: its options.

use clap::Args;
use weir_document::units::Size;

use super::{DataArgs, RouterArgs};

#[derive(Args, Debug)]
pub struct ExecArgs {
    /// `source` of records that have none [default: the name of the program].
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Don't pass the output through.
    #[arg(long, short)]
    pub quiet: bool,
    /// Memory for what the router has not taken yet. When it is full, the oldest lines are dropped, and counted.
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub buffer: Size,
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub running: RouterArgs,
    /// The application and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
