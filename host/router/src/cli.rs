//! The command line: every command, option and example that `--help` shows.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::condition::Condition;
use crate::config::{Settings, address};
use crate::filter_build::LANGUAGES;

/// A log router that people extend with WebAssembly.
#[derive(Parser, Debug)]
#[command(
    name = "weir",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  \
        weir                                  run with no configuration\n  \
        weir run --config weir.toml           run with a configuration\n  \
        weir config init > weir.toml          begin a configuration\n  \
        weir validate weir.toml               check one without running it\n  \
        weir filter new mask --lang go        begin a filter in Go; then, in mask: weir filter build\n  \
        weir filter test mask                 run the cases of a filter\n  \
        weir sinks                            how the sinks of the running router are\n  \
        weir quarantine list                  what was set aside, and why"
)]
pub struct Cli {
    /// What to do; without it, `run` with no configuration.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs the router.
    #[command(after_help = "Examples:\n  \
        weir run                              listen on 127.0.0.1:8080, store into weir-data\n  \
        weir run --config weir.toml           everything as the file says\n  \
        weir run --listen 0.0.0.0:8080 --data /var/lib/weir\n\n\
        Ctrl-C or SIGTERM drains and stops; a further one after a second stops at once. SIGHUP reads the\n\
        configuration and the filters again, which also happens by itself when they change.")]
    Run(RunArgs),
    /// Checks a configuration, and loads its filters, without running it.
    #[command(after_help = "Example:\n  weir validate weir.toml\n\n\
        Exits with 1 when something is wrong; all that is wrong is listed at once. What is right but\n\
        can't have been meant, such as a route that no filter gives, is a warning.")]
    Validate(ValidateArgs),
    /// Works with filters: new, build, test, list.
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Shows each sink: what it promises, how it is, how much it has to deliver.
    #[command(after_help = "Examples:\n  \
        weir sinks                            of the router with no configuration\n  \
        weir sinks --config weir.toml\n  \
        weir sinks --json | jq '.[] | select(.state != \"ok\")'\n\n\
        Exits with 1 when a sink fails or the router does not answer.")]
    Sinks(SinksArgs),
    /// Works with the journal.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Works with records that were set aside.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Works with configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measures what a record costs, beside what it must cost at least.
    #[command(after_help = "Examples:\n  \
        weir bench                            every case, three runs each\n  \
        weir bench json-100 --runs 5\n  \
        weir bench json-100 --peer 'other=other-router --port $PORT --out $OUT'\n\n\
        A peer is started by a shell with $PORT and $OUT set: it must take JSON arrays posted to /\n\
        on that port of 127.0.0.1 and append a line of JSON for each record to that file.")]
    Bench(BenchArgs),
    /// Prints a script that completes weir's commands in a shell.
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
    /// Address to listen on, over what the configuration says.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Data folder, over what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Filters folder, over what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub filters: Option<PathBuf>,
    /// Go on with a data folder that was copied or moved here. Its sinks leave the files that they wrote before as they
    /// are.
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
    /// Where to begin: a number of the journal, a time (2026-11-24T10:00:00Z, 2026-11-24), or how
    /// long ago (2h).
    #[arg(long, value_name = "TIME|SEQUENCE")]
    pub from: String,
    /// Where to end, this included; by default at the newest record.
    #[arg(long, value_name = "TIME|SEQUENCE")]
    pub to: Option<String>,
    /// Only records that meet this condition: PATH=VALUE, PATH!=VALUE, PATH~REGEX, level>=LEVEL,
    /// PATH>NUMBER. Several must all be met.
    #[arg(long = "where", value_name = "CONDITION")]
    pub conditions: Vec<Condition>,
    /// Only say how many records it would be.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub stored: Stored,
}

