//! Starts the router from its last stage to its first, and stops it (`wiring/stop.rs`) from first to last, so that no
//! stage ever sends to one that isn't running.
//!
//! Order: quarantine, journal, sinks, engine and filters, pipeline, live stream, ingest, sources.

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
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use weir_api::Api;
use weir_ingest::{HttpOptions, IngestError, Intake, Requests};
use weir_journal::disk::create_folder;
use weir_journal::{Disk, Journal, Keys};
use weir_live::Live;
use weir_sinks::{BuildContext, Exposition, Owners};

use crate::certificates::{self, Certificates, PreparedFiles};
use crate::chains::Chains;
use crate::config::{Settings, SourceSettings};
use crate::control::Control;
use crate::encryption;
use crate::filters::{self, FilterInfo, FilterSet};
use crate::held;
use crate::identity;
use crate::intake::RouterIntake;
use crate::levels::Levels;
use crate::listeners::Listeners;
use crate::live;
use crate::parts;
use crate::pipeline::{Pipeline, PipelineState};
use crate::place::DataLocation;
use crate::positions::Positions;
use crate::quarantine::{Quarantine, QuarantineFolder};
use crate::reading::{self, ReadSide, SearchableSinks};
use crate::refused::Refused;
use crate::repeats::Repeats;
use crate::rights;
use crate::sample::Sample;
use crate::sink_set::SinkSet;
use crate::source_set::SourceSet;
use crate::stages::{self, Stages};
use crate::tokens::{self, Tokens};
use crate::versions::Versions;
pub use stop::Stopped;

/// A running router.
pub struct Router {
    pub address: SocketAddr,
    /// Where clients of the live stream alone connect.
    pub stream_address: Option<SocketAddr>,
    pub filters: Arc<Lock<FilterSet>>,
    pub sink_set: Arc<Mutex<SinkSet>>,
    pub listeners: Arc<Mutex<Listeners>>,
    pub source_set: Arc<Mutex<SourceSet>>,
    pub quarantine: Arc<Quarantine>,
    journal: Journal,
    pipeline: Pipeline,
    pub shared: Arc<PipelineState>,
    /// Completes when a stage ends that can't be restarted.
    watching: JoinHandle<anyhow::Error>,
    pub tokens: Arc<Lock<Tokens>>,
    watching_tokens: JoinHandle<()>,
    /// `None` without TLS.
    pub certificates: Option<Arc<Lock<Certificates>>>,
    watching_certificates: Option<JoinHandle<()>>,
    api: Arc<Api>,
    reading: reading::Runtimes,
    requests: Requests,
    servers: Servers,
}

/// The HTTP servers.
struct Servers {
    /// `None` after it has ended on its own.
    serving: Option<JoinHandle<Result<(), IngestError>>>,
    /// The one for clients of the live stream alone.
    streaming: Option<JoinHandle<Result<(), IngestError>>>,
    /// Dropping it stops both.
    stop: watch::Sender<()>,
}

impl Router {
    /// Starts all stages. On an error, none keeps running. `adopt`: accept a data folder that was copied or moved.
    pub async fn start(settings: &Settings, prometheus: PrometheusHandle, adopt: bool) -> anyhow::Result<Self> {
        // Bind the addresses first: they are the most common reason for a failed start, and nothing has been changed yet.
        let listener = listen(settings.http.listen, "choose another address with --listen").await?;
        let stream_listener = match settings.live.listen {
            Some(address) => Some(listen(address, "choose another address with `listen` under [live]").await?),
            None => None,
        };
        let address = listener.local_addr()?;
        let stream_address = stream_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let files = settings.tls.as_ref().map(PreparedFiles::read).transpose()?;
        let data = &settings.data;
        let keys = encryption::keys(settings)?;
        create_folder(data, 0o777)
            .with_context(|| format!("can't create the data folder {}; choose another with --data", data.display()))?;
        rights::tighten(data)?;
        let place = DataLocation::check(data, adopt)?;
        let key = identity::replay_key(data)?;
        let tokens = open_tokens(settings, &key, [Some(address), stream_address].into_iter().flatten())?;
        let folder = QuarantineFolder { path: parts::quarantine_folder(settings), keys: keys.clone() };
        let quarantine = Arc::new(Quarantine::open(folder, parts::quarantine(settings))?);
        let journal = open_journal(settings, keys)?;
        place.commit()?;
        let exposition = Exposition::default();
        let searchable = SearchableSinks::default();
        let sink_set = open_sink_set(settings, &journal, &quarantine, exposition.clone(), searchable.clone()).await?;
        let shared = open_shared(settings, &journal, &quarantine)?;
        let filters = open_filters(settings, &shared).await?;
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let pipeline = Pipeline::start(shared.clone(), workers)?;
        let since = Instant::now();
        let live = Live::new(settings.live.buffer, identity::session()?);
        let context = weir_sources::BuildContext { base: settings.folder.clone() };
        let (sender, positions) = (pipeline.sender(), shared.positions.clone());
        let source_set = SourceSet::new(sender, positions, parts::aliases(settings)?, context);
        let source_set = Arc::new(Mutex::new(source_set));
        let control = Control {
            filters: filters.clone(),
            sink_set: sink_set.clone(),
            source_set: source_set.clone(),
            shared: shared.clone(),
            sender: pipeline.sender(),
            queues: sink_set.lock().await.queues(),
            versions: Versions::of(data),
            live: live.clone(),
            journal_folder: parts::journal_folder(settings),
            erasing: Default::default(),
            alone: Arc::default(),
            prometheus: prometheus.clone(),
            since,
            runtime: Handle::current(),
        };
        let intake: Arc<dyn Intake> = Arc::new(RouterIntake {
            sender: pipeline.sender(),
            shared: shared.clone(),
            sink_set: sink_set.clone(),
            source_set: source_set.clone(),
            prometheus,
            exposition,
            since,
        });
        let reading = reading::Runtimes::start()?;
        // Connections wait since the address is bound. Clients that continue must find their records.
        live::start(journal.clone(), live.clone()).await;
        let api = Api::new(
            live,
            Box::new(searchable),
            Box::new(control.clone()),
            Box::new(control),
            tokens.access(),
            reading.streams.clone(),
        );
        let tls = files.as_ref().map(PreparedFiles::tls);
        let options = HttpOptions {
            tls: tls.clone(),
            replay_key: Some(key),
            access: tokens.access(),
            pages: Some(Arc::new(ReadSide {
                api: api.clone(),
                answers: reading.answers.clone(),
                streams: reading.streams.clone(),
            })),
            ..parts::http(settings)?
        };
        let certificates = Certificates::open(files, tls, data, &shared)?.map(|found| Arc::new(Lock::new(found)));
        let requests = Requests::default();
        let is_open = settings.http.insecure_open;
        let mut listeners = Listeners::new(options.clone(), intake.clone(), requests.clone(), is_open);
        let bound = listeners.bind(&settings.listeners, !tokens.access().has_no_tokens()).await?;
        listeners.replace(&settings.listeners, bound).await?;
        let listeners = Arc::new(Mutex::new(listeners));
        let servers = Servers::start(listener, stream_listener, &options, &intake, &requests);
        start_sources(&source_set, &settings.sources).await?;
        let tokens = Arc::new(Lock::new(tokens));
        let watching_tokens = tokens::watch(tokens.clone());
        let watching_certificates = certificates.clone().map(certificates::watch);
        let watching = tokio::spawn(stages::watch(sink_set.clone(), listeners.clone(), journal.clone()));
        Ok(Self {
            address,
            stream_address,
            filters,
            sink_set,
            listeners,
            source_set,
            quarantine,
            journal,
            pipeline,
            shared,
            watching,
            tokens,
            watching_tokens,
            certificates,
            watching_certificates,
            api,
            reading,
            requests,
            servers,
        })
    }

