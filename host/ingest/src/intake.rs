//! The interface between HTTP and the pipeline: what ingest delivers, and how the pipeline answers.
//!
//! Ingest knows nothing of filters, journal or sinks; the implementation of [`Intake`] does. Invariant: for every
//! delivery that `submit` accepts, the intake answers exactly once through `Delivery::reply`, when the records are
//! durable or known not to be, even if the client has disconnected.

use tokio::sync::oneshot;
use weir_record::{Batch, RejectedRecord};

/// The pipeline, as ingest sees it.
pub trait Intake: Send + Sync + 'static {
    /// Accepts a delivery or refuses it at once. Never blocks.
    ///
    /// # Errors
    /// A [`Refusal`] if the delivery was not accepted. Nothing of it is kept.
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal>;

    /// Whether new records can be accepted now.
    ///
    /// # Errors
    /// The reason why not, for the operator.
    fn ready(&self) -> Result<(), String>;

    /// The state of all components, for `GET /health`.
    fn health(&self) -> serde_json::Value;

    /// All metrics in Prometheus' text format, for `GET /metrics`.
    fn metrics(&self) -> String;
}

/// The records of one request.
pub struct Delivery {
    /// The valid records, canonical.
    pub batch: Batch,
    /// Records that could not be made canonical, for quarantine.
    pub bad: Vec<RejectedRecord>,
    /// What the sender says of a request that it may repeat; `None`: nothing, so it is no repetition.
    pub key: Option<DeliveryKey>,
    /// Receives the outcome once the records are durable.
    pub reply: oneshot::Sender<Result<Receipt, Refusal>>,
}

/// A key that a sender repeats if it sends the same again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryKey {
    /// A hash of the key and of whose it is.
    pub key: [u8; 16],
    /// A hash of what was sent.
    pub digest: [u8; 16],
}

/// The outcome of a delivery whose records are durable. Records dropped by a filter are not listed.
#[derive(Debug, Default)]
pub struct Receipt {
    /// Records that a filter failed on and that are kept in quarantine.
    pub quarantined: Vec<RecordError>,
    /// Records that a filter failed on and that are not stored; the sender must be told.
    pub rejected: Vec<RecordError>,
}

/// Why a record was not stored as it was sent.
#[derive(Debug)]
pub struct RecordError {
    /// Index in `Delivery::batch`.
    pub index: u32,
    /// Why, for the sender.
    pub error: String,
}

/// Why a whole delivery was refused. The text is for the sender.
#[derive(Debug)]
pub enum Refusal {
    /// Too much is waiting; retry soon (503).
    Busy(String),
    /// The journal has no room; retry later (503).
    Full(String),
    /// Its key was used for another delivery (422).
    Conflict(String),
    /// An internal error (500).
    Failed(String),
}
