//! From a sender to the pipeline: who it is, and how its records are stored.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use weir_access::{Account, Caller, ClientCertificate, Credential, Denied, Role};
use weir_record::{Batch, Defaults, RejectedRecord, give_routes};

use super::{Shared, SocketOptions};
use crate::budget::HeldBytes;
use crate::metrics::ProtocolMeters;
use crate::remote::Remote;
use crate::reply::{BadRecords, Refused, Taken};
use crate::{Delivery, DeliveryKey, Requests, limits, post};

/// A listener that is served.
pub(crate) struct Listener {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: SocketOptions,
    pub(crate) meters: ProtocolMeters,
}

impl Listener {
    pub(crate) fn new(shared: Arc<Shared>, options: SocketOptions) -> Listener {
        let meters = ProtocolMeters::new(options.protocol.name);
        Listener { shared, options, meters }
    }

    /// What records get that they lack.
    pub(crate) fn defaults(&self, received_ns: i64) -> Defaults<'_> {
        Defaults {
            received_ns,
            source: &self.options.source,
            level: self.shared.level,
            context: &[],
            aliases: &self.shared.aliases,
            keeps_routes: false,
        }
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.shared.handshake_timeout
    }

    pub(crate) fn max_decompressed_bytes(&self) -> usize {
        self.shared.max_decompressed_bytes
    }

    /// Logs why a connection is closed, at most once a second.
    pub(crate) fn closes(&self, peer: &str, reason: &str) {
        if let Some(others) = self.shared.closed_lines.line() {
            let name = self.options.protocol.name;
            tracing::warn!("{name}: closed a connection of {peer}: {reason} ({others} others before it)");
        }
    }
}

/// What was read and can be stored: records, and the bytes that they hold.
pub(crate) struct Decoded {
    pub(crate) batch: Batch,
    pub(crate) bad: Vec<RejectedRecord>,
    pub(crate) key: Option<DeliveryKey>,
    /// As received.
    pub(crate) bytes: usize,
}

/// Why records were not stored.
pub(crate) enum NotStored {
    /// They can't be, however often they are sent.
    Refused(String),
    /// The router stops.
    Stopping,
}

/// One sender: a connection, or whoever sends datagrams.
pub(crate) struct Session {
    pub(crate) listener: Arc<Listener>,
    certificate: Option<ClientCertificate>,
    address: IpAddr,
    account: Arc<Account>,
    pub(crate) peer: String,
    stop: watch::Receiver<bool>,
}

impl Session {
    /// A session for the other end of a connection, if that may send.
    pub(crate) fn of_connection(
        listener: &Arc<Listener>,
        remote: &Remote,
        stop: &watch::Receiver<bool>,
    ) -> Result<Session, Denied> {
        let session = Session {
            listener: Arc::clone(listener),
            certificate: remote.certificate().cloned(),
            address: remote.address,
            account: Arc::clone(&remote.account),
            peer: remote.address.to_string(),
            stop: stop.clone(),
        };
        remote.count_for(&session.caller()?, &listener.shared.access)?;
        Ok(session)
    }

    /// A session for all datagrams of a listener. Their addresses can be forged, so they are not told apart.
    pub(crate) fn of_datagrams(listener: &Arc<Listener>, stop: &watch::Receiver<bool>) -> Session {
        let address = IpAddr::from([127, 0, 0, 1]);
        let account = listener.shared.access.account(address);
        Session {
            listener: Arc::clone(listener),
            certificate: None,
            address,
            account,
            peer: "datagrams".to_owned(),
            stop: stop.clone(),
        }
    }

    /// Who sends. A certificate that stands for a token must be good for sending: a connection may last longer than
    /// either, and the token can change.
    fn caller(&self) -> Result<Caller, Denied> {
        let Some(certificate) = &self.certificate else {
            return Ok(Caller::unchecked(self.address, &self.account));
        };
        let shown = Credential::Certificate(certificate);
        let caller = self.listener.shared.access.caller(shown, self.address, &self.account)?;
        caller.require(Role::Ingest)?;
        Ok(caller)
    }

