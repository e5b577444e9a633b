//! The same questions to other programs, as somebody who knows them well would ask.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{LIMIT, ms};

/// The table in the database of `--postgres`.
pub const POSTGRES_TABLE: &str = "weir_bench_search";

/// Runs of each, of which the shortest counts, but no further one after this time.
const RUNS: usize = 3;
const RUNS_TIME: Duration = Duration::from_secs(5);

/// Adds the indexes that a sink does not create.
pub fn add_indexes(url: &str) -> anyhow::Result<()> {
    let sql = format!(
        "CREATE EXTENSION IF NOT EXISTS pg_trgm;
         CREATE INDEX ON {POSTGRES_TABLE} USING gin (message gin_trgm_ops);
         CREATE INDEX ON {POSTGRES_TABLE} USING gin (extra_data)"
    );
    let ran = Command::new("psql").args(["-q", "-c", &sql, url]).status().context("can't run psql")?;
    anyhow::ensure!(ran.success(), "psql failed");
    Ok(())
}

/// A question to each program.
pub struct Commands {
    /// For a shell, in the folder with `logs`.
    files: String,
    /// A condition.
    sqlite: String,
    postgres: String,
}

impl Commands {
    pub fn new(files: String, sqlite: &str, postgres: &str) -> Commands {
        Commands { files, sqlite: sqlite.to_owned(), postgres: postgres.to_owned() }
    }
}

pub enum Program {
    /// And jq.
    Grep,
    Sqlite3,
    /// With the address of the database.
    Psql(String),
}

impl Program {
    pub fn name(&self) -> &'static str {
        match self {
            Program::Grep => "grep, jq",
            Program::Sqlite3 => "sqlite3",
            Program::Psql(_) => "psql",
        }
    }

    /// The shortest time of a few runs, in milliseconds, and the number of records if it is another one than expected.
    pub fn run(&self, commands: &Commands, folder: &Path, results: usize) -> anyhow::Result<String> {
        let begun = Instant::now();
        let (mut shortest, mut found) = (Duration::MAX, 0);
        for _ in 0..RUNS {
            let since = Instant::now();
            match self.results(commands, folder)? {
                Some(lines) => found = lines,
                None => return Ok("none".to_owned()),
            }
            shortest = shortest.min(since.elapsed());
            if begun.elapsed() > RUNS_TIME {
                break;
            }
        }
        let time = ms(shortest);
        Ok(if found == results { time } else { format!("{time} ({found})") })
    }

    /// The number of lines that it prints. `None` if it is not installed.
    fn results(&self, commands: &Commands, folder: &Path) -> anyhow::Result<Option<usize>> {
        let newest = format!("ORDER BY timestamp DESC LIMIT {LIMIT}");
        let mut command;
        match self {
            Program::Grep => {
                command = Command::new("sh");
                command.args(["-c", &format!("command -v jq >/dev/null || exit 127; {}", commands.files)]);
            }
            Program::Sqlite3 => {
                let sql = format!("SELECT level, source, message FROM logs WHERE {} {newest}", commands.sqlite);
                command = Command::new("sqlite3");
                command.args(["-readonly", "data/logs.db", &sql]);
            }
            Program::Psql(url) => {
                let sql = format!(
                    "SELECT level, logger_name, message FROM {POSTGRES_TABLE} WHERE {} {newest}",
                    commands.postgres
                );
                command = Command::new("psql");
                command.args(["-At", "-c", &sql, url]);
            }
        }
        // In a pipeline, programs whose output nobody needs any more complain.
        let errors = if matches!(self, Program::Grep) { Stdio::null() } else { Stdio::inherit() };
        let ran = command.current_dir(folder).env("LC_ALL", "C").stdin(Stdio::null()).stderr(errors).output();
        let ran = match ran {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            ran => ran.with_context(|| format!("can't run {}", self.name()))?,
        };
        if ran.status.code() == Some(127) {
            return Ok(None);
        }
        // A pipeline ends early on purpose.
        anyhow::ensure!(ran.status.success() || matches!(self, Program::Grep), "{} failed", self.name());
        Ok(Some(ran.stdout.iter().filter(|byte| **byte == b'\n').count()))
    }
}
