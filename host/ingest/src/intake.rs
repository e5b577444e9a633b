//! The interface between HTTP and the pipeline: what ingest delivers, and how the pipeline answers.
//!
//! Ingest knows nothing of filters, journal or sinks; the implementation of [`Intake`] does. Invariant: for every
//! delivery that `submit` accepts, the intake answers once through `Delivery::reply`, after the records are durable (or
//! are known not to be), whether or not the client is still connected.

use tokio::sync::oneshot;
use weir_record::{Bad, Batch};

/// The pipeline, as ingest sees it.
pub trait Intake: Send + Sync + 'static {
    /// Accepts a delivery or refuses it at once. Never blocks.
    ///
    /// # Errors
    /// A [`Refusal`] when the delivery wasn't accepted; nothing of it is kept then.
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal>;

    /// Whether new records can be taken now.
    ///
    /// # Errors
    /// The reason why not, for the operator.
    fn ready(&self) -> Result<(), String>;

    /// The state of all parts, for `GET /health`.
    fn health(&self) -> serde_json::Value;

    /// All metrics in Prometheus' text format, for `GET /metrics`.
    fn metrics(&self) -> String;
}

/// The records of one request.
pub struct Delivery {
    /// The good records, canonical.
    pub batch: Batch,
    /// Records that couldn't be made canonical: for the quarantine.
    pub bad: Vec<Bad>,
    /// Where the outcome goes once the records are durable.
    pub reply: oneshot::Sender<Result<Receipt, Refusal>>,
}

/// The outcome of a delivery whose records are durable. Records that a filter dropped on purpose don't appear.
#[derive(Debug, Default)]
pub struct Receipt {
    /// Records that a filter failed on and that are kept in quarantine.
    pub quarantined: Vec<RecordError>,
    /// Records that a filter failed on and that are not kept: the sender has to know.
    pub rejected: Vec<RecordError>,
}

/// Why a record was not stored as it was sent.
#[derive(Debug)]
pub struct RecordError {
    /// Position in `Delivery::batch`.
    pub index: u32,
    /// Why, for the sender.
    pub error: String,
}

/// Why a whole delivery was not accepted. The text is for the sender.
#[derive(Debug)]
pub enum Refusal {
    /// Too much is waiting; retry soon (503).
    Busy(String),
    /// The journal has no room; retry later (503).
    Full(String),
    /// An internal error (500).
    Failed(String),
}
