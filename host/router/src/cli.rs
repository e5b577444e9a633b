//! The command line: every command, option and example that `--help` shows. Commands with several commands of their own
//! have a file in `cli/`.

mod erase;
mod exec;
mod filter;
mod levels;
mod quarantine;
mod running;
mod tls;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use weir_bench::BenchArgs;
use weir_query::Query;
use weir_record::time;

use crate::config::address;
pub use erase::EraseArgs;
pub use exec::ExecArgs;
pub use filter::{Colour, FilterCommand, FilterListArgs, FilterNewArgs, FilterRollbackArgs, FilterTestArgs};
pub use levels::{LevelsArgs, LevelsCommand};
pub use quarantine::{EntryFilterArgs, QuarantineCommand, QuarantineDeleteArgs, QuarantineListArgs};
pub use running::RouterArgs;
pub use tls::{SelfSignedArgs, TlsCommand};
pub use token::{TokenArgs, TokenCommand, TokenNewArgs};

/// A log router that people extend with WebAssembly.
#[derive(Parser, Debug)]
#[command(
    name = "weir",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  \
        weir                                  run with no configuration\n  \
        weir run --config weir.toml           run with a configuration\n  \
        weir config init > weir.toml          start a configuration\n  \
        weir validate weir.toml               check it without running it\n  \
        weir filter new mask --lang go        start a filter in Go; then, in mask: weir filter build\n  \
        weir filter test mask                 run the cases of a filter\n  \
        weir tail -f                          records as they arrive\n  \
        weir sinks                            state of the running router's sinks\n  \
        weir quarantine list                  quarantined records, and why"
)]
pub struct Cli {
    /// The command to run; the default is `run` without a configuration.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the router.
    #[command(after_help = "Examples:\n  \
        weir run                              listen on 127.0.0.1:8080, store in weir-data\n  \
        weir run --demo                       with invented records, to look around\n  \
        app 2>&1 | weir run --stdin           with the lines that an application writes\n  \
        weir run --config weir.toml           use a configuration file\n  \
        weir run --listen 0.0.0.0:8080 --data /var/lib/weir    for other machines, too; needs a token\n\n\
        Ctrl-C or SIGTERM drains and stops. A second signal, at least a second later, stops immediately.\n\
        The configuration and the filters are reloaded when they change, and on SIGHUP.")]
    Run(RunArgs),
    /// Runs an application, and sends what it writes to the running router.
    #[command(after_help = "Examples:\n  \
        weir exec -- ./shop --port 3000       its lines are records of the source `shop`\n  \
        weir exec --source cart -- node cart.js\n  \
        weir exec --url https://logs.example.com --quiet -- backup.sh\n\n\
        The output is also passed through unchanged. Signals are passed on to the application, and its exit code\n\
        is that of this command; 128 plus the number of the signal that ended it. The application never waits\n\
        for the router: what does not fit in memory is dropped, and counted at the end.")]
    Exec(ExecArgs),
    /// Checks a configuration and loads its filters, without running it.
    #[command(after_help = "Example:\n  weir validate weir.toml\n\n\
        Lists all errors at once and exits with 1 if there are any. Settings that are valid but probably\n\
        unintended, such as a route that no filter sets, are warnings.")]
    Validate(ValidateArgs),
    /// Creates, builds, tests, lists and rolls back filters.
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Shows records of the running router as they arrive.
    #[command(after_help = "Examples:\n  \
        weir tail                             the newest 50 records in memory\n  \
        weir tail -f                          and those that follow, until Ctrl-C\n  \
        weir tail -f 'level>=WARN source:shop*'\n  \
        weir tail -f --json | jq .message\n\n\
        A query selects records by words, fields, level and time; see the query language. If this terminal\n\
        is too slow, a line says how many records were left out. After a restart of the router, it continues.")]
    Tail(TailArgs),
    /// Shows records that a sink has stored.
    #[command(after_help = "Examples:\n  \
        weir query                                       the newest 100 records\n  \
        weir query 'level>=ERROR since:1h'\n  \
        weir query 'checkout \"connection reset\"' -n 1000 --format json | jq .context.user_id\n  \
        weir query trace_id=0af7651916cd --sink archive --format csv > found.csv\n  \
        weir query 'took_ms>250' --explain               what is read to find them\n\n\
        Reads what the sink has written, so it works whether the router runs or not.")]
    Query(QueryArgs),
    /// Shows or sets the minimum level of records that are stored, while the router runs.
    #[command(after_help = "Examples:\n  \
        weir levels                           the current minimums\n  \
        weir levels set INFO                  DEBUG and TRACE are no longer stored\n  \
        weir levels set auth=DEBUG --for 10m  except those of auth, for ten minutes\n  \
        weir levels unset auth\n\n\
        Records below the minimum of their source are accepted, passed through the filters, and not stored.\n\
        Minimums stay over a restart of the router.")]
    Levels(LevelsArgs),
    /// Creates, lists and revokes tokens: who may send, read and change what.
    #[command(after_help = "Examples:\n  \
        weir token new ci --role ingest --sources 'shop*'\n  \
        weir token new alice --role read --expires 90d\n  \
        weir token new ops --role admin\n  \
        weir token list\n  \
        weir token revoke ci\n\n\
        As soon as there is a token, every request needs one. A running router takes changes up within a second.")]
    Token(TokenArgs),
    /// Creates a certificate for TLS.
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Shows the delivery guarantee, state and backlog of each sink.
    #[command(after_help = "Examples:\n  \
        weir sinks                            a router without a configuration\n  \
        weir sinks --config weir.toml\n  \
        weir sinks --json | jq '.[] | select(.state != \"ok\")'\n\n\
        Exits with 1 if a sink is failing or the router doesn't answer.")]
    Sinks(SinksArgs),
    /// Erases the records that a query selects, wherever Weir keeps them.
    #[command(after_help = "Examples:\n  \
        weir erase --where 'context.user_id=42' --dry-run     count them\n  \
        weir erase --where 'context.user_id=42'               show the counts, ask, erase\n  \
        weir erase --where 'context.user_id=42' --yes         from a script\n\n\
        Erases from the journal, the quarantine, records that filters hold back, and the sinks of type sqlite,\n\
        postgres and file, with and without a running router. A line for each place says what was erased, or\n\
        what can't be reached. Exactly the records acknowledged before the start are erased. Interrupted, it\n\
        leaves everything consistent; run it again. Exits with 1 if a place that can be reached failed.")]
    Erase(EraseArgs),
    /// Inspects, replays and repairs the journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Lists, replays and deletes quarantined records.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Prints a starting configuration or the schema.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measures the cost of a record and compares it with the lower bound.
    #[command(after_help = "Examples:\n  \
        weir bench                            every case, three runs each\n  \
        weir bench json-100 --runs 5\n  \
        weir bench json-100 --peer 'other=other-router --port $PORT --out $OUT'\n\n\
        A peer is started by a shell with $PORT and $OUT set. It must accept JSON arrays posted to / on\n\
        that port of 127.0.0.1 and append each record to that file as a line of JSON.")]
    Bench(BenchArgs),
    /// Prints a shell completion script.
    #[command(after_help = "Example:\n  weir completions bash > /etc/bash_completion.d/weir")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Compiles the module on standard input on behalf of another weir process.
    #[command(hide = true)]
    Compile {
        /// The cache of compiled filters.
        #[arg(long, value_name = "DIR")]
        cache: PathBuf,
        /// Limit on writable memory, in bytes.
        #[arg(long)]
        memory_bytes: u64,
        /// Limit on CPU time, in seconds.
        #[arg(long)]
        seconds: u64,
    },
    /// The lower bound that `bench` compares with.
    #[command(hide = true)]
    BenchFloor {
        /// Folder to store records in.
        #[arg(long)]
        folder: PathBuf,
    },
}

