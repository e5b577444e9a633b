//! The running sinks. Each has its own journal reader and is started, stopped and replaced individually.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use weir_api::Store;
use weir_journal::Journal;
use weir_sinks::{BuildContext, FallbackQueues, Kind, RunningSink, Sink, Status, Stopped};

use crate::config::SinkSettings;
use crate::parts;
use crate::quarantine::Quarantine;
use crate::reading::SearchableSinks;
use crate::stages::Pauses;

/// The running sinks.
pub struct SinkSet {
    journal: Journal,
    quarantine: Arc<Quarantine>,
    context: BuildContext,
    queues: FallbackQueues,
    running: Vec<(SinkSettings, RunningSink)>,
    /// Sinks whose thread ended unexpectedly: the restart pauses, and when the next restart is due.
    restarts: HashMap<String, (Pauses, Option<Instant>)>,
    searchable: SearchableSinks,
}

impl SinkSet {
    pub fn new(
        journal: Journal,
        quarantine: Arc<Quarantine>,
        context: BuildContext,
        searchable: SearchableSinks,
    ) -> Self {
        Self {
            journal,
            quarantine,
            context,
            queues: FallbackQueues::default(),
            running: Vec::new(),
            restarts: HashMap::new(),
            searchable,
        }
    }

    /// The queues through which single sinks get records.
    pub fn queues(&self) -> FallbackQueues {
        self.queues.clone()
    }

