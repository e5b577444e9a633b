//! Disk operations of sinks. [`Storage`] has one method per operation; it is the real file system or, in tests, one
//! that fails at any operation. [`Disk`] adds errors that name the operation and the path.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;

use weir_journal::disk::{create_folder, replace_file};

/// Log files outside the data folder are readable by owner and group.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// A sink's own files are readable by their owner only.
const OWN_FILE_MODE: u32 = 0o600;
const OWN_FOLDER_MODE: u32 = 0o700;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} `{place}`: {source}{hint}")]
pub struct DiskError {
    action: &'static str,
    place: String,
    hint: &'static str,
    /// The cause.
    pub source: io::Error,
}

impl DiskError {
    pub fn new(action: &'static str, place: &Path, source: io::Error) -> DiskError {
        let hint = match source.kind() {
            io::ErrorKind::PermissionDenied => "; give weir write access or change the path",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free space; `retention` and `rotate_keep` limit what a file sink keeps"
            }
            io::ErrorKind::ReadOnlyFilesystem => "; remount it writable or change the path",
            _ => "",
        };
        DiskError { action, place: place.display().to_string(), hint, source }
    }

    /// True if this path can never be a file, whatever is done to the disk.
    pub fn is_about_the_path(&self) -> bool {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
        matches!(self.source.kind(), IsADirectory | NotADirectory | InvalidFilename | InvalidInput)
    }
}

/// The operations on the disk.
pub trait Storage: Debug + Send + Sync {
    /// Opens a file for appending, creating it with this mode if necessary. Never waits for the reader of a pipe.
    fn open(&self, path: &Path, mode: u32) -> io::Result<File>;
    /// Creates a folder and its missing parents with this mode, durably.
    fn create_folder(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Appends to an open file. After an error, any part of the bytes may have been written.
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Makes the content of a file durable.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing the target.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Truncates a file, durably.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Replaces the whole content of a file, atomically and durably.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;
}

/// The real file system.
#[derive(Debug)]
pub struct FileSystem;

impl Storage for FileSystem {
    fn open(&self, path: &Path, mode: u32) -> io::Result<File> {
        let append = || {
            let mut options = OpenOptions::new();
            let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            options.append(true).mode(mode).custom_flags(nonblocking);
            options
        };
        match append().create_new(true).open(path) {
            Ok(file) => file.set_permissions(fs::Permissions::from_mode(mode)).map(|()| file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = append().create(true).open(path)?;
                regular(&file.metadata()?)?;
                Ok(file)
            }
            Err(error) => Err(error),
        }
    }

    fn create_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        let absent: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        create_folder(path, mode)?;
        // Independent of the process's umask.
        absent.into_iter().try_for_each(|folder| fs::set_permissions(folder, fs::Permissions::from_mode(mode)))
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_data()
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        replace_file(path, content)
    }
}

/// The disk as used by sinks. Clones share the storage.
#[derive(Clone, Debug)]
pub struct Disk {
    storage: Arc<dyn Storage>,
    /// Log files in this folder are for their owner, too.
    private: Option<PathBuf>,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk::new(Arc::new(FileSystem))
    }
}

impl Disk {
    /// A disk on top of this storage.
    pub fn new(storage: Arc<dyn Storage>) -> Disk {
        Disk { storage, private: None }
    }

    /// With log files in this folder that only their owner can read.
    pub fn with_private(self, folder: &Path) -> Disk {
        Disk { private: path::absolute(folder).ok(), ..self }
    }

    fn is_private(&self, path: &Path) -> bool {
        let private = self.private.as_deref();
        private.is_some_and(|folder| path::absolute(path).is_ok_and(|path| path.starts_with(folder)))
    }

    /// Opens a log file for appending, creating it if necessary.
    pub fn open(&self, path: &Path) -> Result<File, DiskError> {
        let mode = if self.is_private(path) { OWN_FILE_MODE } else { FILE_MODE };
        self.storage.open(path, mode).map_err(|error| DiskError::new("open", path, error))
    }

    /// Opens one of the sink's own files for appending, creating it if necessary.
    pub fn open_own(&self, path: &Path) -> Result<File, DiskError> {
        self.storage.open(path, OWN_FILE_MODE).map_err(|error| DiskError::new("open", path, error))
    }

    /// Creates a folder for logs and its missing parents, durably.
    pub fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        let mode = if self.is_private(path) { OWN_FOLDER_MODE } else { FOLDER_MODE };
        let created = self.storage.create_folder(path, mode);
        created.map_err(|error| DiskError::new("create folder", path, error))
    }

    /// Creates the folder of one of the sink's own files, durably.
    pub fn create_own_folder(&self, file: &Path) -> Result<(), DiskError> {
        let Some(folder) = file.parent().filter(|folder| !folder.is_dir()) else { return Ok(()) };
        let created = self.storage.create_folder(folder, OWN_FOLDER_MODE);
        created.map_err(|error| DiskError::new("create folder", folder, error))
    }

    /// Appends to an open file. After an error, any part of the bytes may have been written.
    pub fn append(&self, file: &mut File, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        self.storage.append(file, bytes).map_err(|error| DiskError::new("write", path, error))
    }

    /// Makes the content of a file durable.
    pub fn sync(&self, file: &File, path: &Path) -> Result<(), DiskError> {
        self.storage.sync(file).map_err(|error| DiskError::new("sync", path, error))
    }

    /// Makes the names in a folder durable.
    pub fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        self.storage.sync_folder(path).map_err(|error| DiskError::new("sync folder", path, error))
    }

    /// Renames a file, replacing the target.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.storage.rename(from, to).map_err(|error| DiskError::new("rename", from, error))
    }

    /// Removes a file. A missing file is not an error.
    pub fn remove(&self, path: &Path) -> Result<(), DiskError> {
        match self.storage.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, error)),
            _ => Ok(()),
        }
    }

    /// Truncates a file, durably.
    pub fn truncate(&self, path: &Path, length: u64) -> Result<(), DiskError> {
        self.storage.truncate(path, length).map_err(|error| DiskError::new("truncate", path, error))
    }

    /// The length of a file; `None` if it doesn't exist. Anything but a regular file is an error.
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

    /// Replaces the whole content of a file atomically and durably. Creates its folder if necessary.
    pub fn replace(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        self.create_own_folder(path)?;
        self.storage.replace(path, content).map_err(|error| DiskError::new("write", path, error))
    }
}

/// Refuses files that can't be truncated to a position, or whose opening might block.
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