    /// Refuses a sender whose address has shown too many wrong keys or passwords, before it shows another.
    pub(crate) fn admit_guess(&self) -> Result<(), String> {
        self.listener.shared.access.admit_guess(self.address).map_err(|denied| denied.to_string())
    }

    /// Counts a wrong key or password of this address. Returns why its connection is closed.
    pub(crate) fn refused_credentials(&self, reason: &str) -> String {
        self.listener.shared.access.note_wrong_guess(self.address);
        reason.to_owned()
    }

    /// Completes when the listener is to stop.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error: the listener is gone.
        _ = stop.wait_for(|stop| *stop).await;
    }

    /// Stores what `decode` reads. If there is no room, tries again until there is, for as long as the router runs.
    pub(crate) async fn store(
        &self,
        decode: &mut (dyn FnMut() -> Result<Decoded, String> + Send),
    ) -> Result<Taken, NotStored> {
        let mut pause = limits::RETRY_FIRST;
        let mut is_charged = false;
        loop {
            let decoded = decode().map_err(NotStored::Refused)?;
            let refused = match self.attempt(decoded, &mut is_charged).await {
                Ok(taken) => {
                    self.listener.meters.taken(&taken);
                    return Ok(taken);
                }
                Err(refused) => refused,
            };
            if refused.status.is_client_error() && refused.retry_after_s.is_none() {
                return Err(NotStored::Refused(refused.error));
            }
            if let Some(others) = self.listener.shared.waiting_lines.line() {
                let (name, error) = (self.listener.options.protocol.name, &refused.error);
                tracing::warn!("{name}: {} has to wait: {error} ({others} others before it)", self.peer);
            }
            let wait = refused.retry_after_s.map_or(pause, |seconds| Duration::from_secs(seconds.into()).min(pause));
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stopped() => return Err(NotStored::Stopping),
            }
            pause = (2 * pause).min(limits::RETRY_LONGEST);
        }
    }

    async fn attempt(&self, decoded: Decoded, is_charged: &mut bool) -> Result<Taken, Refused> {
        let Decoded { batch, mut bad, key, bytes } = decoded;
        let Listener { shared, options, .. } = &*self.listener;
        if batch.is_empty() && bad.is_empty() {
            return Ok(Taken::default());
        }
        let caller = self.caller()?;
        post::check_scope(&caller, &batch)?;
        if !*is_charged {
            let quota = options.rules.quota.as_ref();
            shared.access.admit_records(&caller, quota, batch.len() + bad.len(), bytes)?;
            *is_charged = true;
        }
        let Some(_turn) = shared.access.turn(&caller, bytes).await else {
            return Err(Refused::busy("earlier records of this sender have taken too long"));
        };
        let batch = give_routes(batch, &options.rules.routes, &mut bad);
        let _counted = Counted::begin(&shared.requests);
        // However long the disk takes: what is accepted is stored, and offering it again would store it twice.
        submitted(shared, batch, bad, key).await
    }

    /// Bytes that count as in flight while they are held.
    pub(crate) fn hold(&self) -> Result<HeldBytes, Refused> {
        self.listener.shared.flight.hold_for(Arc::clone(&self.account))
    }
}

/// A delivery in progress, until it is dropped: a connection that is closed doesn't wait for its end.
struct Counted<'r>(&'r Requests);

impl Counted<'_> {
    fn begin(requests: &Requests) -> Counted<'_> {
        requests.begin();
        Counted(requests)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn submitted(
    shared: &Shared,
    batch: Batch,
    bad: Vec<RejectedRecord>,
    key: Option<DeliveryKey>,
) -> Result<Taken, Refused> {
    let (sent, noted) = (batch.len(), BadRecords::note(&bad));
    let (reply, answered) = oneshot::channel();
    shared.intake.submit(Delivery { batch, bad, key, reply })?;
    match answered.await {
        Ok(receipt) => Ok(Taken::new(sent, noted, receipt?)),
        Err(_) => Err(Refused::busy("the pipeline ended before it confirmed the records")),
    }
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
