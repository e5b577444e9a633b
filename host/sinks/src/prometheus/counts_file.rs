//! Counts and their position in one file: `sinks/NAME.counts` in the data folder, MessagePack.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::family::{Counts, Definition};
use crate::disk::{Disk, DiskError};
use crate::registry::BuildContext;

/// Version of the file.
const VERSION: u32 = 1;

/// What went wrong, by remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum CountsFileError {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file was not written by this version.
    #[error("the counts in `{place}` can't be read: {reason}; move the file away to count from zero again")]
    Unreadable { place: String, reason: String },
}

/// The file with one sink's counts.
pub(super) struct CountsFile {
    path: PathBuf,
    journal: String,
    disk: Disk,
}

/// The file as written.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    journal: &'a str,
    sequence: Option<u64>,
    metrics: Vec<(&'a Definition, &'a Counts)>,
}

/// The file as read.
#[derive(Deserialize)]
struct Read {
    version: u32,
    /// The id of the journal whose frames are counted.
    journal: String,
    /// The last counted frame.
    sequence: Option<u64>,
    metrics: Vec<(Definition, Counts)>,
}

/// Counts by definition, and the last counted frame.
#[derive(Default)]
pub(super) struct SavedCounts {
    pub sequence: Option<u64>,
    metrics: Vec<(Definition, Counts)>,
}

impl SavedCounts {
    /// The counts of a metric whose definition is unchanged.
    pub fn take(&mut self, definition: &Definition) -> Option<Counts> {
        let at = self.metrics.iter().position(|(known, _)| known == definition)?;
        Some(self.metrics.swap_remove(at).1)
    }
}

impl CountsFile {
    pub fn of_sink(name: &str, context: &BuildContext) -> CountsFile {
        CountsFile {
            path: context.own_file(name, "counts"),
            journal: context.journal_id.clone(),
            disk: Disk::default(),
        }
    }

    /// The last saved counts; empty if there are none. Counts of another journal continue, but its position means
    /// nothing here.
    pub fn read(&self) -> Result<SavedCounts, CountsFileError> {
        let unreadable = |reason| CountsFileError::Unreadable { place: self.path.display().to_string(), reason };
        let content = match std::fs::read(&self.path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(SavedCounts::default()),
            Err(error) => return Err(DiskError::new("read", &self.path, error).into()),
        };
        let read: Read = rmp_serde::from_slice(&content).map_err(|error| unreadable(error.to_string()))?;
        if read.version != VERSION {
            return Err(unreadable(format!("it has version {}, this weir supports {VERSION}", read.version)));
        }
        if let Some((metric, _)) = read.metrics.iter().find(|(metric, counts)| !metric.fits(counts)) {
            return Err(unreadable(format!("the series of `{}` do not match its buckets", metric.name)));
        }
        Ok(SavedCounts { sequence: read.sequence.filter(|_| read.journal == self.journal), metrics: read.metrics })
    }

    /// Replaces the file. After an error, the file is unchanged.
    pub fn write<'a>(
        &self,
        sequence: Option<u64>,
        metrics: impl Iterator<Item = (&'a Definition, &'a Counts)>,
    ) -> Result<(), CountsFileError> {
        let written = Written { version: VERSION, journal: &self.journal, sequence, metrics: metrics.collect() };
        let content = rmp_serde::to_vec_named(&written)
            .map_err(|error| DiskError::new("write", &self.path, std::io::Error::other(error)))?;
        Ok(self.disk.replace(&self.path, &content)?)
    }
}
