//! Random tokens, and what is stored of one.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How every token begins, so that programs that look for secrets in code recognise it.
const PREFIX: &str = "weir_";
/// How a hash begins as text.
const HASH_PREFIX: &str = "blake3:";

/// A secret of 256 random bits. It can't be printed by accident: only [`Token::reveal`] shows it.
pub struct Token(String);

impl Token {
    /// A new token.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn random() -> Result<Token, getrandom::Error> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits)?;
        Ok(Token(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits))))
    }

    /// The token as text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// What certificates are hashed for.
const CERTIFICATE_CONTEXT: &str = "weir 2026-11-30 client certificate of a token";

/// The BLAKE3 hash of a token. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash(blake3::Hash);

impl TokenHash {
    /// The hash of a token as a request shows it.
    pub fn of(token: &[u8]) -> TokenHash {
        TokenHash(blake3::hash(token))
    }

    /// The hash of a certificate's name or fingerprint. No token has it.
    pub fn of_certificate(name: &str) -> TokenHash {
        TokenHash(blake3::Hash::from_bytes(blake3::derive_key(CERTIFICATE_CONTEXT, name.as_bytes())))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{HASH_PREFIX}{}", self.0.to_hex())
    }
}

impl FromStr for TokenHash {
    type Err = String;

    fn from_str(text: &str) -> Result<TokenHash, String> {
        let hex = text.strip_prefix(HASH_PREFIX).and_then(|hex| blake3::Hash::from_hex(hex).ok());
        hex.map(TokenHash).ok_or_else(|| {
            format!("a hash is `{HASH_PREFIX}` and 64 hexadecimal digits, as `weir token new --hash` prints it")
        })
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenHash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_and_known_by_its_hash() {
        let (one, other) = (Token::random().expect("random"), Token::random().expect("random"));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        assert_eq!(one.hash(), TokenHash::of(one.reveal().as_bytes()));
        assert_ne!(one.hash(), other.hash());
        assert!(!format!("{one:?}").contains(&one.reveal()[5..]), "{one:?}");
    }

    #[test]
    fn a_hash_stays_the_same_as_text() {
        let hash = TokenHash::of(b"weir_abc");
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(serde_json::from_str::<TokenHash>(&format!("\"{text}\"")).expect("a hash"), hash);
        for wrong in ["", "blake3:", "blake3:12", &text[1..], &text[7..], &format!("{text}0")] {
            assert!(wrong.parse::<TokenHash>().is_err(), "{wrong}");
        }
    }
}
