//! The few things that sinks do to the disk, each with an error that names the thing and the place. Tests cut the
//! power before any one of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Logs are for their owner and group.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// What could not be done.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} `{place}`: {source}{hint}")]
pub struct DiskError {
    action: &'static str,
    place: String,
    hint: &'static str,
    /// Why.
    pub source: io::Error,
}

impl DiskError {
    pub fn new(action: &'static str, place: &Path, source: io::Error) -> DiskError {
        let hint = match source.kind() {
            io::ErrorKind::PermissionDenied => "; give weir write access or change the path",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free room; a file sink's `retention` and `rotate_keep` bound what it keeps"
            }
            io::ErrorKind::ReadOnlyFilesystem => "; mount it writable or change the path",
            _ => "",
        };
        DiskError { action, place: place.display().to_string(), hint, source }
    }

    /// True when this one path can never be a file, whatever is done to the disk.
    pub fn is_about_the_path(&self) -> bool {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
        matches!(self.source.kind(), IsADirectory | NotADirectory | InvalidFilename | InvalidInput)
    }
}

/// The disk. Cloning gives the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Operations left until the power goes, when it does.
    #[cfg(test)]
    pub fuse: Option<std::sync::Arc<std::sync::atomic::AtomicI64>>,
}

impl Disk {
    #[cfg(not(test))]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        match &self.fuse {
            Some(fuse) if fuse.fetch_sub(1, Ordering::Relaxed) <= 0 => Err(io::Error::other("the power is off")),
            _ => Ok(()),
        }
    }

    /// False in a sweep: the process dies there, not the machine, and thousands of real syncs would take minutes.
    fn syncs(&self) -> bool {
        #[cfg(test)]
        return self.fuse.is_none();
        #[cfg(not(test))]
        true
    }

    fn run<T>(&self, action: &'static str, place: &Path, work: impl FnOnce() -> io::Result<T>) -> Result<T, DiskError> {
        self.step().and_then(|()| work()).map_err(|source| DiskError::new(action, place, source))
    }

    /// Opens a file for appending, made when absent. Never waits for whoever reads a pipe.
    pub fn open(&self, path: &Path) -> Result<File, DiskError> {
        self.run("open", path, || {
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let file =
                OpenOptions::new().append(true).create(true).mode(FILE_MODE).custom_flags(nonblocking).open(path)?;
            regular(&file.metadata()?)?;
            Ok(file)
        })
    }

    /// Makes a folder and those above it.
    pub fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.run("create folder", path, || fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path))
    }

    /// Appends to an open file. Fails with any part of it written; a sweep tries the half.
    pub fn append(&self, file: &mut File, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        let (first, rest) = bytes.split_at(if cfg!(test) { bytes.len() / 2 } else { 0 });
        if !first.is_empty() {
            self.run("write", path, || file.write_all(first))?;
        }
        self.run("write", path, || file.write_all(rest))
    }

    /// Makes a file's content durable.
    pub fn sync(&self, file: &File, path: &Path) -> Result<(), DiskError> {
        self.run("sync", path, || if self.syncs() { file.sync_data() } else { Ok(()) })
    }

    /// Makes the names in a folder durable.
    pub fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.run("sync folder", path, || if self.syncs() { File::open(path)?.sync_all() } else { Ok(()) })
    }

    /// Renames over whatever has the name.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.run("rename", from, || fs::rename(from, to))
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.run("remove", path, || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// Cuts a file, durably.
    pub fn truncate(&self, path: &Path, length: u64) -> Result<(), DiskError> {
        self.run("truncate", path, || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(length)?;
            if self.syncs() { file.sync_data() } else { Ok(()) }
        })
    }

    /// A file's length; none when it is not there. An error when it is anything but a regular file.
    pub fn length(&self, path: &Path) -> Result<Option<u64>, DiskError> {
        match fs::metadata(path) {
            Ok(found) => {
                regular(&found).map_err(|error| DiskError::new("open", path, error))?;
                Ok(Some(found.len()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new("read", path, error)),
        }
    }

    /// Replaces a file as a whole, durably: a reader finds the old content or the new.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        let mut fresh = path.as_os_str().to_os_string();
        fresh.push(".new");
        let fresh = Path::new(&fresh);
        self.run("write", fresh, || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(fresh)?;
            file.write_all(content)?;
            if self.syncs() { file.sync_data() } else { Ok(()) }
        })?;
        self.rename(fresh, path)?;
        self.sync_folder(path.parent().unwrap_or(Path::new("/")))
    }
}

/// Refuses what can't be cut back to a position, and might block whoever opens it.
fn regular(found: &fs::Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    let reason = format!("it is {what} and not a regular file; remove it or change the path");
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}
