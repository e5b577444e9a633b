//! Checks where the keys for stored data come from. They are read when the router starts (`keys.rs`).

use std::path::Path;

use super::{Location, Reader};
use crate::config::raw;
use crate::config::settings::{EncryptionSettings, KeySource};

impl Reader<'_> {
    pub(super) fn encryption(&mut self, at: &Location<'_>, raw: raw::Encryption, folder: &Path) -> EncryptionSettings {
        let key = raw.key.and_then(|key| self.key_source(&at.key("key"), key, folder));
        let places = at.key("previous_keys").items();
        let previous = places.iter().zip(raw.previous_keys);
        let previous_keys = previous.filter_map(|(at, key)| self.key_source(at, key, folder)).collect();
        EncryptionSettings { key, previous_keys }
    }

    fn key_source(&mut self, at: &Location<'_>, raw: raw::KeySource, folder: &Path) -> Option<KeySource> {
        match (raw.file, raw.env) {
            (Some(path), None) => Some(KeySource::File(folder.join(path))),
            (None, Some(name)) => Some(KeySource::Environment(name)),
            _ => {
                let help = "write { file = \"/etc/weir/data.key\" } or { env = \"WEIR_DATA_KEY\" }";
                self.report_with(at, "a key has either `file` or `env`", help);
                None
            }
        }
    }
}
