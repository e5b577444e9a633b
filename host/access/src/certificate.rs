//! Client certificates that stand for tokens.
//!
//! Such a token is known by a name of its certificate, or by the certificate's fingerprint. In place of a token's hash, it
//! has the hash of that, derived so that it is no token's hash: nobody gets in by showing the name as a token.

use weir_record::time::now_ns;

use crate::token::TokenHash;

/// How a fingerprint begins.
pub const FINGERPRINT_PREFIX: &str = "sha256:";

/// The hash of a certificate's name or fingerprint, as programs write it: with colons or without, in any case.
///
/// # Errors
/// It is no fingerprint, although it begins like one.
pub fn certificate_hash(name: &str) -> Result<TokenHash, String> {
    let Some(digits) = name.strip_prefix(FINGERPRINT_PREFIX) else { return Ok(TokenHash::of_certificate(name)) };
    let digits = digits.replace(':', "").to_ascii_lowercase();
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(format!(
            "a fingerprint is `{FINGERPRINT_PREFIX}` and 64 hexadecimal digits, as `openssl x509 -noout -fingerprint \
             -sha256 -in FILE` prints them"
        ));
    }
    Ok(TokenHash::of_certificate(&format!("{FINGERPRINT_PREFIX}{digits}")))
}

/// The certificate that a client has shown, and whose key it has.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// What tokens may know it by, for messages.
    shown: String,
    hashes: Vec<TokenHash>,
    /// When it ends, in nanoseconds since 1970.
    expires_ns: i64,
}

impl ClientCertificate {
    /// A certificate with these names, of which the first ones count first, and with this fingerprint. A name in the form
    /// of a fingerprint doesn't count.
    pub fn new(names: &[String], fingerprint: &str, expires_ns: i64) -> ClientCertificate {
        let names: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| !name.starts_with(FINGERPRINT_PREFIX)).collect();
        let all = || [fingerprint].into_iter().chain(names.iter().copied());
        let hashes = all().map(TokenHash::of_certificate).collect();
        ClientCertificate { shown: all().collect::<Vec<_>>().join(", "), hashes, expires_ns }
    }

    /// What tokens may know it by: the fingerprint and the names.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The hashes of what tokens may know it by.
    pub(crate) fn hashes(&self) -> &[TokenHash] {
        &self.hashes
    }

    /// Whether it has ended: a connection may last longer than its certificate.
    pub(crate) fn has_expired(&self) -> bool {
        self.expires_ns <= now_ns()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::{Access, Credential, Denied, Grant, Role, TokenEntry};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn entry(name: &str, hash: TokenHash, expires_ns: Option<i64>) -> Grant {
        let (sources, routes) = (vec![], vec![]);
        let entry =
            TokenEntry { name: name.into(), role: Role::Read, sources, routes, hash, created_ns: 0, expires_ns };
        Grant::new(entry).expect("a grant")
    }

    #[test]
    fn a_certificate_is_known_by_each_of_its_names_and_by_its_fingerprint() {
        let access = Access::new(true);
        let names = ["sha256:cd".into(), "ci.example.com".into(), "ci".into()];
        let shown = ClientCertificate::new(&names, "sha256:ab", i64::MAX);
        let known = || {
            access
                .caller(Credential::Certificate(&shown), HERE, &access.account(HERE))
                .map(|caller| caller.name().map(str::to_owned))
        };
        assert_eq!(known(), Ok(None), "open");
        for name in ["ci", "ci.example.com", "sha256:ab"] {
            access.set([entry(name.split(':').next().unwrap(), TokenHash::of_certificate(name), None)]);
            assert!(known().is_ok_and(|known| known.is_some()), "{name}");
        }
        let others = ["other", "sha256:cd"].map(|name| entry("other", TokenHash::of_certificate(name), None));
        access.set(others);
        let Err(Denied::Certificate(names)) = known() else { panic!("{:?}", known()) };
        assert_eq!(names, "sha256:ab, ci.example.com, ci");
    }

    #[test]
    fn a_fingerprint_is_written_in_any_way() {
        let digits = "0123456789abcdef".repeat(4);
        let plain = certificate_hash(&format!("sha256:{digits}"));
        assert_eq!(plain, Ok(TokenHash::of_certificate(&format!("sha256:{digits}"))));
        let pairs: Vec<String> =
            digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        assert_eq!(certificate_hash(&format!("sha256:{}", pairs.join(":"))), plain);
        assert!(certificate_hash("sha256:01").is_err());
        assert_eq!(certificate_hash("ci"), Ok(TokenHash::of_certificate("ci")));
    }

    #[test]
    fn a_name_is_no_token_and_what_has_expired_is_void() {
        let access = Access::new(true);
        access.set([entry("ci", TokenHash::of_certificate("ci"), None)]);
        assert_eq!(access.caller(Credential::Token("ci"), HERE, &access.account(HERE)).err(), Some(Denied::Unknown));
        let over = ClientCertificate::new(&["ci".into()], "sha256:ab", 1);
        let denied = access.caller(Credential::Certificate(&over), HERE, &access.account(HERE)).err();
        assert_eq!(denied, Some(Denied::ExpiredCertificate));
        access.set([entry("ci", TokenHash::of_certificate("ci"), Some(1))]);
        let shown = ClientCertificate::new(&["ci".into()], "sha256:ab", i64::MAX);
        let denied = access.caller(Credential::Certificate(&shown), HERE, &access.account(HERE)).err();
        assert_eq!(denied, Some(Denied::Expired("ci".into())));
    }
}
