//! Starts the router from its last stage to its first, and stops it (`wiring/stop.rs`) from first to last, so that no
//! stage ever sends to one that isn't running.
//!
//! Order: quarantine, journal, sinks, engine and filters, pipeline, ingest.

pub mod engine;
mod stop;
#[cfg(test)]
mod tests;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex as Lock};
use std::time::Instant;

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use weir_ingest::{HttpOptions, IngestError, Requests};
use weir_journal::disk::create_folder;
use weir_journal::{Disk, Journal};
use weir_sinks::{BuildContext, Exposition, Owners};

use crate::chains::Chains;
use crate::config::Settings;
use crate::filters::{self, FilterInfo, FilterSet};
use crate::held;
use crate::identity;
use crate::intake::RouterIntake;
use crate::parts;
use crate::pipeline::{Pipeline, PipelineState};
use crate::place::DataLocation;
use crate::quarantine::Quarantine;
use crate::refused::Refused;
use crate::sample::Sample;
use crate::sink_set::SinkSet;
use crate::stages::{self, Stages};
use crate::versions::Versions;
pub use stop::Stopped;

/// A running router.
pub struct Router {
    pub address: SocketAddr,
    pub filters: Arc<Lock<FilterSet>>,
    pub sink_set: Arc<Mutex<SinkSet>>,
    pub quarantine: Arc<Quarantine>,
    journal: Journal,
    pipeline: Pipeline,
    pub shared: Arc<PipelineState>,
    /// Completes when a stage ends that can't be restarted.
    watching: JoinHandle<anyhow::Error>,
    requests: Requests,
    /// `None` after it has ended on its own.
    serving: Option<JoinHandle<Result<(), IngestError>>>,
    stop_serving: oneshot::Sender<()>,
}

impl Router {
    /// Starts all stages. On an error, none keeps running. `adopt`: accept a data folder that was copied or moved.
    pub async fn start(settings: &Settings, prometheus: PrometheusHandle, adopt: bool) -> anyhow::Result<Self> {
        // Bind the address first: it is the most common reason for a failed start, and nothing has been changed yet.
        let listener = TcpListener::bind(settings.http.listen).await.with_context(|| {
            format!(
                "can't listen on {}; is another weir running? choose another address with --listen",
                settings.http.listen
            )
        })?;
        let address = listener.local_addr()?;
        let data = &settings.data;
        create_folder(data, 0o777)
            .with_context(|| format!("can't create the data folder {}; choose another with --data", data.display()))?;
        let place = DataLocation::check(data, adopt)?;
        let quarantine = Quarantine::open(&parts::quarantine_folder(settings), parts::quarantine(settings))?;
        let quarantine = Arc::new(quarantine);
        let journal = open_journal(settings)?;
        place.commit()?;
        let exposition = Exposition::default();
        let sink_set = open_sink_set(settings, &journal, &quarantine, exposition.clone()).await?;
        let shared = open_shared(settings, &journal, &quarantine)?;
        let filters = open_filters(settings, &shared).await?;
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let pipeline = Pipeline::start(shared.clone(), workers)?;
        let intake = Arc::new(RouterIntake {
            sender: pipeline.sender(),
            shared: shared.clone(),
            sink_set: sink_set.clone(),
            prometheus,
            exposition,
            since: Instant::now(),
        });
        let (stop_serving, stopping) = oneshot::channel();
        let options = HttpOptions { replay_key: Some(identity::replay_key(data)?), ..parts::http(settings)? };
        let requests = Requests::default();
        let serving = tokio::spawn(weir_ingest::serve(listener, options, intake, requests.clone(), async {
            // Dropping the router also stops the server.
            let _ = stopping.await;
        }));
        let watching = tokio::spawn(stages::watch(sink_set.clone(), journal.clone()));
        Ok(Self {
            address,
            filters,
            sink_set,
            quarantine,
            journal,
            pipeline,
            shared,
            watching,
            requests,
            serving: Some(serving),
            stop_serving,
        })
    }

