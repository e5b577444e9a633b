//! `weir filter test`: cases, samples, fuzzing, benchmarks, and comparing versions.
//!
//! Everything uses [`weir_engine::TestInstance`]: instances outside of any router, with a clock that can be set and
//! counters that can be read.
//!
//! | file | purpose |
//! |---|---|
//! | `arguments` | the options of the command |
//! | `target` | finds module, cases and samples |
//! | `cases` | reads a file of cases |
//! | `judge`, `compare` | runs a case; compares its output with what was expected |
//! | `report`, `tap`, `junit` | results of cases, for people and for CI |
//! | `run` | runs records through a filter and determines the outcome of each |
//! | `samples`, `diff` | reads samples, and shows what a filter does to each |
//! | `fuzz`, `probe`, `speed` | fuzzes a filter and examines faults |
//! | `generate`, `text`, `tree`, `random` | generates records |
//! | `shrink`, `found` | minimises the records that show a fault, and writes them to files |
//! | `bench` | measures times, by size of record and batch |
//! | `against` | where two versions differ |

mod against;
mod arguments;
mod bench;
mod cases;
mod compare;
mod diff;
mod found;
mod fuzz;
mod generate;
mod judge;
mod junit;
mod probe;
mod random;
mod report;
mod run;
mod samples;
mod shrink;
mod speed;
mod tap;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use serde_json::{Map, Value as Json};
use weir_engine::{Clock, Compiled, Engine, FilterSpec, LoadError, TestInstance};
use weir_journal::Keys;
use weir_record::Batch;

use crate::Source;
use crate::build::newer_source;
use crate::limits::FUZZ_TIMEOUT;
use crate::loader::Loader;
pub use arguments::TestArgs;
use cases::Cases;
use judge::{START_NS, with_options};
use target::Target;

/// Returns the journal whose records two versions are compared on: its folder, and its keys.
pub type JournalFolder<'a> = &'a dyn Fn() -> anyhow::Result<(PathBuf, Keys)>;