#[derive(Args, Debug)]
pub struct ValidateArgs {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The same, as the other commands take it.
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum FilterCommand {
    /// Lists the filters that would run: their rights, imports, digests; memory and time from the running router.
    #[command(after_help = "Examples:\n  \
        weir filter list                      what runs with no configuration\n  \
        weir filter list --config weir.toml   what each filter may see and change, and what it takes")]
    List(FilterListArgs),
    /// Goes back to the version of a filter that ran before, in a running router too.
    #[command(after_help = "Examples:\n  \
        weir filter rollback redact\n  \
        weir filter list --versions           what there is to go back to\n  \
        weir filter rollback redact --to 3f2504e0\n\n\
        It holds as long as the module that it replaces lies in the filters folder: another one\n\
        that is put there is taken up as ever.")]
    Rollback(FilterRollbackArgs),
    /// Writes a small project to begin a filter with: an example, its test, what it needs to build.
    #[command(after_help = "Examples:\n  \
        weir filter new mask --lang c         writes the folder mask\n  \
        weir filter new mask --lang go --folder filters/mask\n\n\
        Then, in that folder: weir filter build")]
    New(FilterNewArgs),
    /// Builds a filter in any language, tries it, and leaves a component; or rebuilds the bundled ones.
    #[command(after_help = "Examples:\n  \
        weir filter build                     builds the project in this folder\n  \
        weir filter build mask                leaves mask/mask.wasm\n  \
        weir filter build --watch --into ../filters\n  \
        weir filter build --bundled           rebuilds filters/bundled in this repository\n\n\
        When the language's compiler is missing it says how to get it. The module is loaded and tried\n\
        on the project's samples.jsonl, with the options in its options.toml, before it is put in place.")]
    Build {
        /// The filter's folder, with its filter.toml or Cargo.toml.
        #[arg(default_value = ".")]
        project: PathBuf,
        /// Build again at each save.
        #[arg(long, conflicts_with = "bundled")]
        watch: bool,
        /// Put the module into this folder too: the filters folder of a running router.
        #[arg(long, value_name = "DIR", conflicts_with = "bundled")]
        into: Option<PathBuf>,
        /// Rebuild the filters that are inside the binary, in the repository at PROJECT.
        #[arg(long)]
        bundled: bool,
        /// Where to put the rebuilt modules, instead of filters/bundled.
        #[arg(long, value_name = "DIR", requires = "bundled")]
        output: Option<PathBuf>,
    },
    /// Tests a filter: cases, samples, fuzzing, times, or one version against another.
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
        Without --fuzz, --bench and --against: the cases of cases.toml or cases.json beside the\n\
        module, or, where there are none, what becomes of each sample.\n\n\
        A case of cases.toml:\n\n  \
        [[case]]\n  \
        name = \"masks the address and drops DEBUG\"\n  \
        options = { mask = \"***\" }\n  \
        records = [\n    \
            { level = \"INFO\", message = \"signed in\", context = { email = \"ada@example.com\" } },\n    \
            { level = \"DEBUG\", message = \"cache miss\" },\n  \
        ]\n  \
        verdicts = [\"change\", \"drop\"]        keep, drop, change, expand or fail\n  \
        expect = [{ context = { email = \"***\" } }]   what comes out; other keys don't matter\n  \
        counters = { masked = 1 }\n\n\
        filters/README.md has every key of it. The exit code is 1 when a case or record failed,\n\
        when fuzzing found a trap, a missed deadline, nonsense or growing memory (refusals and slow\n\
        calls are only told), or when a version fails on records that the old one took.")]
    Test(FilterTestArgs),
}

#[derive(Args, Debug)]
pub struct FilterNewArgs {
    /// The filter's name: a-z, 0-9 and `-`.
    pub name: String,
    /// The language to write it in.
    #[arg(long, short, value_name = "LANGUAGE", value_parser = languages())]
    pub lang: String,
    /// Where to write it; by default a folder of its name, here.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

fn bench_cases() -> PossibleValuesParser {
    PossibleValuesParser::new(crate::bench::cases().map(|(name, summary)| PossibleValue::new(name).help(summary)))
}

fn languages() -> PossibleValuesParser {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name))
}

/// What decides which filters would run.
#[derive(Args, Debug, Clone)]
pub struct Setup {
    #[command(flatten)]
    pub stored: Stored,
    /// Filters folder, over what the configuration says.
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
    /// Show the versions that ran as well, which `weir filter rollback` can go back to.
    #[arg(long)]
    pub versions: bool,
}

#[derive(Args, Debug)]
pub struct FilterRollbackArgs {
    /// The filter's name.
    pub name: String,
    #[command(flatten)]
    pub setup: Setup,
    /// The version to go back to, by the beginning of its digest; by default the one before.
    #[arg(long, value_name = "DIGEST")]
    pub to: Option<String>,
}

