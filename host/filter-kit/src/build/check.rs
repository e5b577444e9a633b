//! Tries a component before it is put in place: describes and configures it, and processes sample records.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use weir_engine::{Chain, FilterSpec, Worker};
use weir_record::{Aliases, Batch, Defaults, Level};

use super::manifest::Manifest;
use crate::loader::Loader;

/// The project's samples, one record per line.
const SAMPLES: &str = "samples.jsonl";

/// The options for the trial.
const OPTIONS: &str = "options.toml";

/// Samples for projects without any.
const DEFAULT_SAMPLES: &str = r#"{"level":"INFO","source":"shop","message":"order paid","context":{"user":{"id":7}}}
{"level":"DEBUG","source":"shop","message":"cache miss","metadata":{"tries":[1,2,3],"ratio":0.5}}"#;

/// The filter's effect on the samples.
#[derive(Default)]
pub struct TrialSummary {
    /// Its name, version and description.
    pub about: String,
    kept: usize,
    changed: usize,
    dropped: usize,
}

impl fmt::Display for TrialSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.kept + self.changed + self.dropped;
        write!(f, "{}; of {samples} samples it kept {}", self.about, self.kept)?;
        write!(f, ", changed {}, dropped {}", self.changed, self.dropped)
    }
}

/// Loads a component like a router would, and passes it the project's samples, one at a time.
pub fn check(manifest: &Manifest, component: &[u8]) -> anyhow::Result<TrialSummary> {
    let mut spec = FilterSpec::new(&manifest.name);
    spec.options = options(&manifest.folder.join(OPTIONS))?;
    let samples = samples(&manifest.folder.join(SAMPLES))?;
    let loader = Loader::start()?;
    let filter = loader.engine.load(&spec, component)?;
    let about = filter.description();
    let mut tried = TrialSummary {
        about: format!("{} {}: {}", about.name, about.version, about.description),
        ..TrialSummary::default()
    };
    let chain = Chain(vec![filter]);
    let mut worker = Worker::new(loader.engine.clone());
    for (index, record) in samples.iter().enumerate() {
        let mut alone = Batch::new();
        alone.push(record.as_bytes());
        let outcome = worker.run(&chain, alone);
        if let Some(failed) = outcome.failed.first() {
            bail!("filter `{}` fails on sample {}: {}", manifest.name, index + 1, failed.reason);
        }
        let after = &outcome.batch;
        let seen = match after.len() {
            0 => &mut tried.dropped,
            1 if after.get(0) == record.as_bytes() => &mut tried.kept,
            _ => &mut tried.changed,
        };
        *seen += 1;
    }
    Ok(tried)
}

fn options(path: &Path) -> anyhow::Result<serde_json::Value> {
    match read(path)? {
        None => Ok(serde_json::Value::Null),
        Some(text) => toml::from_str(&text).with_context(|| format!("`{}`", path.display())),
    }
}

fn samples(path: &Path) -> anyhow::Result<Batch> {
    let text = read(path)?.unwrap_or_else(|| DEFAULT_SAMPLES.to_owned());
    let mut batch = Batch::new();
    let defaults = Defaults {
        received_ns: weir_record::time::now_ns(),
        source: "sample",
        level: Level::Info,
        context: &[],
        aliases: &Aliases::default(),
        keeps_routes: true,
    };
    let bad = weir_record::read_json(text.as_bytes(), &defaults, &mut batch)
        .with_context(|| format!("`{}`", path.display()))?;
    if let Some(bad) = bad.first() {
        bail!("`{}`: sample {}: {}", path.display(), bad.index + 1, bad.error);
    }
    Ok(batch)
}

/// Returns `None` if there is no such file.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read `{}`", path.display())),
    }
}
