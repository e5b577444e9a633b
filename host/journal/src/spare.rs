//! An empty file that is open already and becomes the next segment: beginning one then needs neither a file descriptor
//! nor an inode, of which connections and sinks may have left none.
//!
//! The header is written and synced under the spare's own name, and the file then renamed, so a segment's name never
//! stands for anything but a whole header. A spare that a crash left behind is emptied and used.

use crate::format::SegmentHeader;
use crate::storage::{Storage, StoredFile};
use std::io::{self, IoSlice};
use std::sync::Arc;

/// Its name in the folder.
pub(crate) const SPARE_FILE: &str = "spare";

/// The next segment's file, if there is one already.
#[derive(Default)]
pub(crate) struct Spare {
    file: Option<Arc<dyn StoredFile>>,
}

impl Spare {
    /// Makes one ready. It is no harm if that fails now: the next segment is then begun without it.
    pub(crate) fn prepare(&mut self, storage: &dyn Storage) {
        if self.file.is_none() {
            self.file = storage.create(SPARE_FILE).ok();
        }
    }

    /// A new segment file with its header, durable when this returns. After an error there may be an empty segment of
    /// that name, which the next attempt replaces.
    pub(crate) fn become_segment(
        &mut self,
        storage: &dyn Storage,
        name: &str,
        header: &SegmentHeader,
    ) -> io::Result<Arc<dyn StoredFile>> {
        if let Some(file) = self.file.take() {
            match self.give_name(storage, file, name, header) {
                // Somebody has removed it.
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
