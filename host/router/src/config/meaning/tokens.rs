//! Checks tokens: roles, scopes, and where each comes from.

use std::collections::BTreeMap;
use std::path::Path;

use weir_access::{Grant, Role, TokenEntry, TokenHash, certificate_hash};

use super::{Location, Reader};
use crate::config::raw;
use crate::config::settings::{TokenSecret, TokenSettings};

impl Reader<'_> {
    pub(super) fn tokens(
        &mut self,
        at: &Location<'_>,
        raw: BTreeMap<String, raw::Token>,
        folder: &Path,
        has_client_certificates: bool,
    ) -> Vec<TokenSettings> {
        for (name, _) in raw.iter().filter(|(_, token)| token.certificate.is_some() && !has_client_certificates) {
            let help = "`client_certificates` under [tls] names the file with the authorities of clients";
            self.report_with(&at.key(name).key("certificate"), "clients are not asked for certificates", help);
        }
        raw.into_iter().filter_map(|(name, token)| self.token(&at.key(&name), name, token, folder)).collect()
    }

    fn token(&mut self, at: &Location<'_>, name: String, raw: raw::Token, folder: &Path) -> Option<TokenSettings> {
        let role = match raw.role? {
            raw::TokenRole::Ingest => Role::Ingest,
            raw::TokenRole::Read => Role::Read,
            raw::TokenRole::Admin => Role::Admin,
        };
        let secret = match (raw.hash, raw.env, raw.file, raw.certificate) {
            (Some(hash), None, None, None) => match hash.expose().parse() {
                Ok(hash) => TokenSecret::Hash(hash),
                Err(wrong) => {
                    self.report(&at.key("hash"), wrong);
                    return None;
                }
            },
            (None, Some(name), None, None) => TokenSecret::Environment(name),
            (None, None, Some(path), None) => TokenSecret::File(folder.join(path)),
            (None, None, None, Some(name)) => match certificate_hash(&name) {
                Ok(hash) => TokenSecret::Hash(hash),
                Err(wrong) => {
                    self.report(&at.key("certificate"), wrong);
                    return None;
                }
            },
            _ => {
                let help = "`weir token new NAME --role ROLE --hash` prints a token and its hash";
                self.report_with(at, "a token has one of `hash`, `env`, `file` and `certificate`", help);
                return None;
            }
        };
        let limits = self.quota(&at.key("limits"), &raw.limits);
        let settings = TokenSettings { name, role, sources: raw.sources, routes: raw.routes, secret, limits };
        // Whether name and scope can be used doesn't depend on the token.
        if let Err(wrong) = Grant::new(settings.entry_of(TokenHash::of(b""))) {
            self.report(at, wrong.to_string());
        }
        Some(settings)
    }
}

impl TokenSettings {
    /// The token's entry, once its hash is known.
    pub fn entry_of(&self, hash: TokenHash) -> TokenEntry {
        TokenEntry {
            name: self.name.clone(),
            role: self.role,
            sources: self.sources.clone(),
            routes: self.routes.clone(),
            hash,
            created_ns: 0,
            expires_ns: None,
        }
    }
}
