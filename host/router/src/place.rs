//! Where the data folder is: what is in it speaks of files outside, which are the business of one folder alone.
//!
//! A folder knows its place: the file `place` in it holds its path, absolute and with symbolic links resolved. One that
//! is found elsewhere was copied or moved. A copy whose sinks went on with the original's files would cut and rename
//! them under the original's hands, so Weir does not start there until somebody says that the folder is to go on by
//! itself (`weir run --adopt`). From then on it has another journal's name (`identity.rs`), and its sinks have let go of
//! the files outside.
//!
//! It is the path that counts, not the device and inode: those change with every container and restored backup, while
//! the path in a container stays. So a folder that is brought to another machine under the same path goes on as it is,
//! with what lies at its sinks' paths there.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use weir_journal::disk::replace_file;

use crate::identity;

const FILE: &str = "place";

/// What is to be done once the folder is this process's alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    data: PathBuf,
    here: PathBuf,
    last: Option<PathBuf>,
}

impl Place {
    /// Looks at a data folder and touches nothing. An error when it is elsewhere than it was and `adopt` is not said.
    pub fn check(data: &Path, adopt: bool) -> anyhow::Result<Place> {
        let here = std::fs::canonicalize(data).with_context(|| format!("can't find {}", data.display()))?;
        let file = data.join(FILE);
        let last = match std::fs::read_to_string(&file) {
            Ok(text) => Some(PathBuf::from(text.trim_end_matches('\n'))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("can't read {}", file.display())),
        };
        let place = Place { data: data.to_owned(), here, last };
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
            "{what}. The files outside of it may belong to another router by now, so nothing was touched. To use it \
             here, start once with `weir run --adopt`: every sink continues where it was. File sinks leave the files \
             that they wrote before as they are: they don't compress or remove them, and after a crash these files may \
             contain the last second's records twice"
        )
    }

    /// Makes this the folder's place. To be called by who holds the journal's lock, before any sink is started.
    pub fn settle(self) -> anyhow::Result<()> {
        if self.last.as_ref() == Some(&self.here) {
            return Ok(());
        }
        if let Some(last) = &self.last {
            tracing::warn!("the data folder was {} and is {} now", last.display(), self.here.display());
            weir_sinks::release_files(&self.data).context("can't make the sinks let go of their files")?;
            // Last but one: until the place is written, all of this is done again.
            identity::renew(&self.data.join("journal"))?;
        }
        let failed = || format!("can't write {}", self.data.join(FILE).display());
        self.write().with_context(failed)
    }

    fn write(&self) -> io::Result<()> {
        // A path that is not UTF-8 is not written down: such a folder is taken for one without a place.
        let Some(here) = self.here.to_str() else { return Ok(()) };
        replace_file(&self.data.join(FILE), format!("{here}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(data: &Path) -> String {
        std::fs::create_dir_all(data.join("journal")).expect("writable");
        Place::check(data, false).expect("in its place").settle().expect("writable");
        identity::of_journal(&data.join("journal")).expect("a name")
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to.join("journal")).expect("writable");
        for name in ["place", "journal/id"] {
            std::fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }

    #[test]
    fn a_folder_stays_in_its_place_by_any_name_and_a_copy_asks_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let [data, other, link] = ["data", "other", "link"].map(|name| folder.path().join(name));
        let name = settled(&data);
        std::os::unix::fs::symlink("data", &link).expect("linked");
        assert_eq!(settled(&link), name);
        copy(&data, &other);
        let refused = Place::check(&other, false).expect_err("a copy").to_string();
        for text in ["a copy of", "still there", "--adopt"] {
            assert!(refused.contains(text), "{refused}");
        }
        Place::check(&other, true).expect("adopted").settle().expect("writable");
        assert_ne!(settled(&other), name, "its records are others");
        assert_eq!(settled(&data), name);
    }

    #[test]
    fn a_folder_that_was_moved_asks_and_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let [data, moved] = ["data", "moved"].map(|name| folder.path().join(name));
        settled(&data);
        std::fs::rename(&data, &moved).expect("moved");
        let refused = Place::check(&moved, false).expect_err("elsewhere").to_string();
        assert!(refused.contains("moved or copied") && refused.contains("as they are"), "{refused}");
    }
}
