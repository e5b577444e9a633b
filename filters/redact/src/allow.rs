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
    /// These keys, wherever they are, and these paths.
    pub fn new(keys: KeySet, paths: Vec<Path>) -> Self {
        let any = !keys.is_empty() || !paths.is_empty();
        Allowed { keys, paths, any }
    }

    /// Whether there is anything on it. If not, no path need be kept.
    #[inline]
    pub fn any(&self) -> bool {
        self.any
    }

    /// Whether nothing is masked below a path, of which the last is a key.
    pub fn covers(&self, path: &[Vec<u8>]) -> bool {
        let by_key = path.last().is_some_and(|key| self.keys.contains(key));
        by_key
            || self.paths.iter().any(|allowed| {
                let keys = allowed.keys();
                keys.len() == path.len() && keys.iter().zip(path).all(|(allowed, key)| allowed.as_bytes() == key)
            })
    }
}