#[derive(Args, Debug, Default, Clone)]
pub struct RunArgs {
    /// Configuration file [default: none; listens on loopback, redacts, writes to SQLite and the console].
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address to listen on; overrides the configuration.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Data folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Filters folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub filters: Option<PathBuf>,
    /// Continue with a data folder that was copied or moved. Its sinks leave the files that they wrote earlier
    /// unchanged.
    #[arg(long)]
    pub adopt: bool,
    /// Listen on an address that others reach although there is no token: everybody who reaches it may read all records
    /// and change the router.
    #[arg(long)]
    pub insecure_open: bool,
    /// Invent the records of a small shop, to look around.
    #[arg(long)]
    pub demo: bool,
    /// Read lines of JSON or text from standard input, and pass them through to standard output unchanged, in place of
    /// the default console sink. With sinks of another configuration, nothing is passed through if one of them is a
    /// console. At the end of the input, everything is delivered, and Weir stops.
    #[arg(long)]
    pub stdin: bool,
}

#[derive(Args, Debug)]
pub struct TailArgs {
    /// Which records; all without a query.
    pub query: Vec<String>,
    /// Keep showing records as they arrive.
    #[arg(long, short)]
    pub follow: bool,
    /// How many recent records to show first; at most what the router has in memory.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50)]
    pub records: u32,
    /// Print JSON, one record per line.
    #[arg(long)]
    pub json: bool,
    /// Times in the system's time zone.
    #[arg(long)]
    pub local: bool,
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub running: RouterArgs,
}

