//! The real disk: one folder, its files opened for appending.
//!
//! The folder is created with mode 0700 and its files with 0600, because they hold everybody's logs. [`create_folder`]
//! and [`replace_file`] are for other parts of Weir, too: what they did survives a power cut once they return.

use crate::storage::{FileInfo, Lock, Storage, StoredFile};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Name of the file whose lock keeps a second process out. It is never removed: removing it would let a third
/// process lock a new file of the same name.
const LOCK_FILE: &str = "lock";

/// A folder on the real disk.
#[derive(Debug, Clone)]
pub struct Disk {
    folder: PathBuf,
    /// The folder itself, open since it was locked: syncing it takes no further file descriptor.
    open: Arc<Mutex<Option<File>>>,
}

impl Disk {
    /// The folder is created when the journal is opened, not here.
    pub fn new(folder: impl Into<PathBuf>) -> Disk {
        Disk { folder: folder.into(), open: Arc::default() }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Makes a folder, and those above it that are missing, and makes their names durable: those of folders that were there
/// too, since whoever made them may have died before that.
pub fn create_folder(folder: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    for above in folder.canonicalize()?.ancestors().skip(1) {
        match File::open(above).and_then(|above| above.sync_all()) {
            // Not ours to read, or on a file system where folders need no sync.
            Err(error) if matches!(error.kind(), PermissionDenied | InvalidInput | Unsupported) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Replaces the whole content of a file, or creates it with mode 0600. A reader sees the old content or the new, also
/// after a crash; once this returns the new content survives a power cut.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_file_with(path, |file| file.write_all(content))
}

/// Like [`replace_file`], for content that `write` produces. Whatever `write` fails with is returned, and the file stays
/// as it was.
pub fn replace_file_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    if let Err(error) = write(&mut file) {
        // The error of `write` says more than one of cleaning up after it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

struct FileLock {
    /// The lock goes with the open file.
    _file: File,
}

impl Lock for FileLock {}

impl Storage for Disk {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Lock>>> {
        create_folder(&self.folder, 0o700)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(self.path(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => {
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(File::open(&self.folder)?);
                Ok(Some(Box::new(FileLock { _file: file })))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<FileInfo>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since the folder was read: a running journal lets segments go.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // A name that is not UTF-8 is not one of ours.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push(FileInfo { name, size_bytes: metadata.len() });
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true).mode(0o600);
        let file = options.open(path)?;
        file.set_len(0)?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path(name);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            // Inspecting needs no right to write.
            Err(error) if error.kind() == PermissionDenied => File::open(&path)?,
            other => other?,
        };
        Ok(Arc::new(DiskFile { file }))
    }

    fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        match &*self.open.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(folder) => folder.sync_all(),
            None => File::open(&self.folder)?.sync_all(),
        }
    }
}

struct DiskFile {
    /// Opened with O_APPEND: every write goes to the end, also after a cut.
    file: File,
}

impl StoredFile for DiskFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() > 0)
    }

    fn append(&self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut rest = parts;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match (&self.file).write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.file, buffer, offset)
    }

    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replacing_a_file_leaves_the_new_content_and_no_temporary_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("name.json");
        for content in ["longer at first", "short"] {
            replace_file(&path, content.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&path).expect("readable"), content);
        }
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_replacement_that_fails_leaves_the_old_content_and_no_temporary_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("name.json");
        replace_file(&path, b"old").expect("replaced");
        let error = replace_file_with(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::other("interrupted"))
        });
        assert_eq!(error.expect_err("passed on").to_string(), "interrupted");
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_temporary_file_that_a_crash_left_behind_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("name.json");
        fs::write(folder.path().join("name.json.new"), "a longer remainder of a crash").expect("written");
        replace_file(&path, b"new").expect("replaced");
        assert_eq!(fs::read(&path).expect("readable"), b"new");
    }
}
