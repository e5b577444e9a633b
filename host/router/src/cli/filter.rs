//! `weir filter`: its commands and options.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use weir_filter_kit::LANGUAGES;
use weir_filter_kit::test::TestArgs;

use super::{DataArgs, RouterArgs, SetupArgs};

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
    /// Creates a key that signs modules, and prints its public part on the last line.
    #[command(after_help = "Example:\n  \
        weir filter new-key release.key       keep that file where the router can't read it\n\n\
        Add the printed key to `trusted_keys` in the configuration of the routers.")]
    NewKey {
        /// The file for the private key; it must not exist.
        file: PathBuf,
    },
    /// Signs a module, so that routers with the key in `trusted_keys` load it.
    #[command(after_help = "Examples:\n  \
        weir filter sign mask.wasm --key release.key\n  \
        weir filter sign mask.wasm --key release.key --output filters/mask.wasm\n\n\
        The signature becomes a part of the module, in place of an earlier one. `weir filter list` shows who\n\
        signed a filter.")]
    Sign {
        /// The module.
        file: PathBuf,
        /// The file with the private key, from `weir filter new-key`.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to write the signed module [default: the same file].
        #[arg(long, value_name = "FILE")]
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
