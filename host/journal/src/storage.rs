//! What the journal needs from a disk: a folder of files that are appended to, read at offsets, cut and synced.
//!
//! Two traits of few methods, so that every fault a disk can show can be played by
//! [`Simulated`](crate::simulated::Simulated); [`Disk`](crate::disk::Disk) is the real one.
//!
//! What the journal relies on, and nothing more: after `StoredFile::sync` returns, the file's bytes and length
//! survive a power cut; after `Storage::sync_folder` returns, so do the creations, renames and removals before it;
//! `rename` replaces its target in one step. Everything not synced may be lost, torn or garbage.

use std::io::{self, IoSlice};
use std::sync::Arc;

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name, without a path.
    pub name: String,
    /// Its length now.
    pub size_bytes: u64,
}

/// Held while the journal is open; dropping it lets others in.
pub trait Lock: Send {}

/// A folder.
pub trait Storage: Send + Sync + 'static {
    /// How to name the folder to a person.
    fn place(&self) -> String;
    /// Keeps other processes out; `Ok(None)` when one is in already.
    fn lock(&self) -> io::Result<Option<Box<dyn Lock>>>;
    /// The files, in no particular order.
    fn list(&self) -> io::Result<Vec<FileInfo>>;
    /// An empty file, replacing one of that name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;
    /// An existing file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>>;
    /// True unless there is certainly no file of that name.
    fn exists(&self, name: &str) -> bool;
    /// Renames, replacing the target.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file.
pub trait StoredFile: Send + Sync {
    /// Its length now.
    fn size_bytes(&self) -> io::Result<u64>;
    /// False when the file has no name any more: it goes when it is closed.
    fn is_linked(&self) -> io::Result<bool>;
    /// Writes all the parts at the end of the file. On an error any prefix of them may have been written.
    fn append(&self, parts: &mut [IoSlice<'_>]) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at the offset; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file to this length.
    fn truncate(&self, size_bytes: u64) -> io::Result<()>;
    /// Makes bytes and length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

/// Fills `buffer` from the offset as far as the file goes; returns how much.
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
