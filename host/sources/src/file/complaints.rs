//! What can't be read, said once for each file and again only if the reason changes.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::limits;

/// What was said.
pub(super) struct Complaints {
    source: String,
    said: HashMap<PathBuf, String>,
}

impl Complaints {
    pub fn new(source: &str) -> Complaints {
        Complaints { source: source.to_owned(), said: HashMap::new() }
    }

    /// A file can't be read.
    pub fn add(&mut self, path: &Path, reason: &impl Display) {
        let reason = reason.to_string();
        if self.said.get(path) == Some(&reason) {
            return;
        }
        if self.said.len() < limits::COMPLAINTS || self.said.contains_key(path) {
            tracing::warn!("source `{}`: can't read `{}`: {reason}; it is tried again", self.source, path.display());
            self.said.insert(path.to_owned(), reason);
        }
    }

    /// A file can be read.
    pub fn withdraw(&mut self, path: &Path) {
        if self.said.remove(path).is_some() {
            tracing::info!("source `{}` reads `{}` again", self.source, path.display());
        }
    }

    /// Forgets files that are not there any more.
    pub fn keep(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.said.retain(|path, _| is_there(path));
    }
}
