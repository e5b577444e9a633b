//! Reads files from untrusted places: regular files only, up to a limit. Opening a FIFO would wait for a writer, and a
//! device such as `/dev/zero` has no end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, Read as _, Result};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Reads a whole file.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    // Checked before opening, which has side effects on some devices, and again on the opened file.
    check(&std::fs::metadata(path)?, max_bytes)?;
    let file = open(path)?;
    let about = file.metadata()?;
    check(&about, max_bytes)?;
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max_bytes {
        true => Err(too_large(bytes.len() as u64, max_bytes)),
        false => Ok(bytes),
    }
}

fn open(path: &Path) -> Result<File> {
    let without_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(without_waiting).open(path)
}

fn check(about: &Metadata, max_bytes: u64) -> Result<()> {
    if !about.is_file() {
        return Err(Error::other("it is not a regular file"));
    }
    match about.len() > max_bytes {
        true => Err(too_large(about.len(), max_bytes)),
        false => Ok(()),
    }
}

fn too_large(bytes: u64, max_bytes: u64) -> Error {
    Error::other(format!("it has {bytes} bytes; the limit is {max_bytes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), b"content").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap();
        assert!(made.success());
        for name in ["file", "link"] {
            assert_eq!(read(&path(name), 7).unwrap(), b"content");
        }
        assert!(read(&path("file"), 6).unwrap_err().to_string().contains("7 bytes"));
        for name in ["zero", "fifo", "."] {
            assert!(read(&path(name), 7).unwrap_err().to_string().contains("not a regular file"), "{name}");
        }
    }
}
