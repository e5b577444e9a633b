//! What the journal needs from a disk: a folder of files that can be appended to, read at offsets, truncated and
//! synced.
//!
//! The two traits have few methods, so that [`Simulated`](crate::simulated::Simulated) can simulate every fault of a
//! disk; [`Disk`](crate::disk::Disk) is the real one.
//!
//! The journal relies on this and nothing more: after `StoredFile::sync` returns, the file's bytes and length survive a
//! power cut; after `Storage::sync_folder` returns, so do the creations, renames and removals before it; `rename`
//! replaces its target atomically. Everything unsynced may be lost, torn or garbage.

use std::io::{self, IoSlice};
use std::sync::Arc;

/// A file in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Name without a path.
    pub name: String,
    /// Current length.
    pub size_bytes: u64,
}

/// Held while the journal is open; dropping it releases the folder.
pub trait Lock: Send {}

/// A folder.
pub trait Storage: Send + Sync + 'static {
    /// The name of the folder, for messages.
    fn place(&self) -> String;
    /// Keeps other processes out; `Ok(None)` if another process holds the lock.
    fn lock(&self) -> io::Result<Option<Box<dyn Lock>>>;
    /// The files, in no particular order.
    fn list(&self) -> io::Result<Vec<FileInfo>>;
    /// Creates an empty file, replacing one of that name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;
    /// Opens an existing file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;
    /// True unless there is certainly no file of that name.
    fn exists(&self, name: &str) -> bool;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file.
pub trait StoredFile: Send + Sync {
    /// Current length.
    fn size_bytes(&self) -> io::Result<u64>;
    /// False if the file no longer has a name and will disappear when closed.
    fn is_linked(&self) -> io::Result<bool>;
    /// Writes all parts at the end of the file. After an error, any prefix of them may have been written.
    fn append(&self, parts: &mut [IoSlice<'_>]) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at the offset; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Truncates the file to this length.
    fn truncate(&self, size_bytes: u64) -> io::Result<()>;
    /// Makes content and length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

/// Fills `buffer` from the offset on, up to the end of the file. Returns the number of bytes read.
pub(crate) fn read_up_to(file: &dyn StoredFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
