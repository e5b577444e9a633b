//! The command line: every command, option and example that `--help` shows.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use weir_bench::BenchArgs;
use weir_filter_kit::LANGUAGES;
use weir_filter_kit::test::TestArgs;

use crate::condition::Condition;
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
        weir config init > weir.toml          create a configuration\n  \
        weir validate weir.toml               check one without running it\n  \
        weir filter new mask --lang go        create a filter in Go; then, in mask: weir filter build\n  \
        weir filter test mask                 run the cases of a filter\n  \
        weir sinks                            the state of the running router's sinks\n  \
        weir quarantine list                  what is in quarantine, and why"
)]
pub struct Cli {
    /// The command to run; by default `run` without a configuration.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the router.
    #[command(after_help = "Examples:\n  \
        weir run                              listen on 127.0.0.1:8080, store into weir-data\n  \
        weir run --config weir.toml           use a configuration file\n  \
        weir run --listen 0.0.0.0:8080 --data /var/lib/weir\n\n\
        Ctrl-C or SIGTERM delivers what was accepted and stops; another one, at least a second later,\n\
        stops at once. SIGHUP reloads the configuration and the filters, as does any change to them.")]
    Run(RunArgs),
    /// Checks a configuration, and loads its filters, without running it.
    #[command(after_help = "Example:\n  weir validate weir.toml\n\n\
        Exits with 1 if there are mistakes, and lists all of them. Settings that are valid but have no\n\
        effect, such as a route that no filter sets, are warnings.")]
    Validate(ValidateArgs),
    /// Creates, builds, tests and lists filters.
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Shows the sinks: delivery guarantee, state, and what is left to deliver.
    #[command(after_help = "Examples:\n  \
        weir sinks                            of a router without a configuration\n  \
        weir sinks --config weir.toml\n  \
        weir sinks --json | jq '.[] | select(.state != \"ok\")'\n\n\
        Exits with 1 when a sink fails or the router does not answer.")]
    Sinks(SinksArgs),
    /// Inspects, replays and repairs the journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Lists, replays and deletes quarantined records.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Prints a configuration to start from, or the schema of one.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measures what a record costs, next to the least that it could cost.
    #[command(after_help = "Examples:\n  \
        weir bench                            every case, three runs each\n  \
        weir bench json-100 --runs 5\n  \
        weir bench json-100 --peer 'other=other-router --port $PORT --out $OUT'\n\n\
        A peer is started by a shell with $PORT and $OUT set: it must take JSON arrays posted to /\n\
        on that port of 127.0.0.1 and append a line of JSON for each record to that file.")]
    Bench(BenchArgs),
    /// Prints a completion script for a shell.
    #[command(after_help = "Example:\n  weir completions bash > /etc/bash_completion.d/weir")]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Compiles the module on standard input, for another process of weir.
    #[command(hide = true)]
    Compile {
        /// The cache of compiled filters.
        #[arg(long, value_name = "DIR")]
        cache: PathBuf,
        /// Writable memory that it may use, in bytes.
        #[arg(long)]
        memory_bytes: u64,
        /// Processor time that it may use, in seconds.
        #[arg(long)]
        seconds: u64,
    },
    /// The floor that `bench` compares with.
    #[command(hide = true)]
    BenchFloor {
        /// Where it stores.
        #[arg(long)]
        folder: PathBuf,
    },
}

#[derive(Args, Debug, Default, Clone)]
pub struct RunArgs {
    /// Configuration file; without one: loopback, redaction, SQLite and the console.
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
    /// Accept a data folder that was copied or moved here. Its sinks leave the files that they wrote before as they are.
    #[arg(long)]
    pub adopt: bool,
}

#[derive(Args, Debug)]
pub struct SinksArgs {
    #[command(flatten)]
    pub stored: Stored,
    #[command(flatten)]
    pub running: Running,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The sink, by its name in the configuration.
    #[arg(long, value_name = "NAME")]
    pub sink: String,
    /// Where to start: a sequence number, a time (2026-11-24T10:00:00Z, 2026-11-24), or an age (2h).
    #[arg(long, value_name = "TIME|SEQUENCE")]
    pub from: String,
    /// Where to end, inclusive; by default the newest record.
    #[arg(long, value_name = "TIME|SEQUENCE")]
    pub to: Option<String>,
    /// Only records that match this condition: PATH=VALUE, PATH!=VALUE, PATH~REGEX, level>=LEVEL, PATH>NUMBER. If there
    /// are several, all must match.
    #[arg(long = "where", value_name = "CONDITION")]
    pub conditions: Vec<Condition>,
    /// Only count the records.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub stored: Stored,
}

