//! The running sources. Each is started, stopped and replaced individually.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use weir_ingest::Refusal;
use weir_record::Aliases;
use weir_sinks::Secrets;
use weir_sources::{BuildContext, Delivery, Destination, Origin, Position, Refused, Source, Store};

use crate::config::SourceSettings;
use crate::limits;
use crate::pipeline::PipelineSender;
use crate::positions::Positions;
use crate::stages::Pauses;
use crate::wiring::lock;

/// The running sources.
pub struct SourceSet {
    store: Arc<PipelineStore>,
    aliases: Arc<Aliases>,
    context: BuildContext,
    running: Vec<Running>,
}

struct Running {
    settings: SourceSettings,
    state: Arc<Mutex<State>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What a source does at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It has nothing more.
    Ended,
    /// It failed for this reason, and runs again soon.
    Failed(String),
}

impl SourceSet {
    /// No sources yet.
    pub fn new(
        sender: PipelineSender,
        positions: Arc<Positions>,
        aliases: Arc<Aliases>,
        context: BuildContext,
    ) -> Self {
        let store = Arc::new(PipelineStore { sender, positions });
        Self { store, aliases, context, running: Vec::new() }
    }

    /// Starts, stops and replaces sources to match `wanted`; unchanged ones keep running. All new sources are built before
    /// any is stopped, so that an error changes nothing.
    pub async fn apply(&mut self, wanted: &[SourceSettings]) -> anyhow::Result<()> {
        let mut built = Vec::new();
        for settings in wanted {
            if self.running.iter().any(|running| running.settings == *settings) {
                continue;
            }
            let kind = weir_sources::kind(&settings.kind)
                .with_context(|| format!("source `{}`: unknown type `{}`", settings.name, settings.kind))?;
            let source = (kind.build)(&settings.name, settings.options.clone(), &self.context);
            built.push((settings.clone(), source.map_err(anyhow::Error::msg)?));
        }
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|running| wanted.contains(&running.settings));
        self.running = stay;
        for old in go {
            let name = old.settings.name.clone();
            let is_replaced = wanted.iter().any(|new| new.name == name);
            old.stop().await;
            tracing::info!("source `{name}` {}", if is_replaced { "restarts" } else { "removed" });
            if !is_replaced {
                self.forget(&name).await;
            }
        }
        for (settings, source) in built {
            self.start(settings, source);
        }
        Ok(())
    }

    /// Forgets the positions of sources that are not configured: they would stay in the journal for ever.
    pub async fn forget_removed(&self) {
        for name in self.store.positions.sources() {
            if self.running.iter().all(|running| running.settings.name != name) {
                tracing::warn!("source `{name}` is no longer configured; its positions are deleted");
                self.forget(&name).await;
            }
        }
    }

    async fn forget(&self, name: &str) {
        let mut positions = self.store.positions(name).await;
        positions.iter_mut().for_each(|position| position.value = None);
        if positions.is_empty() {
            return;
        }
        let delivery = Delivery { positions, ..Delivery::default() };
        if let Err(error) = self.store.store(name, delivery).await {
            tracing::warn!("the positions of source `{name}` stay until the next start: {error:?}");
        }
    }

    fn start(&mut self, settings: SourceSettings, source: Box<dyn Source>) {
        let (stop, stopping) = watch::channel(false);
        let origin = Origin {
            source: settings.source.clone().unwrap_or_else(|| settings.name.clone()),
            level: settings.level,
            routes: settings.routes.clone(),
            aliases: self.aliases.clone(),
        };
        let to = Destination::new(&settings.name, origin, self.store.clone(), stopping);
        let state = Arc::new(Mutex::new(State::Running));
        // The errors of a source may repeat what a server says, which may repeat what it was sent.
        let schema = weir_sources::kind(&settings.kind).map(|kind| (kind.schema)()).unwrap_or_default();
        let secrets = Secrets::of(&schema, &settings.options);
        let task = tokio::spawn(keep_running(source.into(), to, state.clone(), secrets));
        self.running.push(Running { settings, state, stop, task });
    }

    /// Why sources don't run that should, one line each.
    pub fn failed(&self) -> Vec<String> {
        let failed = |running: &Running| match &*lock(&running.state) {
            State::Failed(reason) => Some(format!("source `{}`: {reason}", running.settings.name)),
            _ => None,
        };
        self.running.iter().filter_map(failed).collect()
    }

    /// Whether this source has nothing more.
    pub fn has_ended(&self, name: &str) -> bool {
        let found = self.running.iter().find(|running| running.settings.name == name);
        found.is_some_and(|running| *lock(&running.state) == State::Ended)
    }

    /// The name, type and state of each.
    pub fn statuses(&self) -> Vec<Value> {
        let status = |running: &Running| {
            let (state, error) = match &*lock(&running.state) {
                State::Running => ("running", None),
                State::Ended => ("ended", None),
                State::Failed(reason) => ("failed", Some(reason.clone())),
            };
            json!({"name": running.settings.name, "type": running.settings.kind, "state": state, "error": error})
        };
        self.running.iter().map(status).collect()
    }

    /// Stops all. Each first stores what it has read, if there is room.
    pub async fn stop(&mut self) {
        for running in &self.running {
            running.stop.send_replace(true);
        }
        for running in std::mem::take(&mut self.running) {
            running.stop().await;
        }
    }
}

