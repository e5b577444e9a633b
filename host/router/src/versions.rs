//! The version history of each filter, for rollbacks: modules by digest, with the time and author of each change.
//!
//! | file in `DATA/versions` | contents |
//! |---|---|
//! | `NAME.DIGEST.kept` | a module; not named `.wasm`, because `.wasm` files are watched |
//! | `NAME.json` | the history: versions in the order of their last load, the running one last |
//! | `NAME.pinned` | the pin: which digest to run instead of another; written by a rollback, a swap over the API, and a rejected trial |
//!
//! **A pin applies to one digest.** As soon as the filters folder contains another module, that is loaded as usual.
//! Only the router writes histories. Pins are also written by `weir filter rollback`, and watched like modules. Every
//! file is written to a temporary file and renamed, so that no file is ever incomplete.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use weir_journal::disk::{create_folder, replace_file};

use crate::limits;
use weir_filter_kit::limits::MODULE_BYTES;
use weir_filter_kit::regular;

/// Characters of a digest in messages.
const SHOWN_DIGEST: usize = 12;

/// The folder of versions.
#[derive(Clone, Debug)]
pub struct Versions {
    folder: PathBuf,
}

/// The versions of one filter, the running one last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub versions: Vec<VersionEntry>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionEntry {
    pub digest: String,
    /// The version that the filter declares.
    pub version: String,
    /// When it was last loaded, in RFC 3339.
    pub when: String,
    /// `folder`, `bundled`, `api`, or the user who rolled back to it.
    pub by: String,
}

impl History {
    /// The version to roll back to: the requested one, or the previous one.
    pub fn rollback_target(&self, name: &str, to: Option<&str>) -> Result<&VersionEntry, String> {
        let Some((running, before)) = self.versions.split_last() else {
            return Err(format!("filter `{name}` has no version to roll back to: it never ran with this data folder"));
        };
        let Some(to) = to else {
            return before.last().ok_or_else(|| format!("filter `{name}` has no other version to roll back to"));
        };
        let mut found = self.versions.iter().filter(|kept| kept.digest.starts_with(to));
        match (found.next(), found.next()) {
            (Some(kept), None) if kept.digest == running.digest => {
                Err(format!("filter `{name}` already runs that version"))
            }
            (Some(kept), None) => Ok(kept),
            (None, _) => {
                Err(format!("filter `{name}` has no version `{to}`; `weir filter list --versions` shows the versions"))
            }
            (Some(_), Some(_)) => Err(format!(
                "filter `{name}` has several versions that begin with `{to}`; give a longer prefix of the digest"
            )),
        }
    }
}

/// A version that runs instead of the module in the filters folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    pub instead_of: String,
    pub run: String,
    pub by: String,
    pub why: String,
}

