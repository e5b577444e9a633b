//! The inputs and results that all readers share: the defaults for missing values,
//! records that were rejected, and errors for bodies that could not be read.

use crate::aliases::Aliases;
use crate::batch::Batch;
use crate::level::Level;
use crate::limits::{MAX_BAD_PER_BODY, MAX_BATCH_BYTES, MAX_BATCH_RECORDS};

/// Defaults for missing values, and how the sender's keys are read.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// When the record was received, in nanoseconds since 1970-01-01 UTC.
    pub received_ns: i64,
    /// The source of records without one.
    pub source: &'a str,
    /// The level of records without one.
    pub level: Level,
    /// Keys and values to add to `context` where they are absent.
    pub context: &'a [(&'a str, &'a str)],
    /// The sender's names for the canonical keys.
    pub aliases: &'a Aliases,
    /// Whether `routes` are kept: true for records that filters made and for records
    /// from quarantine. A sender's `routes` are data, kept as `routes_original`.
    pub keeps_routes: bool,
}

/// One record that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its position in the body, from zero.
    pub index: u32,
    /// Why.
    pub error: String,
    /// The record as it arrived.
    pub bytes: Vec<u8>,
}

/// Why a body could not be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct SyntaxError {
    /// Where in the body.
    pub offset: usize,
    /// What is wrong there.
    pub reason: String,
    /// The body is well formed as far as it was read, but exceeds a limit: the sender
    /// should send smaller ones.
    pub too_much: bool,
}

impl SyntaxError {
    pub(crate) fn new(offset: usize, stop: ReadError) -> SyntaxError {
        let too_much = matches!(stop, ReadError::TooMuch(_));
        SyntaxError { offset, reason: stop.reason().to_owned(), too_much }
    }
}

/// The rejected records of one body, and the limits on the whole body.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    pub(crate) bad: Vec<RejectedRecord>,
    /// The length of the batch that this body may not exceed.
    most_bytes: usize,
    /// The records of the batch, likewise.
    most_records: usize,
}

impl BodyBudget {
    /// The budget of a body whose records are added to `out`.
    pub(crate) fn new(out: &Batch) -> BodyBudget {
        BodyBudget {
            bad: Vec::new(),
            most_bytes: out.byte_len() + MAX_BATCH_BYTES,
            most_records: out.len() + MAX_BATCH_RECORDS,
        }
    }

    /// Fails if the body exceeds a limit.
    #[inline]
    pub(crate) fn check(&self, out: &Batch) -> Result<(), ReadError> {
        if out.byte_len() > self.most_bytes {
            return Err(ReadError::TooMuch(Excess::Bytes));
        }
        if out.len() > self.most_records {
            return Err(ReadError::TooMuch(Excess::Records));
        }
        if self.bad.len() > MAX_BAD_PER_BODY {
            return Err(ReadError::TooMuch(Excess::BadRecords));
        }
        Ok(())
    }
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The bytes are not of the format: nothing after them can be trusted.
    Syntax(&'static str),
    /// The record can't be kept, but its end can be found.
    Record(RecordFault),
    /// The body exceeds a limit.
    TooMuch(Excess),
}

/// Why a record can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordFault {
    NotAMap,
    TooDeep,
    TooLarge,
    TooManyKeys,
    KeyIsNotText,
    NamesAreTaken,
    /// For a reason of its format.
    Other(&'static str),
}

/// The limit that a body exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Bytes,
    Records,
    BadRecords,
}

impl ReadError {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            ReadError::Syntax(reason) => reason,
            ReadError::Record(fault) => fault.reason(),
            ReadError::TooMuch(Excess::Bytes) => "body becomes more than 64 MiB of records; send smaller batches",
            ReadError::TooMuch(Excess::Records) => "body holds more than 1048576 records; send smaller batches",
            ReadError::TooMuch(Excess::BadRecords) => "body holds more than 65536 bad records; send smaller batches",
        }
    }
}

impl RecordFault {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            RecordFault::NotAMap => "record is not a map; send a JSON object or a MessagePack map",
            RecordFault::TooDeep => "record is nested deeper than 64 levels; flatten it",
            RecordFault::TooLarge => "record is larger than 1 MiB; send less in one record",
            RecordFault::TooManyKeys => "record has more than 65535 keys; nest them or send less",
            RecordFault::NamesAreTaken => {
                "record has all keys that a value could be renamed to; send fewer `…_original`"
            }
            RecordFault::Other(reason) => reason,
            RecordFault::KeyIsNotText => "a key of the record is a list, a map or an extension; use text",
        }
    }
}