    /// The running filters, in order.
    pub fn filter_infos(&self) -> Vec<FilterInfo> {
        lock(&self.filters).infos()
    }

    /// Completes if the router can't continue.
    pub async fn broken(&mut self) -> anyhow::Error {
        let Some(serving) = &mut self.serving else { return std::future::pending().await };
        let ended = tokio::select! {
            ended = serving => ended,
            broken = &mut self.watching => return broken.unwrap_or_else(|error| error.into()),
        };
        self.serving = None;
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("the server ended unexpectedly"),
            Ok(Err(error)) => error.into(),
            Err(panicked) => anyhow::anyhow!("the server failed: {panicked}"),
        }
    }
}

fn open_journal(settings: &Settings) -> anyhow::Result<Journal> {
    let disk = Disk::new(parts::journal_folder(settings));
    let (journal, recovery) = Journal::open(Arc::new(disk), parts::journal(settings))?;
    if let Some(found) = recovery.summary() {
        tracing::warn!("journal: {found}");
    }
    Ok(journal)
}

async fn open_sink_set(
    settings: &Settings,
    journal: &Journal,
    quarantine: &Arc<Quarantine>,
    exposition: Exposition,
) -> anyhow::Result<Arc<Mutex<SinkSet>>> {
    let context = BuildContext {
        data: settings.data.clone(),
        journal_id: identity::of_journal(&parts::journal_folder(settings))?,
        started_ns: weir_record::time::now_ns(),
        base: settings.folder.clone(),
        stdout_is_terminal: std::io::stdout().is_terminal(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        stdout: None,
        exposition,
        owners: Owners::default(),
    };
    let mut sink_set = SinkSet::new(journal.clone(), quarantine.clone(), context);
    sink_set.apply(&settings.sinks).await?;
    sink_set.forget_removed_sinks(&settings.sinks);
    Ok(Arc::new(Mutex::new(sink_set)))
}

fn open_shared(
    settings: &Settings,
    journal: &Journal,
    quarantine: &Arc<Quarantine>,
) -> anyhow::Result<Arc<PipelineState>> {
    let refused = Refused::default();
    refused.configuration(None);
    let engine = engine::in_data_folder(&settings.data)?;
    engine.reserve_ids_up_to(journal.highest_token());
    Ok(Arc::new(PipelineState {
        engine,
        chain: Chains::default(),
        trials: ArcSwap::default(),
        journal: journal.clone(),
        quarantine: quarantine.clone(),
        sample: Sample::default(),
        stages: Stages::default(),
        refused,
        retiring: Lock::default(),
        order: Lock::default(),
        restore_requested: AtomicBool::new(false),
    }))
}

/// Loads the filters. If a configured filter can't be loaded, the router doesn't start, because records would pass
/// unfiltered.
async fn open_filters(settings: &Settings, shared: &Arc<PipelineState>) -> anyhow::Result<Arc<Lock<FilterSet>>> {
    let mut set = FilterSet::new(shared.clone(), Versions::of(&settings.data));
    let (wanted, shared) = (filters::wanted(settings), shared.clone());
    // Compiling takes long and must not block the runtime.
    let set = tokio::task::spawn_blocking(move || -> anyhow::Result<Arc<Lock<FilterSet>>> {
        let prepared = set.prepare(wanted);
        let named: Vec<_> = prepared.failures.iter().filter(|p| p.named).map(|p| p.reason.as_str()).collect();
        if !named.is_empty() {
            bail!("{}", named.join("\nweir: "));
        }
        let is_published = set.publish(prepared);
        debug_assert!(is_published, "it was prepared just now");
        held::restore_at_start(&shared);
        let set = Arc::new(Lock::new(set));
        FilterSet::set_self_reference(&set);
        Ok(set)
    })
    .await??;
    Ok(set)
}

/// Ignores poisoning: a panic while holding such a lock leaves no partial changes.
pub fn lock<T>(guarded: &Lock<T>) -> std::sync::MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
