//! The segment being written may be removed or replaced by another file while it is open. Writes and fsyncs would then
//! keep succeeding, into a file that disappears at the next stop. So before a group is acknowledged, the journal checks
//! that the file still has its name; if not, it writes the whole segment again from the open file.

use crate::appender::{Active, Appender};
use crate::error::AppendError;
use crate::limits::SCAN_BYTES;
use crate::salvage::SALVAGED;
use crate::storage::Storage;
use std::io::{self, IoSlice};

impl Appender {
    /// Makes sure that the active segment is in the folder, with everything written to it durable there.
    pub(crate) fn ensure_in_place(&mut self) -> Result<(), AppendError> {
        let storage = &*self.shared.storage;
        let Some(active) = &self.active else {
            return Ok(());
        };
        // An error says nothing about the name.
        if active.file.is_linked().unwrap_or(true) && storage.exists(&active.name) {
            return Ok(());
        }
        tracing::error!(
            segment = %active.name,
            "the journal segment in use was removed or replaced; writing it again from the open file"
        );
        match rewrite_segment(storage, active) {
            Ok(()) => {
                self.end_segment();
                Ok(())
            }
            Err(error) => {
                let reason = format!("`{}` was removed and can't be written again: {error}", active.name);
                Err(self.poison(reason))
            }
        }
    }
}

/// Writes under another name first: if a crash interrupts this, the next start recovers the segment from that file.
fn rewrite_segment(storage: &dyn Storage, active: &Active) -> io::Result<()> {
    let beside = format!("{}{SALVAGED}", active.name);
    let copy = storage.create(&beside)?;
    let mut piece = vec![0; SCAN_BYTES];
    let mut offset = 0;
    while offset < active.size_bytes {
        let left = usize::try_from(active.size_bytes - offset).unwrap_or(usize::MAX);
        let wanted = piece.len().min(left);
        let read = active.file.read_at(&mut piece[..wanted], offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.append(&mut [IoSlice::new(&piece[..read])])?;
        offset += read as u64;
    }
    copy.sync()?;
    storage.rename(&beside, &active.name)?;
    storage.sync_folder()
}
