//! Handles failed writes and fsyncs. If space or file descriptors run out, the append fails with an error; any other
//! failure stops the journal until it is reopened. A failed fsync is never retried: the kernel may have dropped the
//! pages and would report success.

use crate::appender::Appender;
use crate::error::AppendError;
use std::io;

impl Appender {
    /// A full disk does not stop the journal: the kernel refused the bytes before taking them and none went through an
    /// fsync, so truncating the file restores its previous state. Any other failure stops the journal.
    pub(crate) fn write_failed(&mut self, error: &io::Error) -> AppendError {
        if !is_full(error) {
            return self.poison(format!("a write failed: {error}"));
        }
        let cut = match &mut self.active {
            Some(active) => active.cut_failed_write(),
            None => Ok(()),
        };
        match cut {
            Ok(()) => AppendError::Full(format!("a write failed: {error}; free disk space")),
            Err(cut) => self.poison(format!("a write failed: {error}, and the partial write can't be cut off: {cut}")),
        }
    }

    /// Stops the journal until it is reopened.
    pub(crate) fn poison(&mut self, reason: String) -> AppendError {
        let place = self.shared.storage.place();
        let reason = format!("`{place}`: {reason}");
        tracing::error!(%reason, "the journal accepts no more batches");
        // After a restart, the page cache might show bytes that never reached the disk, so they are removed now. If
        // this fails too, they were still never acknowledged (unless `sync` allows for their loss).
        if let Some(active) = &self.active
            && let Err(error) = active.file.truncate(active.durable_bytes)
        {
            tracing::warn!(%error, "can't cut off bytes that are not durable");
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

/// Error numbers without a name in the standard library, the same on every Unix: the process (or the whole system) has
/// reached its limit of open files.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// True if no further file can be opened for now.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// True if the disk, a quota or a file size limit has no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
