//! What a source's files are like, for `/metrics`.

use std::collections::HashMap;
use std::path::PathBuf;

use metrics::{Gauge, gauge};

use super::tracked::Tracked;
use crate::limits;

/// Describes these metrics.
pub(crate) fn describe_metrics() {
    metrics::describe_gauge!("weir_source_files", "Files that a source follows");
    metrics::describe_gauge!("weir_source_open_files", "Files that a source has open");
    metrics::describe_gauge!("weir_source_behind_bytes", "Bytes in files that a source has not read yet");
    metrics::describe_gauge!(
        "weir_source_file_behind_bytes",
        "Bytes that a source has not read yet of files far behind"
    );
}

/// The gauges of a source.
pub(super) struct Gauges {
    source: String,
    files: Gauge,
    open: Gauge,
    behind: Gauge,
    /// Those that were once far behind.
    of_files: HashMap<PathBuf, Gauge>,
}

impl Gauges {
    pub fn new(source: &str) -> Gauges {
        let labels = [("source", source.to_owned())];
        Gauges {
            source: source.to_owned(),
            files: gauge!("weir_source_files", &labels),
            open: gauge!("weir_source_open_files", &labels),
            behind: gauge!("weir_source_behind_bytes", &labels),
            of_files: HashMap::new(),
        }
    }

    pub fn set<'t>(&mut self, tracked: impl Iterator<Item = &'t Tracked>) {
        let (mut files, mut open, mut behind) = (0_u32, 0_u32, 0);
        for tracked in tracked.filter(|tracked| !tracked.is_gone()) {
            let bytes = tracked.behind();
            files += 1;
            open += u32::from(tracked.file.is_some());
            behind += bytes;
            self.set_one(tracked, bytes);
        }
        self.files.set(files);
        self.open.set(open);
        self.behind.set(behind as f64);
    }

    /// Only files that are or were far behind have a gauge of their own: there may be many thousand.
    fn set_one(&mut self, tracked: &Tracked, bytes: u64) {
        if let Some(gauge) = self.of_files.get(tracked.path()) {
            gauge.set(bytes as f64);
        } else if bytes >= limits::FAR_BEHIND && self.of_files.len() < limits::GAUGES {
            let labels = [("source", self.source.clone()), ("file", tracked.path().to_string_lossy().into_owned())];
            let gauge = gauge!("weir_source_file_behind_bytes", &labels);
            gauge.set(bytes as f64);
            self.of_files.insert(tracked.path().to_owned(), gauge);
        }
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        for gauge in [&self.files, &self.open, &self.behind].into_iter().chain(self.of_files.values()) {
            gauge.set(0.0);
        }
    }
}
