//! Signatures of modules, with Ed25519. A signature says who vouches for a filter.
//!
//! It is a custom section at the end of the module, which WebAssembly's own tools skip, so a signed module is one file
//! and works everywhere. It covers every byte before it:
//!
//! | bytes | contents |
//! |---|---|
//! | 2 | 0 for a custom section; the number of bytes that follow, 112 |
//! | 15 | the name, `weir.signature`, with its length before it |
//! | 1 | the version of this format, 1 |
//! | 32 | the public key |
//! | 64 | the signature of [`CONTEXT`] and the SHA-256 digest of all bytes before this section |
//!
//! **Nothing in it is free**: all but key and signature is compared byte for byte, and Ed25519 accepts one encoding of a
//! signature. So no changed module passes, whatever the change.

use std::fmt;
use std::str::FromStr;

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use crate::error::LoadErrorKind;

/// The section up to the key.
const HEAD: [u8; 18] = *b"\x00\x70\x0eweir.signature\x01";
/// Precedes the digest in what is signed, so that the key can't be made to sign something else.
const CONTEXT: &[u8] = b"weir filter module, version 1\0";
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// The length of the section in bytes.
const SECTION_BYTES: usize = HEAD.len() + KEY_BYTES + SIGNATURE_BYTES;
/// How a public key begins as text.
const PUBLIC: &str = "ed25519:";
/// How a private key begins as text.
const PRIVATE: &str = "ed25519-private:";

/// The public part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_BYTES]);

/// A key that signs modules. Without `Debug`, so that it can't be printed.
pub struct PrivateKey {
    seed: [u8; KEY_BYTES],
    pair: Ed25519KeyPair,
}

/// Whose modules may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKeys {
    /// The keys that count.
    pub keys: Vec<PublicKey>,
    /// The SHA-256 digests, in hexadecimal, of modules that need no signature because they are part of the program.
    pub built_in: Vec<String>,
}

impl TrustedKeys {
    /// Fails if a module is neither built in nor signed by one of the keys.
    ///
    /// # Errors
    /// It is unsigned, signed by someone else, or changed since.
    pub fn check(&self, module: &[u8]) -> Result<(), LoadErrorKind> {
        match signer(module) {
            Some(Ok(key)) if self.keys.contains(&key) => Ok(()),
            _ if self.built_in.contains(&hex(&Sha256::digest(module))) => Ok(()),
            Some(Ok(key)) => Err(LoadErrorKind::Untrusted(key.to_string())),
            Some(Err(key)) => Err(LoadErrorKind::WrongSignature(key.to_string())),
            None => Err(LoadErrorKind::Unsigned),
        }
    }
}

/// Who signed a module; the key is an error if the signature is wrong. `None` if it has no signature at its end.
pub fn signer(module: &[u8]) -> Option<Result<PublicKey, PublicKey>> {
    let (content, section) = split(module)?;
    let key = PublicKey(section[HEAD.len()..][..KEY_BYTES].try_into().ok()?);
    let signature = &section[HEAD.len() + KEY_BYTES..];
    let verified = UnparsedPublicKey::new(&ED25519, key.0).verify(&signed(content), signature);
    Some(verified.map(|()| key).map_err(|_| key))
}

/// The module, and the section with its signature.
fn split(module: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, section) = module.split_at_checked(module.len().checked_sub(SECTION_BYTES)?)?;
    section.starts_with(&HEAD).then_some((content, section))
}

/// What the key signs.
fn signed(content: &[u8]) -> Vec<u8> {
    [CONTEXT, &Sha256::digest(content)].concat()
}

impl PrivateKey {
    /// A new key.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn random() -> Result<PrivateKey, String> {
        let seed = ring::rand::generate::<[u8; KEY_BYTES]>(&SystemRandom::new());
        PrivateKey::of(seed.map_err(|_| "the system has no random numbers".to_owned())?.expose())
    }

    fn of(seed: [u8; KEY_BYTES]) -> Result<PrivateKey, String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| error.to_string())?;
        Ok(PrivateKey { seed, pair })
    }

    /// The key as text, for its file.
    pub fn expose(&self) -> String {
        format!("{PRIVATE}{}", hex(&self.seed))
    }

    /// Its public part.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(key)
    }

    /// The module with a signature, in place of an earlier one.
    pub fn sign(&self, module: &[u8]) -> Vec<u8> {
        let content = split(module).map_or(module, |(content, _)| content);
        let signature = self.pair.sign(&signed(content));
        [content, &HEAD, &self.public().0, signature.as_ref()].concat()
    }
}

impl FromStr for PrivateKey {
    type Err = String;

    fn from_str(text: &str) -> Result<PrivateKey, String> {
        let seed = text.trim().strip_prefix(PRIVATE).and_then(unhex);
        PrivateKey::of(seed.ok_or("this is not a private key; `weir filter new-key FILE` makes one")?)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicKey, String> {
        let key = text.strip_prefix(PUBLIC).and_then(unhex);
        key.map(PublicKey).ok_or_else(|| {
            format!("a public key is `{PUBLIC}` and 64 hexadecimal digits, as `weir filter new-key` prints it")
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
