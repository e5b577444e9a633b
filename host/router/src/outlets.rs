//! Which sinks run: started, stopped and exchanged one by one, each with its own reader of the
//! journal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use weir_journal::Journal;
use weir_sinks::{BuildContext, Doors, RunningSink, Status, Stopped};

use crate::config::SinkSettings;
use crate::parts;
use crate::quarantine::Quarantine;

/// The sinks that run.
pub struct Outlets {
    journal: Journal,
    quarantine: Arc<Quarantine>,
    context: BuildContext,
    doors: Doors,
    running: Vec<(SinkSettings, RunningSink)>,
}

impl Outlets {
    pub fn new(journal: Journal, quarantine: Arc<Quarantine>, context: BuildContext) -> Self {
        Self { journal, quarantine, context, doors: Doors::default(), running: Vec::new() }
    }

    /// Makes what runs be what is wanted: sinks that did not change go on undisturbed. Every sink is
    /// built before any is stopped, so that a mistake changes nothing.
    pub async fn apply(&mut self, wanted: &[SinkSettings]) -> anyhow::Result<()> {
        // The configuration was judged without looking at the disk.
        if let Some((_, message)) = parts::collisions(wanted, &self.context, true).into_iter().next() {
            anyhow::bail!(message);
        }
        let mut built = Vec::new();
        for settings in wanted {
            if self.running.iter().any(|(old, _)| old == settings) {
                continue;
            }
            let kind = weir_sinks::kind(&settings.kind)
                .with_context(|| format!("sink `{}`: there is no type `{}`", settings.name, settings.kind))?;
            let sink =
                (kind.build)(&settings.name, settings.options.clone(), &self.context).map_err(anyhow::Error::msg)?;
            built.push((settings.clone(), sink));
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
                    tracing::warn!("sink `{}` leaves {} records undelivered", old.name, left.pending_records);
                }
            }
        }
        self.context.owners.configure(parts::sinks_with_files(wanted));
        for (settings, sink) in built {
            let options = parts::sink(&settings);
            let running = weir_sinks::spawn(options, sink, self.journal.clone(), self.quarantine.clone(), &self.doors)
                .map_err(anyhow::Error::msg)?;
            self.running.push((settings, running));
        }
        Ok(())
    }

    /// Forgets readers of sinks that the configuration no longer has: they would hold segments for
    /// ever.
    pub fn forget_strangers(&self, wanted: &[SinkSettings]) {
        for reader in self.journal.readers() {
            let sink_of = weir_sinks::falls_back_for(&reader.name).unwrap_or(&reader.name);
            if wanted.iter().all(|sink| sink.name != sink_of) {
                tracing::warn!(
                    "sink `{}` is not configured any more: its place in the journal is forgotten",
                    reader.name
                );
                self.journal.forget(&reader.name);
            }
        }
    }

    /// How each sink is, with its kind.
    pub fn statuses(&self) -> Vec<(&str, Status)> {
        self.running.iter().map(|(settings, sink)| (settings.kind.as_str(), sink.status())).collect()
    }

    /// Stops every sink once it has taken what the journal holds, or when `within` has passed. Says
    /// what each still has to do.
    pub async fn stop(&mut self, within: Duration) -> Vec<Stopped> {
        let stopping = std::mem::take(&mut self.running).into_iter().map(|(_, sink)| sink.stop_within(within));
        futures::future::join_all(stopping).await
    }
}