#[derive(Args, Debug)]
pub struct FilterTestArgs {
    /// A folder with a module in it, the module's file, or `bundled:NAME`.
    #[arg(default_value = ".")]
    pub target: String,
    /// Cases, in TOML or JSON; without it, cases.toml or cases.json beside the module.
    #[arg(long, value_name = "FILE", conflicts_with = "samples")]
    pub cases: Option<PathBuf>,
    /// Records to show, to fuzz from or to compare on: JSON, one a line or an array, or .msgpack; `-`
    /// is standard input. Without it, samples.jsonl beside the module, or a few built-in ones.
    #[arg(long, value_name = "FILE")]
    pub samples: Option<PathBuf>,
    /// Options for the filter, as a JSON object, over those of the file of cases.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub options: String,
    /// Also write the result of the cases as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print the result of the cases as TAP.
    #[arg(long)]
    pub tap: bool,
    /// Throw generated records at the filter, so many seconds long; then find the smallest records
    /// that show what went wrong.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["bench", "against"])]
    pub fuzz: Option<u64>,
    /// Make the records of an earlier run of --fuzz again, which said its seed.
    #[arg(long, value_name = "N", requires = "fuzz")]
    pub seed: Option<u64>,
    /// Where --fuzz leaves a file for each finding, to be shown again with --samples.
    #[arg(long, value_name = "DIR", default_value = "fuzz-found", requires = "fuzz")]
    pub found: PathBuf,
    /// Measure what a record costs, by size and batch, beside a filter that does nothing.
    #[arg(long, conflicts_with = "against")]
    pub bench: bool,
    /// Show where an older version does otherwise: its file, or `bundled:NAME`.
    #[arg(long, value_name = "OLD")]
    pub against: Option<String>,
    /// Compare on the newest records of a router's journal, as the filters left them; the router may
    /// be running.
    #[arg(long, value_name = "N", requires = "against", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub last: Option<usize>,
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

/// Where a command that reads what a router stored finds it.
#[derive(Args, Debug, Clone)]
pub struct Stored {
    /// The configuration that the router runs with.
    #[arg(long, short, value_name = "FILE", env = "WEIR_CONFIG")]
    pub config: Option<PathBuf>,
    /// The router's data folder, over what the configuration says.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The running router that a command asks.
#[derive(Args, Debug, Clone)]
pub struct Running {
    /// Where the running router listens, such as 127.0.0.1:8080; by default as the configuration says.
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
    /// Shows segments, sequences, readers and how far each is; checks every frame.
    Inspect {
        #[command(flatten)]
        stored: Stored,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delivers records to a sink once more, also while the router runs.
    #[command(after_help = "Examples:\n  \
        weir journal replay --sink postgres --from 2026-11-24T10:00:00Z --to 2026-11-24T11:00:00Z\n  \
        weir journal replay --sink archive --from 2h --where 'level>=ERROR' --where source=shop\n  \
        weir journal replay --sink http --from 48230 --dry-run\n\n\
        Times are those at which records came into the journal; the sink's routes and least level\n\
        hold here too. What the sink has already it gets again. The journal holds what some sink has\n\
        not had yet, and what `journal.keep` keeps besides. A sink of type `file` can only be given\n\
        records while the router does not run.")]
    Replay(ReplayArgs),
    /// Gets past damage in the middle of a journal: sets damaged segments aside (nothing is
    /// deleted) and keeps every whole frame. The router must not be running.
    Salvage {
        #[command(flatten)]
        stored: Stored,
    },
}

#[derive(Subcommand, Debug)]
pub enum QuarantineCommand {
    /// Shows what was set aside: how much, when, by whom and why.
    #[command(after_help = "Examples:\n  \
        weir quarantine list                          what there is, by origin and reason\n  \
        weir quarantine list --since 2h --by filter:redact\n  \
        weir quarantine list --entries --limit 20     the newest entries, a line each\n  \
        weir quarantine list --json | jq '.groups[].reason'\n\n\
        Numbers in reasons are shown as `#`, so that the same failure at another place is the same\n\
        reason.")]
    List(QuarantineListArgs),
    /// Sends what was set aside through the running router once more.
    #[command(after_help = "Example:\n  weir quarantine replay --address 127.0.0.1:8080\n\n\
        Records that fail again are set aside again. What could not be read as a record is left.")]
    Replay {
        #[command(flatten)]
        stored: Stored,
        #[command(flatten)]
        running: Running,
    },
    /// Deletes what was set aside, for good; the router may be running.
    #[command(after_help = "Examples:\n  \
        weir quarantine delete --by ingest --dry-run  how much that would be\n  \
        weir quarantine delete --reason 'not an object' --until 2026-11-01\n  \
        weir quarantine delete --all\n\n\
        Everything that is chosen must hold. The content is overwritten, also of entries that were\n\
        replayed already.")]
    Delete(QuarantineDeleteArgs),
}

/// Which entries of the quarantine a command is about: those for which everything given holds.
#[derive(Args, Debug, Default, Clone)]
pub struct Choice {
    /// Only what this set aside: ingest, filter:NAME or sink:NAME.
    #[arg(long, value_name = "ORIGIN")]
    pub by: Option<String>,
    /// Only those whose reason has this text in it, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only records of this source.
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    /// Only what was set aside from then on: a time (2026-11-24T10:00:00Z, 2026-11-24) or how long ago (2h).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only what was set aside before then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

#[derive(Args, Debug)]
pub struct QuarantineListArgs {
    #[command(flatten)]
    pub stored: Stored,
    #[command(flatten)]
    pub choice: Choice,
    /// Show each entry, the oldest first, instead of groups.
    #[arg(long)]
    pub entries: bool,
    /// Show the records too: they are as their senders sent them, secrets included.
    #[arg(long)]
    pub records: bool,
    /// Show so many groups, the largest, or so many entries, the newest; 0 is all. By default 50
    /// groups, or all entries.
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
    /// Only say how many entries it would be.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Prints a configuration to begin with, with comments: what runs without one, and what people change first.
    #[command(after_help = "Example:\n  weir config init > weir.toml")]
    Init,
    /// Prints the JSON Schema of the configuration file.
    Schema,
}

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
