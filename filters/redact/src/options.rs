//! The options and their compilation.

use std::collections::{HashMap, HashSet};

use regex::RegexBuilder;
use serde::Deserialize;
use weir_guest::{OptionErrors, Path};

use crate::allow::Allowed;
use crate::keys::KeySet;
use crate::kind::{Kind, Kinds};
use crate::limits::{MAX_OWN_PATTERNS, MIN_HASH_KEY_BYTES};
use crate::mask::{Masker, Mode};
use crate::scan::Scanner;
use crate::walk::Redactor;

/// The keys that are sensitive by default.
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

/// The kinds that are searched for by default.
pub const DEFAULT_DETECT: &[Kind] =
    &[Kind::Key, Kind::Email, Kind::Card, Kind::Jwt, Kind::Bearer, Kind::ServiceKey, Kind::PrivateKey, Kind::Base64];

/// The options as they are written. The crate's documentation describes them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    keys: Vec<String>,
    /// The old name of `keys`, from when it replaced the default ones.
    extra_keys: Vec<String>,
    only_keys: Option<Vec<String>>,
    detect: Vec<Kind>,
    only_detect: Option<Vec<Kind>>,
    patterns: Vec<String>,
    mode: Mode,
    modes: HashMap<Kind, Mode>,
    hash_key: Option<String>,
    allow_keys: Vec<String>,
    allow_values: Vec<String>,
}

impl Options {
    /// Compiles the options, or reports everything that is wrong with them.
    pub fn build(self) -> Result<Redactor, String> {
        let mut mistakes = OptionErrors::default();
        let keys = mistakes.check(self.key_set());
        let patterns = mistakes.check(self.own_patterns());
        let masker = mistakes.check(self.masker());
        let allowed = mistakes.check(self.allowed());
        mistakes.finish()?;
        let (Some((keys, keys_in_texts)), Some(patterns), Some(masker), Some(allowed)) =
            (keys, patterns, masker, allowed)
        else {
            return Err("the options can't be read".to_owned());
        };
        Ok(Redactor::new(keys, Scanner::new(self.kinds(), keys_in_texts, patterns), masker, allowed))
    }

    /// A warning about valid options that mask less than the defaults.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(only) = &self.only_keys {
            let usual = DEFAULT_KEYS.iter().map(|key| key.trim_matches('*'));
            let masked = KeySet::new(only.iter().chain(self.added_keys()).map(String::as_str));
            let left_out: Vec<_> =
                usual.filter(|key| masked.as_ref().is_ok_and(|masked| !masked.contains(key.as_bytes()))).collect();
            warnings.extend(left_out_by("only_keys", "keys", &left_out));
        }
        if self.only_detect.is_some() {
            let kinds = self.kinds();
            let left_out: Vec<_> =
                DEFAULT_DETECT.iter().filter(|kind| !kinds.has(**kind)).map(|kind| kind.name()).collect();
            warnings.extend(left_out_by("only_detect", "detect", &left_out));
        }
        warnings
    }

    fn added_keys(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().chain(&self.extra_keys)
    }

    /// The sensitive keys, twice: for records and for text.
    fn key_set(&self) -> Result<(KeySet, KeySet), String> {
        let mut mistakes = OptionErrors::default();
        let mut judge = |option: &str, keys: &[String]| {
            for (index, key) in keys.iter().enumerate() {
                let set = KeySet::new([key.as_str()]);
                mistakes.check(set.map_err(|error| format!("option `{option}[{index}]`: the key {error}")));
            }
        };
        judge("keys", &self.keys);
        judge("extra_keys", &self.extra_keys);
        judge("only_keys", self.only_keys.as_deref().unwrap_or_default());
        mistakes.finish()?;
        let set = || {
            let usual = match &self.only_keys {
                Some(keys) => keys.iter().map(String::as_str).collect(),
                None => DEFAULT_KEYS.to_vec(),
            };
            KeySet::new(usual.into_iter().chain(self.added_keys().map(String::as_str)))
        };
        Ok((set()?, set()?))
    }

    fn kinds(&self) -> Kinds {
        let usual = self.only_detect.as_deref().unwrap_or(DEFAULT_DETECT);
        usual.iter().chain(&self.detect).copied().collect()
    }

    fn own_patterns(&self) -> Result<Vec<regex::Regex>, String> {
        let mut mistakes = OptionErrors::default();
        if self.patterns.len() > MAX_OWN_PATTERNS {
            mistakes.add(format!(
                "option `patterns`: {} patterns; at most {MAX_OWN_PATTERNS} are allowed, and `|` can join several",
                self.patterns.len()
            ));
        }
        let mut patterns = Vec::new();
        for (index, pattern) in self.patterns.iter().take(MAX_OWN_PATTERNS).enumerate() {
            let built = RegexBuilder::new(pattern).build();
            let built = built.map_err(|error| format!("option `patterns[{index}]`: {}", in_one_line(&error)));
            patterns.extend(mistakes.check(built));
        }
        mistakes.finish()?;
        Ok(patterns)
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
        let mut mistakes = OptionErrors::default();
        let (mut paths, mut keys) = (Vec::new(), Vec::new());
        for (index, key) in self.allow_keys.iter().enumerate() {
            if key.contains('.') {
                paths.push(Path::parse(key));
            } else {
                let set = KeySet::new([key.as_str()]);
                mistakes.check(set.map_err(|error| format!("option `allow_keys[{index}]`: the key {error}")));
                keys.push(key.as_str());
            }
        }
        mistakes.finish()?;
        Ok(Allowed::new(KeySet::new(keys)?, paths))
    }
}

/// The error spans several lines and points at the position; only its last line, which gives the reason, is used.
fn in_one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn left_out_by(option: &str, instead: &str, left_out: &[&str]) -> Option<String> {
    let examples: Vec<String> = left_out.iter().take(4).map(|name| format!("`{name}`")).collect();
    let more = left_out.len().saturating_sub(examples.len());
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!left_out.is_empty()).then(|| {
        format!(
            "`{option}` replaces the default ones: {}{and_more} are no longer masked; use `{instead}` to add to the default ones",
            examples.join(", ")
        )
    })
}