    /// Starts, stops and replaces sinks to match `wanted`; unchanged sinks keep running. All new sinks are built before
    /// any is stopped, so that an error changes nothing.
    pub async fn apply(&mut self, wanted: &[SinkSettings]) -> anyhow::Result<()> {
        // The configuration was validated without accessing the disk.
        if let Some((_, message)) = parts::collisions(wanted, &self.context, true).into_iter().next() {
            anyhow::bail!(message);
        }
        let mut built = Vec::new();
        for settings in wanted {
            if self.running.iter().any(|(old, _)| old == settings) {
                continue;
            }
            built.push((settings.clone(), self.build(settings)?));
        }
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|(old, _)| wanted.contains(old));
        self.running = stay;
        for (old, sink) in go {
            let left = sink.stop_within(Duration::ZERO).await;
            let replaced = wanted.iter().any(|new| new.name == old.name);
            tracing::info!("sink `{}` {}", old.name, if replaced { "restarts" } else { "removed" });
            if !replaced {
                self.journal.forget(&old.name);
                self.journal.forget(&weir_sinks::fallback_reader(&old.name));
                if left.pending_records > 0 {
                    tracing::warn!("sink `{}` was removed with {} undelivered records", old.name, left.pending_records);
                }
            }
        }
        self.context.owners.configure(parts::sinks_with_files(wanted));
        for (settings, sink) in built {
            let running = self.spawn(&settings, sink)?;
            self.running.push((settings, running));
        }
        let mut stores: Vec<Store> = wanted.iter().filter_map(|settings| self.store(settings)).collect();
        stores.sort_by_key(|store| weir_sinks::kind(store.kind).map(Kind::search_order));
        self.searchable.replace(stores);
        Ok(())
    }

    /// What a sink has stored, if it can be searched.
    fn store(&self, settings: &SinkSettings) -> Option<Store> {
        let kind = weir_sinks::kind(&settings.kind)?;
        let search = kind.open_search(&settings.name, settings.options.clone(), &self.context)?;
        // The sink was built from the same options, so the error is that these can't be searched.
        search.ok().map(|search| Store { name: settings.name.clone(), kind: kind.name, search })
    }

    /// Whether exactly these sinks run.
    pub fn are(&self, wanted: &[SinkSettings]) -> bool {
        let runs = |settings| self.running.iter().any(|(running, _)| running == settings);
        self.running.len() == wanted.len() && wanted.iter().all(runs)
    }

    /// Sinks whose thread ended unexpectedly, one line each.
    pub fn panicked(&self) -> Vec<String> {
        let panicked = self.running.iter().filter(|(_, sink)| sink.has_panicked());
        panicked.map(|(settings, _)| format!("a thread of sink `{}` ended unexpectedly", settings.name)).collect()
    }

    /// Restarts sinks whose thread ended unexpectedly, each after its pause.
    pub async fn restart_panicked(&mut self) {
        while let Some(index) = self.due() {
            let (settings, old) = &mut self.running[index];
            let settings = settings.clone();
            // The thread of its fallback may still be running and using its journal reader.
            old.end().await;
            match self.build(&settings).and_then(|sink| self.spawn(&settings, sink)) {
                Ok(running) => {
                    tracing::warn!("sink `{}` restarted", settings.name);
                    self.running[index].1 = running;
                }
                // It was built before, so the cause may be temporary.
                Err(error) => tracing::error!("sink `{}` can't be restarted: {error:#}", settings.name),
            }
        }
    }

    /// Replaces a running sink with one that no configuration can create.
    #[cfg(test)]
    pub async fn exchange(&mut self, name: &str, sink: Box<dyn Sink>) {
        let index = self.running.iter().position(|(settings, _)| settings.name == name).unwrap();
        self.running[index].1.end().await;
        let running = self.spawn(&self.running[index].0, sink).unwrap();
        self.running[index].1 = running;
    }

    fn build(&self, settings: &SinkSettings) -> anyhow::Result<Box<dyn Sink>> {
        let kind = weir_sinks::kind(&settings.kind)
            .with_context(|| format!("sink `{}`: unknown type `{}`", settings.name, settings.kind))?;
        kind.create(&settings.name, settings.options.clone(), &self.context).map_err(anyhow::Error::msg)
    }

    fn spawn(&self, settings: &SinkSettings, sink: Box<dyn Sink>) -> anyhow::Result<RunningSink> {
        let (options, journal) = (parts::sink(settings), self.journal.clone());
        weir_sinks::spawn(options, sink, journal, self.quarantine.clone(), &self.queues).map_err(anyhow::Error::msg)
    }

    /// The index of a sink that is due for a restart.
    fn due(&mut self) -> Option<usize> {
        let now = Instant::now();
        self.running.iter().position(|(settings, sink)| {
            if !sink.has_panicked() {
                return false;
            }
            let (pauses, at) = self.restarts.entry(settings.name.clone()).or_insert_with(|| (Pauses::new(now), None));
            match at {
                Some(due) if *due <= now => {
                    *at = None;
                    true
                }
                Some(_) => false,
                None => {
                    let pause = pauses.next(now);
                    *at = Some(now + pause);
                    tracing::error!("a thread of sink `{}` ended unexpectedly; restarting in {pause:?}", settings.name);
                    false
                }
            }
        })
    }

    /// Deletes the readers of sinks that are no longer configured, because they would keep segments forever.
    pub fn forget_removed_sinks(&self, wanted: &[SinkSettings]) {
        for reader in self.journal.readers() {
            let sink_of = weir_sinks::sink_of_fallback_reader(&reader.name).unwrap_or(&reader.name);
            if wanted.iter().all(|sink| sink.name != sink_of) {
                tracing::warn!(
                    "sink `{}` is no longer configured; its position in the journal is deleted",
                    reader.name
                );
                self.journal.forget(&reader.name);
            }
        }
    }

    /// The name and type of each sink.
    pub fn kinds(&self) -> Vec<(String, String)> {
        self.running.iter().map(|(settings, _)| (settings.name.clone(), settings.kind.clone())).collect()
    }

    /// The type and status of each sink.
    pub fn statuses(&self) -> Vec<(&str, Status)> {
        self.running.iter().map(|(settings, sink)| (settings.kind.as_str(), sink.status())).collect()
    }

    /// Stops each sink after it has delivered the records in the journal, or after `within`. Returns what each has left
    /// to deliver.
    pub async fn stop(&mut self, within: Duration) -> Vec<Stopped> {
        let stopping = std::mem::take(&mut self.running).into_iter().map(|(_, sink)| sink.stop_within(within));
        futures::future::join_all(stopping).await
    }
}