/// Does what the arguments request.
pub fn run(args: &TestArgs, colours: bool, journal_folder: JournalFolder<'_>) -> anyhow::Result<ExitCode> {
    let target = Target::find(args)?;
    warn_if_stale(&target.source);
    let cases = target.cases.as_deref().map(cases::read).transpose()?;
    let module = target.source.read().map_err(anyhow::Error::msg)?;
    let loader = Loader::start()?;
    let engine = loader.engine.clone();
    let spec = FilterSpec::new(&name_of(&target.source));
    let compiled = engine.compile(&spec.name, &module)?;
    let options: Map<String, Json> = serde_json::from_str(&args.options)
        .context("--options must be a JSON object, such as '{\"default\":\"INFO\"}'")?;
    let test = Test { args, colours, journal_folder, target, cases, engine, compiled, spec, options };
    let passed = match (&args.fuzz, args.bench, &args.against) {
        (Some(seconds), ..) => test.fuzz(*seconds, &module)?,
        (None, true, _) => test.bench()?,
        (None, false, Some(old)) => test.against(old)?,
        (None, false, None) => test.cases_or_samples()?,
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Warns if the module is older than its sources.
fn warn_if_stale(source: &Source) {
    if let Source::File(module) = source
        && let Some(newer) = newer_source(module)
    {
        let (module, newer) = (module.display(), newer.display());
        eprintln!("{module} is older than {newer}; run `weir filter build` to rebuild it");
    }
}

fn name_of(source: &Source) -> String {
    match source {
        Source::Bundled(name) => name.clone(),
        Source::File(path) => path.file_stem().map_or("filter".into(), |stem| stem.to_string_lossy().into_owned()),
    }
}

/// What to test, and how.
struct Test<'a> {
    args: &'a TestArgs,
    colours: bool,
    journal_folder: JournalFolder<'a>,
    target: Target,
    cases: Option<Cases>,
    engine: Arc<Engine>,
    compiled: Arc<Compiled>,
    spec: FilterSpec,
    options: Map<String, Json>,
}

impl Test<'_> {
    /// The specification with the options of all cases, overridden by those of the command line.
    fn spec(&self) -> FilterSpec {
        with_options(&self.spec, self.cases.as_ref().map(|cases| &cases.options).into_iter().chain([&self.options]))
    }

    /// Runs cases if there are any and no samples are requested, samples otherwise.
    fn cases_or_samples(&self) -> anyhow::Result<bool> {
        let only_samples = self.args.samples.is_some() && self.args.cases.is_none();
        match &self.cases {
            Some(cases) if !only_samples => self.judge(cases),
            _ if self.args.tap || self.args.junit.is_some() => {
                bail!("there are no cases to report; write a cases.toml beside the module, or name one with --cases")
            }
            _ => self.show_samples(),
        }
    }

    fn judge(&self, cases: &Cases) -> anyhow::Result<bool> {
        let judged = judge::all(&self.compiled, &self.spec, cases, &self.options);
        if let Some(path) = &self.args.junit {
            let xml = junit::render(&self.spec.name, &cases.file, &judged);
            std::fs::write(path, xml).with_context(|| format!("can't write {}", path.display()))?;
        }
        if self.args.tap {
            weir_terminal::text(&tap::render(&cases.file, &judged))?;
        } else {
            let shown: String = judged.iter().map(|one| report::case(&cases.file, one, self.colours)).collect();
            weir_terminal::text(&format!(
                "{} with {}\n{shown}{}",
                self.spec.name,
                cases.file,
                report::summary(&judged)
            ))?;
        }
        Ok(judged.iter().all(judge::CaseResult::passed))
    }

    fn show_samples(&self) -> anyhow::Result<bool> {
        let samples = samples::read(self.target.samples.as_deref())?;
        let mut trial = self.start(&self.compiled, &self.spec())?;
        let about = trial.description();
        weir_terminal::text(&format!("{} {}: {}\n", about.name, about.version, about.description))?;
        samples::show(&mut trial, &samples, self.colours)
    }

    fn start(&self, compiled: &Arc<Compiled>, spec: &FilterSpec) -> anyhow::Result<TestInstance> {
        TestInstance::start(compiled, spec, Clock::Set(START_NS)).map_err(with_hint)
    }

    fn fuzz(&self, seconds: u64, module: &[u8]) -> anyhow::Result<bool> {
        // Any seed will do. The time differs from run to run.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64);
        let seed = self.args.seed.unwrap_or(now % 1_000_000_000);
        weir_terminal::text(&format!("fuzzing {} for {seconds} s, with --seed {seed}\n", self.spec.name))?;
        let plan = fuzz::Plan {
            compiled: self.compiled.clone(),
            spec: FilterSpec { timeout: FUZZ_TIMEOUT, ..self.spec() },
            module,
            samples: &self.all_samples()?,
            time: Duration::from_secs(seconds),
            seed,
        };
        let fuzzed = fuzz::run(&plan).map_err(with_hint)?;
        let options = match self.args.options.as_str() {
            "{}" => String::new(),
            options => format!(" --options '{options}'"),
        };
        weir_terminal::text(&found::report(&fuzzed, &self.args.found, &self.args.target, &options)?)?;
        Ok(fuzzed.findings.iter().all(|finding| !finding.seen.fault.is_failure()))
    }

    /// The samples, and the records of all cases.
    fn all_samples(&self) -> anyhow::Result<Batch> {
        let of_cases = self.cases.iter().flat_map(|cases| &cases.cases).map(|case| &case.records);
        let mut all = Batch::new();
        of_cases.for_each(|records| all.extend(records));
        if all.is_empty() || self.target.samples.is_some() {
            all.extend(&samples::read(self.target.samples.as_deref())?);
        }
        Ok(all)
    }

    fn bench(&self) -> anyhow::Result<bool> {
        let samples = self.target.samples.as_deref().map(|path| samples::read(Some(path))).transpose()?;
        let text = bench::report(&self.engine, &self.compiled, &self.spec(), samples.as_ref()).map_err(with_hint)?;
        weir_terminal::text(&text)?;
        Ok(true)
    }

    fn against(&self, old: &str) -> anyhow::Result<bool> {
        let records = match self.args.last {
            Some(count) => {
                let (folder, keys) = (self.journal_folder)()?;
                against::last_records(&folder, &keys, count)?
            }
            None => self.all_samples()?,
        };
        let module = Source::parse(old).read().map_err(anyhow::Error::msg)?;
        let compiled = self.engine.compile("old", &module)?;
        let old_spec = FilterSpec { name: "old".into(), ..self.spec() };
        let (mut old, mut new) = (self.start(&compiled, &old_spec)?, self.start(&self.compiled, &self.spec())?);
        let [was, is] = [&old, &new].map(|trial| {
            let about = trial.description();
            format!("{} {}", about.name, about.version)
        });
        weir_terminal::text(&format!("{was} against {is}, over {} records\n", records.len()))?;
        let compared = against::compare(&mut old, &mut new, &records, self.colours);
        weir_terminal::text(&compared.text)?;
        Ok(compared.newly_failed == 0)
    }
}

/// Adds a hint if the filter refused its options.
fn with_hint(error: LoadError) -> anyhow::Error {
    let is_options = matches!(error.kind, weir_engine::LoadErrorKind::Options(_));
    match is_options {
        true => anyhow::anyhow!("{error}; set them with --options, or as `options` at the top of the file of cases"),
        false => error.into(),
    }
}