#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The same, as an option like that of other commands.
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum FilterCommand {
    /// Lists the configured filters: rights, imports, digests; memory and time if the router is running.
    #[command(after_help = "Examples:\n  \
        weir filter list                      the filters without a configuration\n  \
        weir filter list --config weir.toml   what each filter may read and change, and what it uses")]
    List(FilterListArgs),
    /// Returns to the previous version of a filter, also in a running router.
    #[command(after_help = "Examples:\n  \
        weir filter rollback redact\n  \
        weir filter list --versions           the versions to choose from\n  \
        weir filter rollback redact --to 3f2504e0\n\n\
        The rollback lasts as long as the module that it replaces is in the filters folder. Another\n\
        module that is put there is loaded as usual.")]
    Rollback(FilterRollbackArgs),
    /// Creates a small filter project: an example, its tests, and what it needs to build.
    #[command(after_help = "Examples:\n  \
        weir filter new mask --lang c         creates the folder mask\n  \
        weir filter new mask --lang go --folder filters/mask\n\n\
        Then, in that folder: weir filter build")]
    New(FilterNewArgs),
    /// Builds a filter in any language, and tries it; or rebuilds the bundled filters.
    #[command(after_help = "Examples:\n  \
        weir filter build                     builds the project in this folder\n  \
        weir filter build mask                creates mask/mask.wasm\n  \
        weir filter build --watch --into ../filters\n  \
        weir filter build --bundled           rebuilds filters/bundled in this repository\n\n\
        If the language's compiler is missing, weir says how to install it. Before the module is put in\n\
        place, it is tried on the project's samples.jsonl, with the options in options.toml.")]
    Build {
        /// The filter's folder, with its filter.toml or Cargo.toml.
        #[arg(default_value = ".")]
        project: PathBuf,
        /// Rebuild after each save.
        #[arg(long, conflicts_with = "bundled")]
        watch: bool,
        /// Also put the module into this folder, such as the filters folder of a running router.
        #[arg(long, value_name = "DIR", conflicts_with = "bundled")]
        into: Option<PathBuf>,
        /// Rebuild the bundled filters of the repository at PROJECT.
        #[arg(long)]
        bundled: bool,
        /// Where to put the rebuilt modules, instead of filters/bundled.
        #[arg(long, value_name = "DIR", requires = "bundled")]
        output: Option<PathBuf>,
    },
    /// Tests a filter: cases, samples, fuzzing, benchmarks, or a comparison of two versions.
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
        Without --fuzz, --bench or --against: runs the cases in cases.toml or cases.json next to the\n\
        module or, without such a file, shows what the filter makes of each sample.\n\n\
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
        filters/README.md lists every key. The exit code is 1 if a case or record failed, if fuzzing\n\
        found a trap, a timeout, invalid output or growing memory (errors and slow calls are only\n\
        reported), or if the new version fails on records that the old one accepted.")]
    Test(FilterTestArgs),
}

#[derive(Args, Debug)]
pub struct FilterNewArgs {
    /// The filter's name: a-z, 0-9 and `-`.
    pub name: String,
    /// The language to write it in.
    #[arg(long, short, value_name = "LANGUAGE", value_parser = languages())]
    pub lang: String,
    /// The folder to create; by default one with the filter's name, here.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

fn languages() -> PossibleValuesParser {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name))
}

/// What determines the filters.
#[derive(Args, Debug, Clone)]
pub struct Setup {
    #[command(flatten)]
    pub stored: Stored,
    /// Filters folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub filters: Option<PathBuf>,
}

impl Setup {
    /// What the router would be started with.
    pub fn run_args(&self) -> RunArgs {
        let Stored { config, data } = self.stored.clone();
        RunArgs { config, data, filters: self.filters.clone(), ..RunArgs::default() }
    }
}

#[derive(Args, Debug)]
pub struct FilterListArgs {
    #[command(flatten)]
    pub setup: Setup,
    #[command(flatten)]
    pub running: Running,
    /// Also show the earlier versions, which `weir filter rollback` can return to.
    #[arg(long)]
    pub versions: bool,
}

#[derive(Args, Debug)]
pub struct FilterRollbackArgs {
    /// The filter's name.
    pub name: String,
    #[command(flatten)]
    pub setup: Setup,
    /// The version to return to, by the start of its digest; by default the previous one.
    #[arg(long, value_name = "DIGEST")]
    pub to: Option<String>,
}