impl Running {
    async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(limits::SOURCE_END, &mut self.task).await.is_err() {
            let within = limits::SOURCE_END.as_secs();
            tracing::warn!("source `{}` did not stop within {within} s and was abandoned", self.settings.name);
            self.task.abort();
        }
    }
}

/// Runs a source, again after each failure, until it is stopped or has nothing more.
async fn keep_running(source: Arc<dyn Source>, to: Destination, state: Arc<Mutex<State>>, secrets: Secrets) {
    let mut pauses = Pauses::new(Instant::now());
    loop {
        let (run, destination) = (source.clone(), to.clone());
        // In a task of its own, so that a panic ends only that. It ends with this one.
        let mut task = AbortOnDrop(tokio::spawn(async move { run.run(destination).await }));
        let reason = match (&mut task.0).await {
            Ok(Ok(())) => {
                *lock(&state) = State::Ended;
                return;
            }
            Ok(Err(reason)) => reason,
            Err(error) => format!("it panicked: {error}"),
        };
        let reason = secrets.scrub(&reason);
        let pause = pauses.next(Instant::now());
        tracing::error!("source `{}` failed and starts again in {pause:?}: {reason}", to.name());
        *lock(&state) = State::Failed(reason);
        if to.pause(pause).await.is_err() {
            return;
        }
        *lock(&state) = State::Running;
    }
}

struct AbortOnDrop(JoinHandle<Result<(), String>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Stores what sources deliver.
struct PipelineStore {
    sender: PipelineSender,
    positions: Arc<Positions>,
}

#[async_trait]
impl Store for PipelineStore {
    async fn store(&self, source: &str, delivery: Delivery) -> Result<(), Refused> {
        let (reply, answer) = oneshot::channel();
        let Delivery { batch, bad, positions, .. } = delivery;
        let advance = self.positions.advance(source, positions);
        let delivery = weir_ingest::Delivery { batch, bad, key: None, reply };
        let stored = match self.sender.submit_from_source(delivery, advance) {
            Ok(()) => answer.await,
            Err(refusal) => Ok(Err(refusal)),
        };
        match stored {
            Ok(Ok(receipt)) => {
                if let Some(first) = receipt.rejected.first() {
                    let (count, error) = (receipt.rejected.len(), &first.error);
                    tracing::warn!("source `{source}`: {count} records were rejected by a filter, the first: {error}");
                }
                Ok(())
            }
            Ok(Err(Refusal::Busy(why) | Refusal::Full(why))) => Err(Refused::Later(why)),
            Ok(Err(Refusal::Conflict(why) | Refusal::Failed(why))) => Err(Refused::Failed(why)),
            Err(_) => Err(Refused::Later("the pipeline is stopping".to_owned())),
        }
    }

    async fn positions(&self, source: &str) -> Vec<Position> {
        // Records of an earlier run may still be on their way.
        while self.positions.is_advancing(source) {
            sleep(limits::SOURCE_LOOK).await;
        }
        self.positions.of(source)
    }
}
