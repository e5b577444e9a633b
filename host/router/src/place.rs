//! Detects a data folder that was copied or moved. The data folder refers to files outside, which only one folder may
//! manage.
//!
//! The file `place` in the folder contains its absolute path with symbolic links resolved. If that differs from the
//! actual path, the folder was copied or moved. The sinks of a copy would truncate and rename the files of the
//! original, so Weir doesn't start until the user adopts the folder (`weir run --adopt`). It then gets a new journal id
//! (`identity.rs`), and its sinks release the files outside.
//!
//! Only the path counts, not device and inode, which change with every container and restored backup while the path
//! stays the same. A folder that is moved to the same path on another machine continues unchanged, with the files at
//! its sinks' paths there.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use weir_journal::disk::replace_file;

use crate::identity;

const FILE: &str = "place";

/// The result of the check, to be committed after this process has locked the folder.
#[derive(Debug, PartialEq, Eq)]
pub struct DataLocation {
    data: PathBuf,
    here: PathBuf,
    last: Option<PathBuf>,
}

impl DataLocation {
    /// Checks a data folder without changing it. Fails if it was moved and `adopt` is not set.
    pub fn check(data: &Path, adopt: bool) -> anyhow::Result<DataLocation> {
        let here = std::fs::canonicalize(data).with_context(|| format!("can't find {}", data.display()))?;
        let file = data.join(FILE);
        let last = match std::fs::read_to_string(&file) {
            Ok(text) => Some(PathBuf::from(text.trim_end_matches('\n'))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("can't read {}", file.display())),
        };
        let place = DataLocation { data: data.to_owned(), here, last };
        match &place.last {
            Some(last) if *last != place.here && !adopt => bail!("{}", place.refusal(last)),
            _ => Ok(place),
        }
    }

    fn refusal(&self, last: &Path) -> String {
        let (here, there) = (self.here.display(), last.display());
        let name = |folder: &Path| std::fs::read_to_string(folder.join("journal").join(identity::FILE)).ok();
        let original = name(last).filter(|there| Some(there) == name(&self.here).as_ref());
        let what = match original {
            Some(_) => format!("the data folder {here} is a copy of {there}, which is still there"),
            None => format!("the data folder {here} was {there} when Weir last ran with it; it was moved or copied"),
        };
        format!(
            "{what}. The files outside that it refers to may now belong to another folder, so nothing was changed. To \
             continue with this folder, start once with `weir run --adopt`: every sink continues at its position, but \
             file sinks leave their existing files unchanged: they neither truncate them to the last position (after a \
             crash, the last second's records may be in them twice) nor compress or delete them"
        )
    }

    /// Records the current path. The caller must hold the journal's lock and must not have started any sink.
    pub fn commit(self) -> anyhow::Result<()> {
        if self.last.as_ref() == Some(&self.here) {
            return Ok(());
        }
        if let Some(last) = &self.last {
            tracing::warn!("the data folder was {} and is {} now", last.display(), self.here.display());
            weir_sinks::release_files(&self.data).context("can't release the files of the sinks")?;
            // Before `place` is written, so that a crash repeats all steps.
            identity::renew(&self.data.join("journal"))?;
        }
        let failed = || format!("can't write {}", self.data.join(FILE).display());
        self.write().with_context(failed)
    }

    fn write(&self) -> io::Result<()> {
        // A path that is not UTF-8 is not recorded, so such a folder is never checked.
        let Some(here) = self.here.to_str() else { return Ok(()) };
        replace_file(&self.data.join(FILE), format!("{here}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(data: &Path) -> String {
        std::fs::create_dir_all(data.join("journal")).expect("writable");
        DataLocation::check(data, false).expect("in its place").commit().expect("writable");
        identity::of_journal(&data.join("journal")).expect("a name")
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to.join("journal")).expect("writable");
        for name in ["place", "journal/id"] {
            std::fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }

    #[test]
    fn a_folder_is_recognized_by_any_path_and_a_copy_must_be_adopted() {
        let folder = tempfile::tempdir().expect("a folder");
        let [data, other, link] = ["data", "other", "link"].map(|name| folder.path().join(name));
        let name = settled(&data);
        std::os::unix::fs::symlink("data", &link).expect("linked");
        assert_eq!(settled(&link), name);
        copy(&data, &other);
        let refused = DataLocation::check(&other, false).expect_err("a copy").to_string();
        for text in ["a copy of", "still there", "--adopt"] {
            assert!(refused.contains(text), "{refused}");
        }
        DataLocation::check(&other, true).expect("adopted").commit().expect("writable");
        assert_ne!(settled(&other), name, "its records are others");
        assert_eq!(settled(&data), name);
    }

    #[test]
    fn a_moved_folder_must_be_adopted() {
        let folder = tempfile::tempdir().expect("a folder");
        let [data, moved] = ["data", "moved"].map(|name| folder.path().join(name));
        settled(&data);
        std::fs::rename(&data, &moved).expect("moved");
        let refused = DataLocation::check(&moved, false).expect_err("elsewhere").to_string();
        assert!(refused.contains("moved or copied") && refused.contains("neither truncate"), "{refused}");
    }
}
