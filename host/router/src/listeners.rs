//! The listeners of `[[listen]]`. Each is bound, started and stopped individually.

use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_access::ListenerQuota;
use weir_ingest::{Bound, HttpOptions, Intake, ListenRules, Requests, SocketOptions, Sockets, Transport};

use crate::config::{ListenSettings, Spoken};

/// The running listeners.
pub struct Listeners {
    /// For those that speak HTTP.
    http: HttpOptions,
    sockets: Sockets,
    intake: Arc<dyn Intake>,
    requests: Requests,
    /// Whether an address that others reach needs no token.
    is_open: bool,
    running: Vec<Running>,
}

/// Listeners that are not running yet. The address of some is bound once the old listener has left it.
pub struct NewListeners(Vec<(ListenSettings, Option<Bound>)>);

struct Running {
    settings: ListenSettings,
    /// Dropping it stops the listener.
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.serving.await {
            tracing::error!("the listener on {} failed: {error}", self.settings.address);
        }
    }
}

impl Listeners {
    /// No listeners yet. `http`: the options of the HTTP server; `is_open`: it needs no token, whoever reaches it.
    pub fn new(http: HttpOptions, intake: Arc<dyn Intake>, requests: Requests, is_open: bool) -> Self {
        let sockets = Sockets::new(&http, intake.clone(), requests.clone());
        Self { http, sockets, intake, requests, is_open, running: Vec::new() }
    }

    /// Binds all new addresses, for [`replace`](Self::replace). Changes nothing. `has_tokens`: whether there will be any.
    pub async fn bind(&self, wanted: &[ListenSettings], has_tokens: bool) -> anyhow::Result<NewListeners> {
        let mut new = Vec::new();
        for settings in wanted {
            if matches!(settings.protocol, Spoken::Http(_))
                && settings.address.is_reachable()
                && !has_tokens
                && !self.is_open
            {
                bail!(
                    "others reach {}, and there is no token: create one with `weir token new NAME --role ingest`, or \
                     listen on 127.0.0.1",
                    settings.address
                );
            }
            if self.running.iter().any(|running| running.settings == *settings) {
                continue;
            }
            // The same address with other options is bound once the old listener has left it.
            let is_taken = self.running.iter().any(|running| running.settings.address == settings.address);
            new.push((settings.clone(), if is_taken { None } else { Some(bind(settings).await?) }));
        }
        Ok(NewListeners(new))
    }

    /// Starts, stops and replaces listeners to match `wanted`; unchanged ones keep running.
    pub async fn replace(&mut self, wanted: &[ListenSettings], NewListeners(new): NewListeners) -> anyhow::Result<()> {
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|running| wanted.contains(&running.settings));
        self.running = stay;
        for old in go {
            let is_replaced = wanted.iter().any(|new| new.address == old.settings.address);
            tracing::info!(
                "{} on {} {}",
                old.settings.protocol.name(),
                old.settings.address,
                match is_replaced {
                    true => "restarts",
                    false => "removed",
                }
            );
            old.stop().await;
        }
        for (settings, bound) in new {
            match bound {
                Some(bound) => self.start(settings, bound),
                None => {
                    let bound = bind(&settings).await?;
                    self.start(settings, bound);
                }
            }
        }
        Ok(())
    }

    /// Starts those again that have ended on their own.
    pub async fn restart_ended(&mut self) {
        while let Some(ended) = self.running.iter().position(|running| running.serving.is_finished()) {
            let Running { settings, serving, .. } = self.running.swap_remove(ended);
            let why = serving.await.err().map_or(String::new(), |error| format!(": {error}"));
            tracing::error!("the listener on {} ended unexpectedly and restarts{why}", settings.address);
            match bind(&settings).await {
                Ok(bound) => self.start(settings, bound),
                Err(error) => tracing::error!("{error:#}"),
            }
        }
    }

    /// Stops all. Each first stores what it has read.
    pub async fn stop(&mut self) {
        for running in std::mem::take(&mut self.running) {
            running.stop().await;
        }
    }

    fn start(&mut self, settings: ListenSettings, bound: Bound) {
        let shown = match bound.ip_address() {
            Some(address) => format!("{}://{address}", settings.address.transport.name()),
            None => settings.address.to_string(),
        };
        tracing::info!("receives {} on {shown}", settings.protocol.name());
        let (stop, mut stopping) = watch::channel(());
        // An error: the sender was dropped.
        let stopped = Box::pin(async move { while stopping.changed().await.is_ok() {} });
        let rules = rules(&settings);
        let source = settings.source.clone().unwrap_or_else(|| settings.protocol.name().to_owned());
        let serving = match settings.protocol {
            Spoken::Http(_) => {
                let tls = self.http.tls.clone().filter(|_| settings.address.transport == Transport::Tls);
                let source = settings.source.clone().unwrap_or_else(|| self.http.source.clone());
                let options = HttpOptions { source, tls, rules, ..self.http.clone() };
                let (intake, requests) = (self.intake.clone(), self.requests.clone());
                tokio::spawn(async move {
                    let Some(listener) = bound.into_tcp() else { return };
                    if let Err(error) = weir_ingest::serve(listener, options, intake, requests, stopped).await {
                        tracing::warn!("{error}");
                    }
                })
            }
            Spoken::Socket(protocol) => {
                let options = SocketOptions {
                    protocol,
                    source,
                    rules,
                    max_message_bytes: settings.max_message_bytes as usize,
                    max_connections: settings.max_connections,
                    shared_key: settings.shared_key.as_ref().map(|key| key.expose().into()),
                    users: settings.users.iter().map(|(name, key)| (name.clone(), key.expose().to_owned())).collect(),
                };
                tokio::spawn(self.sockets.serve(bound, options, stopped))
            }
        };
        self.running.push(Running { settings, stop, serving });
    }
}

/// What applies to everything that a listener receives.
fn rules(settings: &ListenSettings) -> ListenRules {
    let name = settings.address.to_string();
    let only = match settings.protocol {
        Spoken::Http(only) => only,
        Spoken::Socket(_) => None,
    };
    let quota = settings.quota.clone().map(|quota| ListenerQuota::new(&name, quota));
    ListenRules { routes: settings.routes.clone().into(), quota, only }
}

async fn bind(settings: &ListenSettings) -> anyhow::Result<Bound> {
    let bound = settings.address.bind().await;
    bound.with_context(|| format!("can't listen on {}; choose another `address` in [[listen]]", settings.address))
}
