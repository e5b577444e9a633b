//! What a failed write or fsync does: a lack of space or of file descriptors is an answer, anything else stops the
//! journal until it is opened again. A failed fsync is never tried again: the kernel may have given up the pages and report success.

use crate::appender::Appender;
use crate::error::AppendError;
use std::io;

impl Appender {
    /// A full disk is no reason to stop: the kernel refused the bytes before taking them (none was handed to an
    /// fsync), so cutting off what it did take leaves the file as it was. Any other failure stops the journal.
    pub(crate) fn write_failed(&mut self, error: &io::Error) -> AppendError {
        if !is_full(error) {
            return self.poison(format!("a write failed: {error}"));
        }
        let cut = match &self.active {
            Some(active) => active.file.truncate(active.size_bytes),
            None => Ok(()),
        };
        match cut {
            Ok(()) => AppendError::Full(format!("a write failed: {error}; free disk space")),
            Err(cut) => self.poison(format!("a write failed: {error}, and its remains can't be cut off: {cut}")),
        }
    }

    /// Stops the journal until it is opened again.
    pub(crate) fn poison(&mut self, reason: String) -> AppendError {
        let place = self.shared.storage.place();
        let reason = format!("`{place}`: {reason}");
        tracing::error!(%reason, "the journal takes nothing any more");
        // After a restart the page cache might show bytes that the disk never got, so they go now. If this fails
        // too, they were still never acknowledged (unless `sync` allows for their loss).
        if let Some(active) = &self.active
            && let Err(error) = active.file.truncate(active.durable_bytes)
        {
            tracing::warn!(%error, "can't cut off what was not durable");
        }
        self.shared.meters.poisoned();
        self.shared.state().poisoned = Some(reason.clone());
        AppendError::Poisoned(reason)
    }

    pub(crate) fn poisoned(&self) -> Option<AppendError> {
        let state = self.shared.state();
        state.poisoned.as_ref().map(|reason| AppendError::Poisoned(reason.clone()))
    }
}

/// Error numbers for which the standard library has no name; the same on every Unix: this process, or all of them, have
/// as many files open as they may.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// No further file can be opened for now.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// The disk, a quota or a limit on files has no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
