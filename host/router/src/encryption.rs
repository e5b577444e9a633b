//! The keys that the journal and the quarantine are encrypted with: read from files and the environment, checked before
//! anything in the data folder is changed, and made by `weir journal new-key`.
//!
//! No key and no part of one is ever shown. Messages name a key by where it comes from, or by its id.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use weir_journal::cipher::{Key, KeyId};
use weir_journal::{Disk, Keys};

use crate::config::{EncryptionSettings, KeySource, Settings};
use crate::parts;
use crate::quarantine;

/// The keys of these settings.
pub fn keys(settings: &Settings) -> anyhow::Result<Keys> {
    let EncryptionSettings { key, previous_keys } = &settings.encryption;
    let mut seen = BTreeMap::new();
    let mut read = |source: &KeySource| {
        let key = read(source)?;
        match seen.insert(key.id(), name(source)) {
            Some(other) => bail!("{other} and {} are the same key: remove one of them", name(source)),
            None => Ok(key),
        }
    };
    let current = key.as_ref().map(&mut read).transpose()?;
    let previous = previous_keys.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Keys::new(current, previous))
}

/// Warnings about keys that others may read.
pub fn warnings(settings: &Settings) -> Vec<String> {
    let EncryptionSettings { key, previous_keys } = &settings.encryption;
    let files = key.iter().chain(previous_keys).filter_map(|source| match source {
        KeySource::File(path) => Some(path),
        KeySource::Environment(_) => None,
    });
    files.filter_map(|path| warning(path, &settings.data)).collect()
}

fn warning(path: &Path, data: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o007 != 0 {
        return Some(format!("everybody on this machine may use the key {0}; run `chmod o= {0}`", path.display()));
    }
    let is_within = fs::canonicalize(path).ok()?.starts_with(fs::canonicalize(data).ok()?);
    is_within.then(|| format!("the key {} is in the data folder that it protects; move it elsewhere", path.display()))
}

/// Fails if something in the data folder is encrypted with a key that is missing. Changes nothing.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    let keys = keys(settings)?;
    let folder = parts::journal_folder(settings);
    if folder.is_dir() {
        weir_journal::check_keys(&Disk::new(folder), &keys)?;
    }
    quarantine::check_keys(&parts::quarantine_folder(settings), &keys)
}

/// Writes a new key to a file that only its owner can read, or to standard output.
pub fn new_key(file: Option<&Path>) -> anyhow::Result<()> {
    let text = Key::random()?;
    let Some(path) = file else {
        return Ok(weir_terminal::text(&format!("{text}\n"))?);
    };
    let failed = || format!("can't create {}", path.display());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(failed)?;
    file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).with_context(failed)?;
    let id: KeyId = Key::parse(&text)?.id();
    Ok(weir_terminal::text(&format!("{} contains a new key, {id}; keep a copy of it elsewhere\n", path.display()))?)
}

fn read(source: &KeySource) -> anyhow::Result<Key> {
    let text = match source {
        KeySource::File(path) => {
            fs::read_to_string(path).with_context(|| format!("can't read the key {}", path.display()))?
        }
        KeySource::Environment(name) => std::env::var(name)
            .ok()
            .with_context(|| format!("the environment variable {name} with a key is not set"))?,
    };
    Key::parse(&text).with_context(|| name(source))
}

fn name(source: &KeySource) -> String {
    match source {
        KeySource::File(path) => path.display().to_string(),
        KeySource::Environment(name) => format!("the environment variable {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key: Option<&Path>, previous: &[&Path]) -> Settings {
        let mut settings = Settings::default_for(Path::new(""), &|_| None).expect("the defaults");
        let file = |path: &&Path| KeySource::File(path.to_path_buf());
        settings.encryption.key = key.as_ref().map(file);
        settings.encryption.previous_keys = previous.iter().map(file).collect();
        settings
    }

    #[test]
    fn a_new_key_is_readable_by_its_owner_only_and_never_overwrites() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.key");
        new_key(Some(&path)).expect("written");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(new_key(Some(&path)).is_err());
        let found = keys(&settings(Some(&path), &[])).expect("a key");
        assert!(found.encrypts());
        let same = keys(&settings(Some(&path), &[&path])).expect_err("listed twice").to_string();
        assert!(same.contains("the same key"), "{same}");
    }

    #[test]
    fn a_file_without_a_key_is_named_and_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.key");
        fs::write(&path, "hunter2").expect("written");
        let error = format!("{:#}", keys(&settings(Some(&path), &[])).expect_err("no key"));
        assert!(error.contains("data.key") && error.contains("new-key") && !error.contains("hunter2"), "{error}");
        let error = format!("{:#}", keys(&settings(None, &[&folder.path().join("gone")])).expect_err("no file"));
        assert!(error.contains("gone"), "{error}");
    }

    #[test]
    fn keys_that_others_may_read_and_keys_in_the_data_folder_are_warned_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let [data, path] = ["data", "data.key"].map(|name| folder.path().join(name));
        fs::create_dir(&data).expect("created");
        new_key(Some(&path)).expect("written");
        let of = |key: &Path| {
            let mut settings = settings(Some(key), &[]);
            settings.data = data.clone();
            warnings(&settings)
        };
        assert_eq!(of(&path), [""; 0]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(of(&path)[0].contains("everybody"));
        let within = data.join("data.key");
        new_key(Some(&within)).expect("written");
        assert!(of(&within)[0].contains("in the data folder"));
    }
}