impl Versions {
    /// The versions in a data folder.
    pub fn of(data: &Path) -> Self {
        Self { folder: data.join("versions") }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The history of a filter; empty if it can't be read.
    pub fn history(&self, name: &str) -> History {
        self.read(&format!("{name}.json")).unwrap_or_default()
    }

    pub fn pin(&self, name: &str) -> Option<Pin> {
        self.read(&format!("{name}.pinned"))
    }

    /// Sets the pin of a filter, or removes it.
    pub fn replace_pin(&self, name: &str, pin: Option<&Pin>) -> Result<(), String> {
        let Some(pin) = pin else {
            let path = self.folder.join(format!("{name}.pinned"));
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(format!("can't remove `{}`: {error}", path.display()))
                }
                _ => Ok(()),
            };
        };
        self.set_pin(name, pin)
    }

    pub fn set_pin(&self, name: &str, pin: &Pin) -> Result<(), String> {
        self.write(&format!("{name}.pinned"), &json(pin))
    }

    /// Reads a kept module and verifies its digest.
    pub fn module(&self, name: &str, digest: &str) -> Result<Vec<u8>, String> {
        let path = self.folder.join(module_file(name, digest));
        let bytes = regular::read(&path, MODULE_BYTES).map_err(|error| {
            format!("filter `{name}`: can't read the version to run, `{}`: {error}; put another module in the filters folder", path.display())
        })?;
        match sha256(&bytes) == digest {
            true => Ok(bytes),
            false => Err(format!("filter `{name}`: `{}` doesn't match its digest; remove it", path.display())),
        }
    }

    /// Stores a module.
    pub fn store_module(&self, name: &str, digest: &str, module: &[u8]) -> Result<(), String> {
        let file = module_file(name, digest);
        match self.folder.join(&file).exists() {
            true => Ok(()),
            false => self.write(&file, module),
        }
    }

    /// Stores a module that may run later, in place of an earlier one that did not.
    pub fn store_candidate(&self, name: &str, digest: &str, module: &[u8]) -> Result<(), String> {
        self.sweep(name, &self.history(name));
        self.store_module(name, digest, module)
    }

    /// Adds a loaded version to the history, and removes the oldest beyond [`limits::KEPT_VERSIONS`].
    pub fn record(&self, name: &str, kept: VersionEntry) -> Result<(), String> {
        let mut history = self.history(name);
        if history.versions.last().is_some_and(|last| last.digest == kept.digest) {
            return Ok(());
        }
        history.versions.retain(|old| old.digest != kept.digest);
        history.versions.push(kept);
        let too_many = history.versions.len().saturating_sub(limits::KEPT_VERSIONS);
        history.versions.drain(..too_many);
        self.write(&format!("{name}.json"), &json(&history))?;
        self.sweep(name, &history);
        Ok(())
    }

    /// Removes modules that are not in the filter's history.
    fn sweep(&self, name: &str, history: &History) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let digest = file.strip_prefix(&format!("{name}.")).and_then(|rest| rest.strip_suffix(".kept"));
            let Some(digest) = digest.filter(|digest| is_digest(digest)) else { continue };
            if history.versions.iter().all(|kept| kept.digest != digest)
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!("can't remove the old version {}: {error}", entry.path().display());
            }
        }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, file: &str) -> Option<T> {
        let path = self.folder.join(file);
        let bytes = regular::read(&path, limits::VERSION_FILE_BYTES).ok()?;
        match serde_json::from_slice(&bytes) {
            Ok(read) => Some(read),
            Err(error) => {
                tracing::warn!("ignoring {}: {error}; remove it", path.display());
                None
            }
        }
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.folder.join(file);
        let written = create_folder(&self.folder, 0o777).and_then(|()| replace_file(&path, bytes));
        written.map_err(|error| {
            format!("can't write `{}`: {error}; free disk space or give weir write access", path.display())
        })
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Serializing strings and lists can't fail.
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

fn module_file(name: &str, digest: &str) -> String {
    format!("{name}.{digest}.kept")
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The digest of a module, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A digest shortened for messages; enough to distinguish versions.
pub fn short(digest: &str) -> &str {
    digest.get(..SHOWN_DIGEST).unwrap_or(digest)
}

/// The current time in RFC 3339, for the history.
pub fn now() -> String {
    at(weir_record::time::now_ns())
}

/// Formats a time as RFC 3339.
pub fn at(ns: i64) -> String {
    let mut text = Vec::new();
    weir_record::time::format_rfc3339(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(module: &[u8]) -> VersionEntry {
        VersionEntry { digest: sha256(module), version: "1.0.0".into(), when: now(), by: "folder".into() }
    }

    #[test]
    fn only_the_latest_versions_are_kept() {
        let data = tempfile::tempdir().unwrap();
        let versions = Versions::of(data.path());
        let modules: Vec<Vec<u8>> = (0..limits::KEPT_VERSIONS as u8 + 3).map(|n| vec![n]).collect();
        versions.store_module("f.2", &sha256(b"other"), b"other").unwrap();
        for module in &modules {
            versions.store_module("f", &sha256(module), module).unwrap();
            versions.record("f", kept(module)).unwrap();
            versions.record("f", kept(module)).unwrap();
        }
        let history = versions.history("f");
        assert_eq!(history.versions.len(), limits::KEPT_VERSIONS);
        assert_eq!(history.versions.last().unwrap().digest, sha256(modules.last().unwrap()));
        assert_eq!(versions.module("f", &sha256(&modules[4])), Ok(vec![4]));
        assert!(versions.module("f", &sha256(&modules[0])).is_err());
        assert!(versions.module("f.2", &sha256(b"other")).is_ok(), "another filter's");
        versions.record("f", kept(&modules[5])).unwrap();
        let order: Vec<_> = versions.history("f").versions.into_iter().map(|kept| kept.digest).collect();
        assert_eq!((order.len(), order.last()), (limits::KEPT_VERSIONS, Some(&sha256(&modules[5]))));
    }

    #[test]
    fn the_default_rollback_target_is_the_previous_version() {
        let digest = |digests: &[&str], to| {
            let kept = |digest: &&str| VersionEntry { digest: (*digest).to_owned(), ..kept(b"") };
            let history = History { versions: digests.iter().map(kept).collect() };
            history.rollback_target("f", to).map(|kept| kept.digest.clone())
        };
        assert_eq!(digest(&["a1", "b2", "c3"], None).unwrap(), "b2");
        assert_eq!(digest(&["a1", "b2", "c3"], Some("a")).unwrap(), "a1");
        for (digests, to, reason) in [
            (&[][..], None, "never ran"),
            (&["a1"], None, "no other version"),
            (&["a1", "b2"], Some("b"), "already"),
            (&["a1", "b2"], Some("c"), "no version `c`"),
            (&["a1", "a2", "b3"], Some("a"), "several"),
        ] {
            let error = digest(digests, to).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn only_one_candidate_is_kept_beside_the_history() {
        let data = tempfile::tempdir().unwrap();
        let versions = Versions::of(data.path());
        versions.store_module("f", &sha256(b"a"), b"a").unwrap();
        versions.record("f", kept(b"a")).unwrap();
        versions.store_candidate("f", &sha256(b"b"), b"b").unwrap();
        versions.store_candidate("f", &sha256(b"c"), b"c").unwrap();
        let is_kept = |module: &[u8]| versions.module("f", &sha256(module)).is_ok();
        assert_eq!([is_kept(b"a"), is_kept(b"b"), is_kept(b"c")], [true, false, true]);
    }

    #[test]
    fn a_modified_module_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let versions = Versions::of(data.path());
        versions.store_module("f", &sha256(b"a"), b"b").unwrap();
        assert!(versions.module("f", &sha256(b"a")).unwrap_err().contains("doesn't match its digest"));
    }

    #[test]
    fn a_pin_is_read_back_and_an_invalid_one_is_ignored() {
        let data = tempfile::tempdir().unwrap();
        let versions = Versions::of(data.path());
        assert_eq!(versions.pin("f"), None);
        let pin = Pin { instead_of: "a".into(), run: "b".into(), by: "ada@host".into(), why: "rollback".into() };
        versions.set_pin("f", &pin).unwrap();
        assert_eq!(versions.pin("f"), Some(pin));
        fs::write(versions.folder().join("f.pinned"), b"{").unwrap();
        assert_eq!(versions.pin("f"), None);
    }
}
