//! `weir completions`: a shell completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

pub fn run(shell: Shell) -> anyhow::Result<()> {
    // In memory first, because writing to a closed pipe there is a panic.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "weir", &mut script);
    Ok(weir_terminal::text(&String::from_utf8_lossy(&script))?)
}