#[derive(Args, Debug)]
pub struct QueryArgs {
    /// Which records; all without a query.
    pub query: Vec<String>,
    /// The sink to search [default: the first that can be searched, a database before files].
    #[arg(long, value_name = "NAME")]
    pub sink: Option<String>,
    /// How many of the newest matching records to show.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    pub records: u32,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub format: QueryFormat,
    /// Times in the system's time zone, in a table.
    #[arg(long)]
    pub local: bool,
    /// Show how the sink would be searched, without searching it.
    #[arg(long)]
    pub explain: bool,
    #[command(flatten)]
    pub stored: DataArgs,
}

/// How `weir query` prints records.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryFormat {
    /// Aligned lines for people.
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a head.
    Csv,
}

#[derive(Args, Debug)]
pub struct SinksArgs {
    #[command(flatten)]
    pub stored: DataArgs,
    #[command(flatten)]
    pub running: RouterArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Name of the sink in the configuration.
    #[arg(long, value_name = "NAME")]
    pub sink: String,
    /// Where to start: a sequence number, a time (2026-11-24T10:00:00Z, 2026-11-24) or an age (2h).
    #[arg(long, value_name = "TIME|SEQUENCE")]
    pub from: String,
    /// Where to end, inclusive [default: the newest record].
    #[arg(long, value_name = "TIME|SEQUENCE")]
    pub to: Option<String>,
    /// Only replay records that this query selects, such as `level>=ERROR source:shop "timed out"`. Can be repeated; a
    /// record must match all queries.
    #[arg(long = "where", value_name = "QUERY", value_parser = query)]
    pub queries: Vec<Query>,
    /// Only count the records that would be replayed.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub stored: DataArgs,
}

#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The configuration file, as in other commands.
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
}

/// The options that determine which filters run.
#[derive(Args, Debug, Clone)]
pub struct SetupArgs {
    #[command(flatten)]
    pub stored: DataArgs,
    /// Filters folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub filters: Option<PathBuf>,
}

impl SetupArgs {
    /// The arguments for `weir run` with the same setup.
    pub fn run_args(&self) -> RunArgs {
        let DataArgs { config, data } = self.stored.clone();
        RunArgs { config, data, filters: self.filters.clone(), ..RunArgs::default() }
    }
}

/// The options that locate a router's data. They can also follow the name of a command within a command.
#[derive(Args, Debug, Clone)]
pub struct DataArgs {
    /// The router's configuration file.
    #[arg(long, short, global = true, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// The router's data folder; overrides the configuration.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum JournalCommand {
    /// Shows the segments with their sequences and the position of each reader; verifies every frame.
    Inspect {
        #[command(flatten)]
        stored: DataArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delivers records to a sink again; works while the router is running.
    #[command(after_help = "Examples:\n  \
        weir journal replay --sink postgres --from 2026-11-24T10:00:00Z --to 2026-11-24T11:00:00Z\n  \
        weir journal replay --sink archive --from 2h --where 'level>=ERROR source:shop'\n  \
        weir journal replay --sink http --from 48230 --dry-run\n\n\
        Times are when records were appended to the journal. The sink's routes and minimum level apply.\n\
        Records that the sink already has are delivered again. The journal keeps records until every\n\
        sink has them and `journal.keep` has passed. Replaying to a sink of type `file` requires that the\n\
        router is stopped.")]
    Replay(ReplayArgs),
    /// Repairs a journal with damage in the middle: keeps every intact frame and moves damaged segments aside; nothing
    /// is deleted. The router must be stopped.
    Salvage {
        #[command(flatten)]
        stored: DataArgs,
    },
    /// Makes a key that the journal and the quarantine can be encrypted with (see `[encryption]`).
    #[command(after_help = "Examples:\n  \
        weir journal new-key /etc/weir/data.key\n  \
        weir journal new-key | vault kv put secret/weir key=-")]
    NewKey {
        /// A new file for it, readable only by its owner. Default: standard output.
        file: Option<PathBuf>,
    },
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Prints a commented starting configuration: the defaults and the most common changes.
    #[command(after_help = "Example:\n  weir config init > weir.toml")]
    Init,
    /// Prints the JSON Schema of the configuration file.
    Schema,
}

/// Parses a query whose ages count from now.
fn query(text: &str) -> Result<Query, String> {
    Query::parse(text, time::now_ns()).map_err(|error| error.to_string())
}
