//! `weir levels`: its commands and options.

use std::time::Duration;

use clap::{Args, Subcommand};
use weir_record::{Level, time};

use super::{DataArgs, RouterArgs};

#[derive(Args, Debug)]
pub struct LevelsArgs {
    #[command(subcommand)]
    pub command: Option<LevelsCommand>,
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub running: RouterArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum LevelsCommand {
    /// Sets the minimum level of all sources, or of some.
    #[command(after_help = "Examples:\n  \
        weir levels set INFO                  DEBUG and TRACE are no longer stored\n  \
        weir levels set auth=DEBUG --for 10m  except those of auth, for ten minutes\n  \
        weir levels set shop=WARN noisy=ERROR")]
    Set {
        /// A level for all sources, or SOURCE=LEVEL.
        #[arg(required = true, value_name = "LEVEL|SOURCE=LEVEL", value_parser = minimum)]
        minimums: Vec<Minimum>,
        /// How long, such as 30s, 10m or 2h; then, what applied before applies again [default: for good].
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        duration: Option<Duration>,
    },
    /// Removes the minimum level of some sources.
    #[command(after_help = "Examples:\n  \
        weir levels unset auth                what applies to all other sources applies to auth again\n  \
        weir levels unset '*'                 sources without a minimum of their own are stored completely")]
    Unset {
        /// The sources; `*` is all sources without a minimum of their own.
        #[arg(required = true, value_name = "SOURCE")]
        sources: Vec<String>,
    },
}

/// The minimum level of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minimum {
    pub source: String,
    pub level: Level,
}

fn minimum(text: &str) -> Result<Minimum, String> {
    let (source, name) = text.rsplit_once('=').unwrap_or(("*", text));
    if source.is_empty() {
        return Err("the name of the source is missing".to_owned());
    }
    let names = || Level::ALL.map(Level::as_str).join(", ");
    let level = Level::parse(name).ok_or_else(|| format!("`{name}` is not a level; use {}", names()))?;
    Ok(Minimum { source: source.to_owned(), level })
}

pub fn duration(text: &str) -> Result<Duration, String> {
    let ns = time::parse_duration(text).map_err(|_| "write a time such as 30s, 10m or 2h".to_owned())?;
    Ok(Duration::from_nanos(ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_is_for_one_source_or_for_all() {
        let of = |source: &str, level| Ok(Minimum { source: source.to_owned(), level });
        assert_eq!(minimum("warn"), of("*", Level::Warning));
        assert_eq!(minimum("auth=DEBUG"), of("auth", Level::Debug));
        assert_eq!(minimum("a=b=ERROR"), of("a=b", Level::Error));
        assert!(minimum("auth").unwrap_err().contains("`auth` is not a level; use TRACE"));
        assert!(minimum("=INFO").is_err());
    }
}
