//! An empty file, already open, that becomes the next segment. Beginning a segment then needs neither a file descriptor
//! nor an inode, of which connections and sinks may have left none.
//!
//! The header is written and synced under the spare's own name before the file is renamed, so every file with a
//! segment's name has a complete header. A spare left by a crash is emptied and reused.

use crate::format::SegmentHeader;
use crate::storage::{Storage, StoredFile};
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Its name in the folder.
pub(crate) const SPARE_FILE: &str = "spare";

/// The next segment's file, if it exists already.
#[derive(Default)]
pub(crate) struct Spare {
    file: Option<Arc<dyn StoredFile>>,
}

impl Spare {
    /// Creates the file. If that fails, the next segment is created without it.
    pub(crate) fn prepare(&mut self, storage: &dyn Storage) {
        if self.file.is_none() {
            self.file = storage.create(SPARE_FILE).ok();
        }
    }

    /// A new segment file with its header, durable on return. After an error, an empty segment of that name may exist,
    /// which the next attempt replaces.
    pub(crate) fn become_segment(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        header: &SegmentHeader,
    ) -> io::Result<Arc<dyn StoredFile>> {
        if let Some(file) = self.file.take() {
            match self.give_name(storage, file, name, header) {
                // Someone removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.file = None,
                outcome => return outcome,
            }
        }
        let file = storage.create(SPARE_FILE)?;
        self.give_name(storage, file, name, header)
    }

    fn give_name(
        &mut self,
        storage: &dyn Storage,
        file: Arc<dyn StoredFile>,
        name: &str,
        header: &SegmentHeader,
    ) -> io::Result<Arc<dyn StoredFile>> {
        let written = write_header(&*file, header).and_then(|()| storage.rename(SPARE_FILE, name));
        if let Err(error) = written {
            // Kept open: there may be no other descriptor later.
            if file.truncate(0).is_ok() {
                self.file = Some(file);
            }
            return Err(error);
        }
        storage.sync_folder()?;
        Ok(file)
    }
}

fn write_header(file: &dyn StoredFile, header: &SegmentHeader) -> io::Result<()> {
    file.append(&mut [IoSlice::new(&header.encode())])?;
    file.sync()
}
