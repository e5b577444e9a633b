//! The segment that is written to may be removed, or another file put in its place, while it is open. Writes and fsyncs
//! then go on succeeding, into a file that is gone after the next stop. So each group is acknowledged only after a look
//! whether the file still has its name; if it has not, all of it is written again from the open file.

use crate::appender::{Active, Appender};
use crate::error::AppendError;
use crate::limits::SCAN_BYTES;
use crate::salvage::SALVAGED;
use crate::storage::Storage;
use std::io::{self, IoSlice};

impl Appender {
    /// Makes sure that the active segment is in the folder. What has been written to it is then durable there.
    pub(crate) fn keep_in_place(&mut self) -> Result<(), AppendError> {
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
            "a journal segment was removed or replaced while it is written to; writing it again from the open file"
        );
        match write_again(storage, active) {
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

/// Beside first: a crash meanwhile leaves what the next start takes up as the segment.
fn write_again(storage: &dyn Storage, active: &Active) -> io::Result<()> {
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
