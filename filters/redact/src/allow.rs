//! Keys and paths under which nothing is masked.

use weir_guest::Path;

use crate::keys::KeySet;

/// The allow-list of keys.
#[derive(Debug)]
pub struct Allowed {
    keys: KeySet,
    paths: Vec<Path>,
    any: bool,
}

impl Allowed {
    /// Creates the list from keys, which apply anywhere, and paths.
    pub fn new(keys: KeySet, paths: Vec<Path>) -> Self {
        let any = !keys.is_empty() || !paths.is_empty();
        Allowed { keys, paths, any }
    }

    /// Whether the list is empty. Then the walk need not track its path.
    #[inline]
    pub fn any(&self) -> bool {
        self.any
    }

    /// Whether nothing is masked under a path, whose last element is a key.
    pub fn covers(&self, path: &[Vec<u8>]) -> bool {
        let by_key = path.last().is_some_and(|key| self.keys.contains(key));
        by_key
            || self.paths.iter().any(|allowed| {
                let keys = allowed.keys();
                keys.len() == path.len() && keys.iter().zip(path).all(|(allowed, key)| allowed.as_bytes() == key)
            })
    }
}
