//! What the operator may set, and what it means.

use std::collections::{HashMap, HashSet};

use regex::RegexBuilder;
use serde::Deserialize;
use weir_guest::Path;

use crate::allow::Allowed;
use crate::keys::KeySet;
use crate::kind::{Kind, Kinds};
use crate::limits::{MAX_OWN_PATTERNS, MIN_HASH_KEY_BYTES};
use crate::mask::{Masker, Mode};
use crate::scan::Scanner;
use crate::walk::Redactor;

/// Keys that are sensitive unless the operator says otherwise.
pub const DEFAULT_KEYS: &[&str] = &[
    "*password",
    "*passwd",
    "*passphrase",
    "pwd",
    "secret",
    "*_secret",
    "secret_key",
    "*api_key",
    "*private_key",
    "*access_key",
    "*secret_access_key",
    "encryption_key",
    "signing_key",
    "token",
    "*access_token",
    "*refresh_token",
    "*auth_token",
    "*session_token",
    "*security_token",
    "*csrf_token",
    "id_token",
    "api_token",
    "bearer_token",
    "*authorization",
    "cookie",
    "set_cookie",
    "credentials",
    "card_number",
    "cvv",
    "cvc",
    "ssn",
];

/// The kinds that are searched unless the operator says otherwise.
pub const DEFAULT_DETECT: &[Kind] =
    &[Kind::Key, Kind::Email, Kind::Card, Kind::Jwt, Kind::Bearer, Kind::ServiceKey, Kind::PrivateKey, Kind::Base64];

/// The options as they are written. The table in the crate's documentation says
/// what each means.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    keys: Option<Vec<String>>,
    extra_keys: Vec<String>,
    detect: Option<Vec<Kind>>,
    patterns: Vec<String>,
    mode: Mode,
    modes: HashMap<Kind, Mode>,
    hash_key: Option<String>,
    allow_keys: Vec<String>,
    allow_values: Vec<String>,
}

impl Options {
    /// What they mean, or what is wrong with them.
    pub fn build(self) -> Result<Redactor, String> {
        let keys = self.key_set()?;
        let kinds: Kinds = match &self.detect {
            Some(kinds) => kinds.iter().copied().collect(),
            None => DEFAULT_DETECT.iter().copied().collect(),
        };
        let scanner = Scanner::new(kinds, self.key_set()?, self.own_patterns()?);
        let masker = self.masker()?;
        let allowed = self.allowed()?;
        Ok(Redactor::new(keys, scanner, masker, allowed))
    }

    fn key_set(&self) -> Result<KeySet, String> {
        let keys = match &self.keys {
            Some(keys) => keys.iter().map(String::as_str).collect(),
            None => DEFAULT_KEYS.to_vec(),
        };
        let extra = self.extra_keys.iter().map(String::as_str);
        let option = if self.keys.is_some() { "keys` or `extra_keys" } else { "extra_keys" };
        KeySet::new(keys.into_iter().chain(extra)).map_err(|error| format!("option `{option}`: the key {error}"))
    }

    fn own_patterns(&self) -> Result<Vec<regex::Regex>, String> {
        if self.patterns.len() > MAX_OWN_PATTERNS {
            return Err(format!(
                "option `patterns`: {} patterns; at most {MAX_OWN_PATTERNS}, which `|` can join",
                self.patterns.len()
            ));
        }
        let build = |(index, pattern): (usize, &String)| {
            RegexBuilder::new(pattern).build().map_err(|error| format!("option `patterns[{index}]`: {error}"))
        };
        self.patterns.iter().enumerate().map(build).collect()
    }

    fn masker(&self) -> Result<Masker, String> {
        let mut modes = [self.mode; Kind::ALL.len()];
        for (kind, mode) in &self.modes {
            modes[*kind as usize] = *mode;
        }
        let key = self.hash_key.as_deref().map(str::as_bytes);
        match key {
            None if modes.contains(&Mode::Hash) => {
                return Err("option `hash_key` is missing: mode `hash` needs a secret of \
                            16 bytes or more, such as \"${REDACT_HASH_KEY}\""
                    .to_owned());
            }
            Some(key) if key.len() < MIN_HASH_KEY_BYTES => {
                return Err(format!(
                    "option `hash_key`: {} bytes could be guessed; use {MIN_HASH_KEY_BYTES} or more",
                    key.len()
                ));
            }
            _ => {}
        }
        let values: HashSet<Box<[u8]>> = self.allow_values.iter().map(|value| value.as_bytes().into()).collect();
        Masker::new(modes, key, values)
    }

    fn allowed(&self) -> Result<Allowed, String> {
        let (paths, keys): (Vec<&String>, Vec<&String>) = self.allow_keys.iter().partition(|key| key.contains('.'));
        let keys = KeySet::new(keys.into_iter().map(String::as_str))
            .map_err(|error| format!("option `allow_keys`: the key {error}"))?;
        Ok(Allowed::new(keys, paths.into_iter().map(|path| Path::parse(path)).collect()))
    }
}
