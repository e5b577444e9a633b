//! What was counted and how far, in one file: `sinks/NAME.counts` in the data folder, MessagePack.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::family::{Counts, Definition};
use crate::disk::{Disk, DiskError};
use crate::registry::BuildContext;

/// Version of the file.
const VERSION: u32 = 1;

/// What went wrong, by what helps.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    /// The disk refused something.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file is none of ours.
    #[error("the counts in `{place}` can't be read: {reason}; move the file away to count from zero again")]
    Unreadable { place: String, reason: String },
}

/// Where one sink's counts are kept.
pub(super) struct Ledger {
    path: PathBuf,
    journal: String,
    disk: Disk,
}

/// What is written.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    journal: &'a str,
    sequence: Option<u64>,
    metrics: Vec<(&'a Definition, &'a Counts)>,
}

/// What is read.
#[derive(Deserialize)]
struct Read {
    version: u32,
    /// The journal whose frames are counted.
    journal: String,
    /// Up to this one.
    sequence: Option<u64>,
    metrics: Vec<(Definition, Counts)>,
}

/// Counts by definition, and the frame up to which they count.
#[derive(Default)]
pub(super) struct Page {
    pub sequence: Option<u64>,
    metrics: Vec<(Definition, Counts)>,
}

impl Page {
    /// The counts of a metric that is still defined as it was.
    pub fn take(&mut self, definition: &Definition) -> Option<Counts> {
        let at = self.metrics.iter().position(|(known, _)| known == definition)?;
        Some(self.metrics.swap_remove(at).1)
    }
}

impl Ledger {
    pub fn of_sink(name: &str, context: &BuildContext) -> Ledger {
        Ledger { path: context.own_file(name, "counts"), journal: context.journal_id.clone(), disk: Disk::default() }
    }

    /// What was last written; nothing when nothing was. Counts of another journal go on, its frames mean nothing here.
    pub fn read(&self) -> Result<Page, LedgerError> {
        let unreadable = |reason| LedgerError::Unreadable { place: self.path.display().to_string(), reason };
        let content = match std::fs::read(&self.path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Page::default()),
            Err(error) => return Err(DiskError::new("read", &self.path, error).into()),
        };
        let read: Read = rmp_serde::from_slice(&content).map_err(|error| unreadable(error.to_string()))?;
        if read.version != VERSION {
            return Err(unreadable(format!("it has version {}, this program knows {VERSION}", read.version)));
        }
        if let Some((metric, _)) = read.metrics.iter().find(|(metric, counts)| !metric.fits(counts)) {
            return Err(unreadable(format!("series of `{}` have not its buckets", metric.name)));
        }
        Ok(Page { sequence: read.sequence.filter(|_| read.journal == self.journal), metrics: read.metrics })
    }

    /// Replaces the file; after an error it says what it did.
    pub fn write<'a>(
        &self,
        sequence: Option<u64>,
        metrics: impl Iterator<Item = (&'a Definition, &'a Counts)>,
    ) -> Result<(), LedgerError> {
        let written = Written { version: VERSION, journal: &self.journal, sequence, metrics: metrics.collect() };
        let content = rmp_serde::to_vec_named(&written)
            .map_err(|error| DiskError::new("write", &self.path, std::io::Error::other(error)))?;
        Ok(self.disk.replace(&self.path, &content)?)
    }
}