    /// The running filters, in order.
    pub fn filter_infos(&self) -> Vec<FilterInfo> {
        lock(&self.filters).infos()
    }

    /// Completes if the router can't continue.
    pub async fn broken(&mut self) -> anyhow::Error {
        let Some(serving) = &mut self.servers.serving else { return std::future::pending().await };
        let ended = tokio::select! {
            ended = serving => ended,
            broken = &mut self.watching => return broken.unwrap_or_else(|error| error.into()),
        };
        self.servers.serving = None;
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("the server ended unexpectedly"),
            Ok(Err(error)) => error.into(),
            Err(panicked) => anyhow::anyhow!("the server failed: {panicked}"),
        }
    }
}

impl Servers {
    fn start(
        listener: TcpListener,
        stream_listener: Option<TcpListener>,
        options: &HttpOptions,
        intake: &Arc<dyn Intake>,
        requests: &Requests,
    ) -> Self {
        let (stop, stopping) = watch::channel(());
        let serve = |listener| {
            let mut stopping = stopping.clone();
            let stopped = Box::pin(async move {
                // An error: the router is stopped or dropped.
                while stopping.changed().await.is_ok() {}
            });
            tokio::spawn(weir_ingest::serve(listener, options.clone(), intake.clone(), requests.clone(), stopped))
        };
        Self { serving: Some(serve(listener)), streaming: stream_listener.map(serve), stop }
    }
}

async fn listen(address: SocketAddr, otherwise: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("can't listen on {address}; is another weir running? {otherwise}"))
}

/// Reads the tokens. Refuses addresses that others reach without any.
fn open_tokens(settings: &Settings, key: &str, addresses: impl Iterator<Item = SocketAddr>) -> anyhow::Result<Tokens> {
    let reachable: Vec<_> = addresses.filter(|address| !address.ip().to_canonical().is_loopback()).collect();
    let is_open = reachable.is_empty() || settings.http.insecure_open;
    let tokens = Tokens::open(&settings.data, &settings.tokens, key, is_open)?;
    let access = tokens.access();
    access.set_quota_of_addresses(&settings.limits);
    if let Some(address) = reachable.first() {
        if !is_open && access.has_no_tokens() {
            bail!(
                "others reach {address}, and there is no token: create one with `weir token new NAME --role admin \
                 --data {}`, listen on 127.0.0.1, or pass --insecure-open if everybody may read and change everything",
                settings.data.display()
            );
        }
        if access.is_open() {
            tracing::warn!("everybody who reaches {address} may read all records and change this router");
        }
    }
    Ok(tokens)
}

fn open_journal(settings: &Settings, keys: Keys) -> anyhow::Result<Journal> {
    let disk = Disk::new(parts::journal_folder(settings));
    let (journal, recovery) = Journal::open(Arc::new(disk), parts::journal(settings, keys))?;
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
    searchable: SearchableSinks,
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
        prepares_searches: true,
    };
    let mut sink_set = SinkSet::new(journal.clone(), quarantine.clone(), context, searchable);
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
        levels: Levels::open(&settings.data),
        stages: Stages::default(),
        refused,
        retiring: Lock::default(),
        repeats: Repeats::open(journal, settings.ingest.repeat_window),
        positions: Positions::open(journal),
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

async fn start_sources(source_set: &Mutex<SourceSet>, wanted: &[SourceSettings]) -> anyhow::Result<()> {
    let mut source_set = source_set.lock().await;
    source_set.apply(wanted).await?;
    source_set.forget_removed().await;
    Ok(())
}

/// Ignores poisoning: a panic while holding such a lock leaves no partial changes.
pub fn lock<T>(guarded: &Lock<T>) -> std::sync::MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