#[derive(Args, Debug)]
pub struct FilterTestArgs {
    #[command(flatten)]
    pub test: TestArgs,
    #[command(flatten)]
    pub stored: Stored,
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

/// Where a command finds what a router stored.
#[derive(Args, Debug, Clone)]
pub struct Stored {
    /// The router's configuration.
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// The router's data folder; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The running router that a command queries.
#[derive(Args, Debug, Clone)]
pub struct Running {
    /// Address of the running router, such as 127.0.0.1:8080; by default that of the configuration.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub address: Option<SocketAddr>,
}

impl Running {
    /// The address to ask at.
    pub fn address(&self, settings: &Settings) -> SocketAddr {
        self.address.unwrap_or(settings.http.listen)
    }
}

#[derive(Subcommand, Debug)]
pub enum JournalCommand {
    /// Shows segments, sequences, and the position of each reader; checks every frame.
    Inspect {
        #[command(flatten)]
        stored: Stored,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delivers records to a sink again, also while the router runs.
    #[command(after_help = "Examples:\n  \
        weir journal replay --sink postgres --from 2026-11-24T10:00:00Z --to 2026-11-24T11:00:00Z\n  \
        weir journal replay --sink archive --from 2h --where 'level>=ERROR' --where source=shop\n  \
        weir journal replay --sink http --from 48230 --dry-run\n\n\
        Times are those at which records entered the journal. The sink's routes and minimum level\n\
        apply. Records that the sink already has are delivered again. The journal contains what some\n\
        sink has not received yet, and what `journal.keep` retains. Replaying to a sink of type\n\
        `file` requires that the router is stopped.")]
    Replay(ReplayArgs),
    /// Repairs a damaged journal: moves damaged segments aside (nothing is deleted) and keeps every intact frame. The
    /// router must be stopped.
    Salvage {
        #[command(flatten)]
        stored: Stored,
    },
}

#[derive(Subcommand, Debug)]
pub enum QuarantineCommand {
    /// Shows what was quarantined: how much, when, by what and why.
    #[command(after_help = "Examples:\n  \
        weir quarantine list                          groups by origin and reason\n  \
        weir quarantine list --since 2h --by filter:redact\n  \
        weir quarantine list --entries --limit 20     the newest entries, one per line\n  \
        weir quarantine list --json | jq '.groups[].reason'\n\n\
        Numbers in reasons are shown as `#`, so that equal failures at different places form one group.")]
    List(QuarantineListArgs),
    /// Sends quarantined records through the running router again.
    #[command(after_help = "Example:\n  weir quarantine replay --address 127.0.0.1:8080\n\n\
        Records that fail again are quarantined again. Data that is not a record is left.")]
    Replay {
        #[command(flatten)]
        stored: Stored,
        #[command(flatten)]
        running: Running,
    },
    /// Deletes quarantined records permanently; the router may be running.
    #[command(after_help = "Examples:\n  \
        weir quarantine delete --by ingest --dry-run  only counts the entries\n  \
        weir quarantine delete --reason 'not an object' --until 2026-11-01\n  \
        weir quarantine delete --all\n\n\
        An entry is deleted if it matches all options. Its content is overwritten, as is that of entries\n\
        that were replayed.")]
    Delete(QuarantineDeleteArgs),
}

/// The entries of the quarantine that a command selects: those that match all options.
#[derive(Args, Debug, Default, Clone)]
pub struct Choice {
    /// Only entries from this origin: ingest, filter:NAME or sink:NAME.
    #[arg(long, value_name = "ORIGIN")]
    pub by: Option<String>,
    /// Only entries whose reason contains this text; case is ignored.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only records of this source.
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only entries since this time (2026-11-24T10:00:00Z, 2026-11-24) or age (2h).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only entries before this time or age.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Args, Debug)]
pub struct QuarantineListArgs {
    #[command(flatten)]
    pub stored: Stored,
    #[command(flatten)]
    pub choice: Choice,
    /// Show every entry, oldest first, instead of groups.
    #[arg(long)]
    pub entries: bool,
    /// Also show the records, as they were sent, including secrets.
    #[arg(long)]
    pub records: bool,
    /// Maximum number of groups (the largest) or entries (the newest); 0 means all. By default 50 groups, or all entries.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct QuarantineDeleteArgs {
    #[command(flatten)]
    pub stored: Stored,
    #[command(flatten)]
    pub choice: Choice,
    /// Delete everything.
    #[arg(long, conflicts_with_all = ["by", "reason", "source", "since", "until"])]
    pub all: bool,
    /// Only count the entries.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Prints a commented configuration to start from: the defaults, and what people change first.
    #[command(after_help = "Example:\n  weir config init > weir.toml")]
    Init,
    /// Prints the JSON Schema of the configuration file.
    Schema,
}
