//! The real disk: one folder, its files opened for appending.
//!
//! The folder is created with mode 0700 and its files with 0600, because they contain everybody's logs. Other parts of
//! Weir use [`create_folder`] and [`replace_file`] too; their effect survives a power cut once they return. A file that
//! root creates belongs to the owner of its folder.

use crate::storage::{FileInfo, Lock, Storage, StoredFile};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind::{AlreadyExists, InvalidInput, PermissionDenied, Unsupported};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The lock file that keeps other processes out. It is never removed: if it were, a third process could lock a new file
/// of the same name.
const LOCK_FILE: &str = "lock";

/// A folder on the real disk.
#[derive(Debug, Clone)]
pub struct Disk {
    folder: PathBuf,
    /// The folder itself, kept open from locking on, so that syncing it takes no further file descriptor.
    open: Arc<Mutex<Option<File>>>,
}

impl Disk {
    /// The folder is created when the journal is opened, not here.
    pub fn new(folder: impl Into<PathBuf>) -> Disk {
        Disk { folder: folder.into(), open: Arc::default() }
    }

    /// The path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Creates a folder and its missing parents and makes their names durable. Existing parents are synced too: whoever
/// created them may have crashed before doing so.
pub fn create_folder(folder: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    for above in folder.canonicalize()?.ancestors().skip(1) {
        match File::open(above).and_then(|above| above.sync_all()) {
            // A folder that can't be read, or a file system where folders need no sync.
            Err(error) if matches!(error.kind(), PermissionDenied | InvalidInput | Unsupported) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Replaces the whole content of a file, or creates it with mode 0600. A reader sees either the old content or the new,
/// also after a crash. The new content survives a power cut once this returns.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_file_with(path, |file| file.write_all(content))
}

/// Like [`replace_file`], for content produced by `write`. If `write` fails, its error is returned and the file is
/// unchanged.
pub fn replace_file_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A crash may have left it behind. If it can't be removed, it can't be created either.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    give_to_owner(&file, folder);
    if let Err(error) = write(&mut file) {
        // The error of `write` is more useful than a clean-up error.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// Gives a file that was just created to the owner of its folder. Otherwise a router that runs as its own user could
/// not read what a command of root has written. Only for new files: an existing one may be a link, set by that user, to
/// a file that root must keep.
fn give_to_owner(file: &File, folder: &Path) {
    if let (Ok(own), Ok(owner)) = (file.metadata(), folder.metadata())
        && own.uid() != owner.uid()
    {
        // Others than root may not, and some file systems can't. The file is usable for its creator all the same.
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

struct FileLock {
    /// Closing the file releases the lock.
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
                // Removed since the folder was read: a running journal removes segments.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // The journal never creates names that are not UTF-8.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push(FileInfo { name, size_bytes: metadata.len() });
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path(name);
        let mut options = OpenOptions::new();
        options.read(true).append(true).mode(0o600);
        let file = match options.clone().create_new(true).open(&path) {
            Ok(file) => {
                give_to_owner(&file, &self.folder);
                file
            }
            Err(error) if error.kind() == AlreadyExists => options.open(&path)?,
            Err(error) => return Err(error),
        };
        file.set_len(0)?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let path = self.path(name);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            // Inspecting requires no write permission.
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
    /// Opened with O_APPEND: every write goes to the end, also after a truncation.
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
    fn a_replaced_file_has_the_new_content_and_no_temporary_file_is_left() {
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
    fn a_failed_replacement_keeps_the_old_content_and_leaves_no_temporary_file() {
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
    fn what_root_creates_belongs_to_the_owner_of_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        // Only root can give it away; for others, it has their files anyway.
        let _ = std::os::unix::fs::chown(folder.path(), Some(65_534), Some(65_534));
        let owner = |path: &Path| fs::metadata(path).map(|about| (about.uid(), about.gid())).expect("there");
        let path = folder.path().join("tokens.json");
        replace_file(&path, b"{}").expect("replaced");
        Disk::new(folder.path()).create("segment").expect("created");
        for file in [path, folder.path().join("segment")] {
            assert_eq!(owner(&file), owner(folder.path()), "{}", file.display());
        }
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
