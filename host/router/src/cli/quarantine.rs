//! `weir quarantine`: its commands and options.

use clap::{Args, Subcommand};

use super::{DataArgs, RouterArgs};

#[derive(Subcommand, Debug)]
pub enum QuarantineCommand {
    /// Lists quarantined records with their count, time, origin and reason.
    #[command(after_help = "Examples:\n  \
        weir quarantine list                          groups by origin and reason\n  \
        weir quarantine list --since 2h --by filter:redact\n  \
        weir quarantine list --entries --limit 20     the newest entries, one per line\n  \
        weir quarantine list --json | jq '.groups[].reason'\n\n\
        Numbers in reasons are replaced by `#`, so that failures which differ only in a number are in one\n\
        group.")]
    List(QuarantineListArgs),
    /// Sends quarantined records through the running router again.
    #[command(after_help = "Example:\n  weir quarantine replay --address 127.0.0.1:8080\n\n\
        Records that fail again are quarantined again. Entries that are not valid records are skipped. If a filter\n\
        rejects records, the replay stops, and these records stay.")]
    Replay {
        #[command(flatten)]
        stored: DataArgs,
        #[command(flatten)]
        running: RouterArgs,
    },
    /// Deletes quarantined records permanently; works while the router is running.
    #[command(after_help = "Examples:\n  \
        weir quarantine delete --by ingest --dry-run  only count them\n  \
        weir quarantine delete --reason 'not an object' --until 2026-11-01\n  \
        weir quarantine delete --all\n\n\
        An entry must match all given options. The content is overwritten, including that of entries that\n\
        were already replayed.")]
    Delete(QuarantineDeleteArgs),
}

/// Selects quarantine entries; an entry must match all given options.
#[derive(Args, Debug, Default, Clone)]
pub struct EntryFilterArgs {
    /// Only entries of this origin: ingest, filter:NAME or sink:NAME.
    #[arg(long, value_name = "ORIGIN")]
    pub by: Option<String>,
    /// Only entries whose reason contains this text; case-insensitive.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only records from this source.
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only entries since this time (2026-11-24T10:00:00Z, 2026-11-24) or age (2h).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Args, Debug)]
pub struct QuarantineListArgs {
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub choice: EntryFilterArgs,
    /// Show individual entries, oldest first, instead of groups.
    #[arg(long)]
    pub entries: bool,
    /// Also show the records. They are unredacted and may contain secrets.
    #[arg(long)]
    pub records: bool,
    /// Show at most N groups, largest first, or the newest N entries; 0 means all [default: 50 groups, or all entries].
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct QuarantineDeleteArgs {
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub choice: EntryFilterArgs,
    /// Delete all entries.
    #[arg(long, conflicts_with_all = ["by", "reason", "source", "since", "until"])]
    pub all: bool,
    /// Only count the entries that would be deleted.
    #[arg(long)]
    pub dry_run: bool,
}
