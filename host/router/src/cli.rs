//! The command line: every command, option and example that `--help` shows.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use weir_bench::BenchArgs;
use weir_filter_kit::LANGUAGES;
use weir_filter_kit::test::TestArgs;
use weir_query::Query;
use weir_record::time;

use crate::config::{Settings, address};

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
        weir run --config weir.toml           use a configuration file\n  \
        weir run --listen 0.0.0.0:8080 --data /var/lib/weir\n\n\
        Ctrl-C or SIGTERM drains and stops. A second signal, at least a second later, stops immediately.\n\
        The configuration and the filters are reloaded when they change, and on SIGHUP.")]
    Run(RunArgs),
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
        weir query trace_id=0af7651916cd --sink archive --format csv > found.csv\n\n\
        Reads what the sink has written, so it works whether the router runs or not.")]
    Query(QueryArgs),
    /// Shows the delivery guarantee, state and backlog of each sink.
    #[command(after_help = "Examples:\n  \
        weir sinks                            a router without a configuration\n  \
        weir sinks --config weir.toml\n  \
        weir sinks --json | jq '.[] | select(.state != \"ok\")'\n\n\
        Exits with 1 if a sink is failing or the router doesn't answer.")]
    Sinks(SinksArgs),
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

#[derive(Subcommand, Debug)]
pub enum FilterCommand {
    /// Lists the filters with their rights, imports and digests, and their memory and busy time if the router is running.
    #[command(after_help = "Examples:\n  \
        weir filter list                      the filters without a configuration\n  \
        weir filter list --config weir.toml   the filters of a configuration")]
    List(FilterListArgs),
    /// Rolls a filter back to an earlier version; works while the router is running.
    #[command(after_help = "Examples:\n  \
        weir filter rollback redact\n  \
        weir filter list --versions           list the available versions\n  \
        weir filter rollback redact --to 3f2504e0\n\n\
        The rollback lasts until the module in the filters folder changes; a new module is loaded as\n\
        usual.")]
    Rollback(FilterRollbackArgs),
    /// Creates a filter project with an example filter, its test and its build files.
    #[command(after_help = "Examples:\n  \
        weir filter new mask --lang c         create the folder mask\n  \
        weir filter new mask --lang go --folder filters/mask\n\n\
        Then, in that folder: weir filter build")]
    New(FilterNewArgs),
    /// Builds a filter in any language and checks it, or rebuilds the bundled filters.
    #[command(after_help = "Examples:\n  \
        weir filter build                     build the project in this folder\n  \
        weir filter build mask                write mask/mask.wasm\n  \
        weir filter build --watch --into ../filters\n  \
        weir filter build --bundled           rebuild filters/bundled in this repository\n\n\
        If the compiler is missing, the error says how to install it. Before the module is written, it is\n\
        loaded and run on the project's samples.jsonl with the options from its options.toml.")]
    Build {
        /// The filter's folder, which contains filter.toml or Cargo.toml.
        #[arg(default_value = ".")]
        project: PathBuf,
        /// Rebuild on every save.
        #[arg(long, conflicts_with = "bundled")]
        watch: bool,
        /// Also copy the module to this folder, such as the filters folder of a running router.
        #[arg(long, value_name = "DIR", conflicts_with = "bundled")]
        into: Option<PathBuf>,
        /// Rebuild the filters that are embedded in the binary; PROJECT is the repository.
        #[arg(long)]
        bundled: bool,
        /// Folder for the rebuilt modules [default: filters/bundled].
        #[arg(long, value_name = "DIR", requires = "bundled")]
        output: Option<PathBuf>,
    },
    /// Tests a filter with cases, samples or fuzzing, benchmarks it, or compares two versions.
    #[command(after_help = "Examples:\n  \
        weir filter test my-filter            the cases in my-filter/cases.toml\n  \
        weir filter test my-filter --junit results.xml\n  \
        prove -e 'weir filter test --tap' my-filter/my_filter.wasm\n  \
        weir filter test my_filter.wasm --samples samples.jsonl\n  \
        weir filter test bundled:level --options '{\"default\":\"ERROR\"}'\n  \
        weir filter test my-filter --fuzz 60\n  \
        weir filter test my-filter --fuzz 60 --seed 7 --found fuzz-found\n  \
        weir filter test my-filter --bench\n  \
        weir filter test new.wasm --against filters/old.wasm --last 10000 --data weir-data\n\n\
        Without --fuzz, --bench and --against, the command runs the cases in cases.toml or cases.json\n\
        next to the module. If there are none, it shows the result for each sample.\n\n\
        A case of cases.toml:\n\n  \
        [[case]]\n  \
        name = \"masks the address and drops DEBUG\"\n  \
        options = { mask = \"***\" }\n  \
        records = [\n    \
            { level = \"INFO\", message = \"signed in\", context = { email = \"ada@example.com\" } },\n    \
            { level = \"DEBUG\", message = \"cache miss\" },\n  \
        ]\n  \
        verdicts = [\"change\", \"drop\"]        keep, drop, change, expand or fail\n  \
        expect = [{ context = { email = \"***\" } }]   the output; other keys are ignored\n  \
        counters = { masked = 1 }\n\n\
        filters/README.md describes every key. The exit code is 1 if a case or record failed, if fuzzing\n\
        found a trap, a missed deadline, invalid output or growing memory (refusals and slow calls are\n\
        only reported), or if the new version fails on records that the old one accepts.")]
    Test(FilterTestArgs),
}

#[derive(Args, Debug)]
pub struct FilterNewArgs {
    /// The filter's name: a-z, 0-9 and `-`.
    pub name: String,
    /// The programming language.
    #[arg(long, short, value_name = "LANGUAGE", value_parser = languages())]
    pub lang: String,
    /// Folder to create [default: the filter's name].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

fn languages() -> PossibleValuesParser {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name))
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

#[derive(Args, Debug)]
pub struct FilterListArgs {
    #[command(flatten)]
    pub setup: SetupArgs,
    #[command(flatten)]
    pub running: RouterArgs,
    /// Also show earlier versions, for `weir filter rollback`.
    #[arg(long)]
    pub versions: bool,
}

#[derive(Args, Debug)]
pub struct FilterRollbackArgs {
    /// The filter's name.
    pub name: String,
    #[command(flatten)]
    pub setup: SetupArgs,
    /// Prefix of the digest of the version to roll back to [default: the previous version].
    #[arg(long, value_name = "DIGEST")]
    pub to: Option<String>,
}

#[derive(Args, Debug)]
pub struct FilterTestArgs {
    #[command(flatten)]
    pub test: TestArgs,
    #[command(flatten)]
    pub stored: DataArgs,
    /// When to use colours.
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    pub colour: Colour,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

/// The options that locate a router's data.
#[derive(Args, Debug, Clone)]
pub struct DataArgs {
    /// The router's configuration file.
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// The router's data folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The option that locates a running router.
#[derive(Args, Debug, Clone)]
pub struct RouterArgs {
    /// Address of the running router, such as 127.0.0.1:8080 [default: from the configuration].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub address: Option<SocketAddr>,
}

impl RouterArgs {
    /// The address of the running router.
    pub fn address(&self, settings: &Settings) -> SocketAddr {
        self.address.unwrap_or(settings.http.listen)
    }
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
}

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
        Records that fail again are quarantined again. Entries that are not valid records are skipped.")]
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
