//! The journal's numbers, for people ([`Stats`], [`ReaderStatus`]) and for `/metrics`.

use crate::error::AppendError;
use crate::state::{Shared, State};
use metrics::{Counter, Gauge, Histogram, Unit};
use serde::Serialize;
use std::time::Duration;

/// What the journal contains, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Sequence of the oldest frame kept, or of the next frame if none is.
    pub first_sequence: u64,
    /// Sequence of the newest frame that readers can see.
    pub last_sequence: u64,
    /// Frames that readers can see.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Segment files.
    pub segments: usize,
    /// Their total size.
    pub size_bytes: u64,
    /// The disk budget.
    pub max_size_bytes: u64,
    /// Memory used by recent entries.
    pub recent_bytes: usize,
    /// Why the journal accepts nothing more, if so.
    pub poisoned: Option<String>,
}

/// The progress of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderStatus {
    /// Its name.
    pub name: String,
    /// True while a [`Reader`](crate::Reader) of that name exists.
    pub open: bool,
    /// The last delivered sequence.
    pub committed: u64,
    /// Frames after it (including numbers that the journal jumped over).
    pub lag_frames: u64,
    /// Records after it.
    pub lag_records: u64,
    /// Records removed before it had read them, since the journal was opened.
    pub skipped_records: u64,
}

pub(crate) fn stats(shared: &Shared) -> Stats {
    let state = shared.state();
    Stats {
        first_sequence: state.before_oldest() + 1,
        last_sequence: state.visible,
        frames: state.segments.iter().map(|segment| segment.frames).sum(),
        records: state.segments.iter().map(|segment| segment.records_after - segment.records_before).sum(),
        segments: state.segments.len(),
        size_bytes: state.segments.iter().map(|segment| segment.size_bytes).sum(),
        max_size_bytes: shared.options.max_size_bytes,
        recent_bytes: state.recent.size_bytes,
        poisoned: state.poisoned.clone(),
    }
}

pub(crate) fn readers(state: &State) -> Vec<ReaderStatus> {
    let status = |(name, cursor): (&String, &crate::state::Cursor)| ReaderStatus {
        name: name.clone(),
        open: cursor.open,
        committed: cursor.committed,
        lag_frames: state.visible.saturating_sub(cursor.committed),
        lag_records: state.visible_records.saturating_sub(cursor.records),
        skipped_records: cursor.skipped,
    };
    state.cursors.iter().map(status).collect()
}

/// Handles of the metrics, looked up once; install the recorder before opening the journal.
pub(crate) struct Meters {
    frames: Counter,
    records: Counter,
    bytes: Counter,
    group_frames: Histogram,
    sync_seconds: Histogram,
    syncs: Counter,
    full: Counter,
    poisoned_appends: Counter,
    size_bytes: Gauge,
    poisoned: Gauge,
    dropped_segments: Counter,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        let meters = Meters {
            frames: metrics::counter!("weir_journal_frames_total"),
            records: metrics::counter!("weir_journal_records_total"),
            bytes: metrics::counter!("weir_journal_written_bytes_total"),
            group_frames: metrics::histogram!("weir_journal_group_frames"),
            sync_seconds: metrics::histogram!("weir_journal_sync_seconds"),
            syncs: metrics::counter!("weir_journal_syncs_total"),
            full: metrics::counter!("weir_journal_refused_total", "reason" => "full"),
            poisoned_appends: metrics::counter!("weir_journal_refused_total", "reason" => "poisoned"),
            size_bytes: metrics::gauge!("weir_journal_size_bytes"),
            poisoned: metrics::gauge!("weir_journal_poisoned"),
            dropped_segments: metrics::counter!("weir_journal_dropped_segments_total"),
        };
        meters.poisoned.set(0.0);
        meters
    }

    // Gauges are floats: sizes and lags are exact up to 2^53.
    pub(crate) fn appended(&self, frames: usize, records: u64, bytes: u64, size_bytes: u64) {
        self.frames.increment(frames as u64);
        self.records.increment(records);
        self.bytes.increment(bytes);
        self.group_frames.record(frames as f64);
        self.size(size_bytes);
    }

    pub(crate) fn synced(&self, took: Duration) {
        self.syncs.increment(1);
        self.sync_seconds.record(took.as_secs_f64());
    }

    pub(crate) fn refused(&self, error: &AppendError) {
        match error {
            AppendError::Full(_) => self.full.increment(1),
            AppendError::Poisoned(_) => self.poisoned_appends.increment(1),
            AppendError::Busy | AppendError::TooLarge { .. } | AppendError::Closed => {}
        }
    }

    pub(crate) fn poisoned(&self) {
        self.poisoned.set(1.0);
    }

    pub(crate) fn dropped_segment(&self) {
        self.dropped_segments.increment(1);
    }

    /// The size also changes without an append.
    pub(crate) fn size(&self, size_bytes: u64) {
        self.size_bytes.set(size_bytes as f64);
    }

    pub(crate) fn readers(&self, state: &State) {
        for reader in readers(state) {
            lag_of(reader.name).set(reader.lag_records as f64);
        }
    }

    /// A reader that is gone lags no longer. Called with the state locked, so that no older lag is set afterwards.
    pub(crate) fn forgotten(&self, reader: &str) {
        lag_of(reader.to_owned()).set(0.0);
    }

    pub(crate) fn skipped(&self, reader: &str, records: u64) {
        metrics::counter!("weir_journal_skipped_records_total", "reader" => reader.to_string()).increment(records);
    }
}

fn lag_of(reader: String) -> Gauge {
    metrics::gauge!("weir_journal_lag_records", "reader" => reader)
}

/// Describes the journal's metrics. The binary calls it once.
pub fn describe_metrics() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("weir_journal_frames_total", Unit::Count, "Batches written to the journal");
    describe_counter!("weir_journal_records_total", Unit::Count, "Records written to the journal");
    describe_counter!("weir_journal_written_bytes_total", Unit::Bytes, "Bytes written to the journal");
    describe_histogram!("weir_journal_group_frames", Unit::Count, "Batches that shared a write and an fsync");
    describe_histogram!("weir_journal_sync_seconds", Unit::Seconds, "Time an fsync of the journal took");
    describe_counter!("weir_journal_syncs_total", Unit::Count, "Fsyncs of the journal");
    describe_counter!("weir_journal_refused_total", Unit::Count, "Batches the journal refused, by reason");
    describe_gauge!("weir_journal_size_bytes", Unit::Bytes, "Size of the journal's segments");
    describe_gauge!("weir_journal_poisoned", Unit::Count, "1 after a failed write or fsync stopped the journal");
    describe_counter!("weir_journal_dropped_segments_total", Unit::Count, "Segments dropped for the disk budget");
    describe_gauge!("weir_journal_lag_records", Unit::Count, "Records a reader has not delivered yet");
    describe_counter!(
        "weir_journal_skipped_records_total",
        Unit::Count,
        "Records removed before a reader had read them"
    );
}
