//! Where a source delivers to.
//!
//! [`Store`] is one attempt, which the router implements. [`Destination`] repeats it until the records are durable, for as
//! long as the router runs: a source waits, nothing is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::{Counter, counter};
use tokio::sync::watch;
use tokio::time::sleep;
use weir_record::time::now_ns;
use weir_record::{Aliases, Batch, Composer, Defaults, Level, RejectedRecord, give_routes};

use crate::limits;

/// How far a source has read one of the things that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which one, unique within the source.
    pub key: Vec<u8>,
    /// How far; `None`: it is gone, and nothing is kept for it any more.
    pub value: Option<Vec<u8>>,
}

/// Records, and the positions after them: both become durable together.
#[derive(Clone, Default)]
pub struct Delivery {
    /// In the order in which they were read.
    pub batch: Batch,
    /// Routes that all of them get, beside those of the source.
    pub routes: Vec<String>,
    /// What could not be made a record, for quarantine.
    pub bad: Vec<RejectedRecord>,
    /// After these records.
    pub positions: Vec<Position>,
}

/// Why the router did not store a delivery. Nothing of it is stored.
#[derive(Debug)]
pub enum Refused {
    /// There is no room now.
    Later(String),
    /// It failed.
    Failed(String),
}

/// Stores deliveries.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a delivery of this source. Completes when it is durable.
    ///
    /// # Errors
    /// Why it is not stored.
    async fn store(&self, source: &str, delivery: Delivery) -> Result<(), Refused>;

    /// The positions of this source that were stored last, once nothing of it is on its way.
    async fn positions(&self, source: &str) -> Vec<Position>;
}

/// What records of a source get.
#[derive(Clone, Debug)]
pub struct Origin {
    /// `source` of records that have none.
    pub source: String,
    /// `level` of records that have none.
    pub level: Level,
    /// Routes that its records get.
    pub routes: Vec<String>,
    /// Other names of the standard fields.
    pub aliases: Arc<Aliases>,
}

/// The router stops, or the source is removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopping;

/// Where a source delivers to. Clones are for tasks of the same source.
#[derive(Clone)]
pub struct Destination {
    name: Arc<str>,
    origin: Arc<Origin>,
    store: Arc<dyn Store>,
    stop: watch::Receiver<bool>,
    records: Counter,
    bytes: Counter,
    quarantined: Counter,
}

impl Destination {
    /// A destination for the source of that name. It stops when `stop` becomes true or is dropped.
    #[must_use]
    pub fn new(name: &str, origin: Origin, store: Arc<dyn Store>, stop: watch::Receiver<bool>) -> Destination {
        let labels = [("source", name.to_owned())];
        Destination {
            name: name.into(),
            origin: Arc::new(origin),
            store,
            stop,
            records: counter!("weir_source_records_total", &labels),
            bytes: counter!("weir_source_bytes_total", &labels),
            quarantined: counter!("weir_source_quarantined_total", &labels),
        }
    }

    /// The name of the source, for log lines.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What records get that they lack, and how they are composed.
    #[must_use]
    pub fn defaults(&self, received_ns: i64) -> Defaults<'_> {
        Defaults {
            received_ns,
            source: &self.origin.source,
            level: self.origin.level,
            context: &[],
            aliases: &self.origin.aliases,
            keeps_routes: false,
        }
    }

    /// A delivery of the records that `add` composes, which were received now.
    pub(crate) fn compose(
        &self,
        add: impl FnOnce(&mut Composer<'_, '_>) -> Result<(), String>,
    ) -> Result<Delivery, String> {
        let (defaults, mut batch) = (self.defaults(now_ns()), Batch::new());
        let mut composer = Composer::new(&defaults, &mut batch);
        add(&mut composer)?;
        let bad = composer.finish();
        Ok(Delivery { batch, bad, ..Delivery::default() })
    }

    /// The positions that were stored last.
    pub async fn positions(&self) -> Vec<Position> {
        self.store.positions(&self.name).await
    }

    /// Stores a delivery, however long that takes. Deliveries with the same key in their positions must follow each other:
    /// the next begins when this one has completed.
    ///
    /// # Errors
    /// The source is to stop. The delivery is not stored.
    pub async fn deliver(&self, mut delivery: Delivery) -> Result<(), Stopping> {
        if delivery.batch.is_empty() && delivery.bad.is_empty() && delivery.positions.is_empty() {
            return Ok(());
        }
        let mut routes = self.origin.routes.clone();
        routes.extend(delivery.routes.drain(..).filter(|route| !self.origin.routes.contains(route)));
        delivery.batch = give_routes(delivery.batch, &routes, &mut delivery.bad);
        let (records, bytes) = (delivery.batch.len() as u64, delivery.batch.byte_len() as u64);
        let bad = delivery.bad.len() as u64;
        let mut pause = limits::RETRY_FIRST;
        let mut said: Option<Instant> = None;
        loop {
            let attempt = self.store.store(&self.name, delivery.clone());
            let (Refused::Later(error) | Refused::Failed(error)) = match attempt.await {
                Ok(()) => break,
                Err(refused) => refused,
            };
            if said.is_none_or(|at| at.elapsed() >= limits::WAITING_LINE) {
                said = Some(Instant::now());
                tracing::warn!("source `{}` waits: {error}", self.name);
            }
            self.pause(pause).await?;
            pause = (2 * pause).min(limits::RETRY_LONGEST);
        }
        self.records.increment(records);
        self.bytes.increment(bytes);
        self.quarantined.increment(bad);
        Ok(())
    }

    /// Completes when the source is to stop.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error: whoever could say so is gone.
        _ = stop.wait_for(|stop| *stop).await;
    }

    /// Whether the source is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Waits for this long.
    ///
    /// # Errors
    /// The source is to stop.
    pub async fn pause(&self, time: Duration) -> Result<(), Stopping> {
        tokio::select! {
            biased;
            () = self.stopped() => Err(Stopping),
            () = sleep(time) => Ok(()),
        }
    }
}

/// Describes the metrics of this crate.
pub fn describe_metrics() {
    metrics::describe_counter!("weir_source_records_total", "Records that sources have fetched and stored");
    metrics::describe_counter!("weir_source_bytes_total", "Bytes of the records that sources have fetched and stored");
    metrics::describe_counter!(
        "weir_source_quarantined_total",
        "What sources have fetched and could not read as records"
    );
    metrics::describe_counter!(
        "weir_source_dropped_total",
        "Messages of plain NATS subjects that there was no room for, or that waited when their source ended"
    );
    crate::file::describe_metrics();
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    struct Accepts;

    #[async_trait]
    impl Store for Accepts {
        async fn store(&self, _: &str, _: Delivery) -> Result<(), Refused> {
            Ok(())
        }

        async fn positions(&self, _: &str) -> Vec<Position> {
            Vec::new()
        }
    }

    /// A destination that accepts everything, for tests of sources. It stops when the sender is dropped, too.
    pub(crate) fn destination() -> (watch::Sender<bool>, Destination) {
        let (stop, stopped) = watch::channel(false);
        let origin =
            Origin { source: "test".to_owned(), level: Level::Info, routes: Vec::new(), aliases: Arc::default() };
        (stop, Destination::new("test", origin, Arc::new(Accepts), stopped))
    }
}
