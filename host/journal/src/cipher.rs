//! Optional encryption of what is stored: AES-256-GCM, frame by frame. Nothing else in this crate knows a cipher, and
//! without [`Keys`] nothing here runs. The router encrypts its quarantine with the same types.
//!
//! # Keys
//! The operator gives a key for new files, and earlier keys for files that were written with them ([`Keys`]). A
//! [`KeyId`] stands in the header of each file. It names a key and reveals nothing about it.
//!
//! No data is encrypted with these keys. Each file has its own key, derived with HKDF-SHA256 from the operator's key
//! and the whole header of the file, which contains random bytes ([`Seal`]). So a changed header makes every frame of
//! the file undecryptable, and so does a header of another file.
//!
//! # Why no nonce is used twice with the same key
//! - **A file's key belongs to one file.** Two segments have the same key only if they begin with the same frame, were
//!   created in the same nanosecond, and have the same 96 random bits.
//! - **Only the process that created a file writes to it, without a break.** After a start, a new segment is begun,
//!   whatever became of the last one. So nothing is ever written in place of a torn end or of bytes that a power cut
//!   took back. After a failed write, whose bytes may have reached the disk although their numbers are free again, the
//!   file gets no further frame.
//! - **Within a file, the nonce is the number of the frame, and numbers only grow.** [`Sealer::seal`] panics otherwise,
//!   and a [`Sealer`] can't be cloned or stored.
//! - Salvage writes into a new file with a new key. A segment that was removed while it was written is written again
//!   with the same bytes, and closed.
//!
//! # What is authenticated
//! The header of the file through its key, the header of the frame as associated data, its number as the nonce. So a
//! frame can't be changed, moved, exchanged, repeated or put into another file, and one that is missing in the middle
//! leaves a gap in the numbers. Not detected: an older copy of the whole folder, and the removal of its end together
//! with `cursors`.
//!
//! One thing breaks the rule about nonces: a machine that is resumed twice from one snapshot of its memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// Bytes that encryption adds to a frame: the tag that authenticates it.
pub const TAG_BYTES: usize = 16;
/// Length of a key.
pub const KEY_BYTES: usize = 32;
/// Random bytes in the header of an encrypted file.
pub const SALT_BYTES: usize = 8;
const ID_BYTES: usize = 4;

// Changing any of these makes existing files unreadable.
const DERIVATION: &[u8] = b"weir stored data 1";
const ID_INFO: &[u8] = b"key id";

/// Names a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a key. Never contains any of the text.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "this is not a key: it must be {KEY_BYTES} bytes as hexadecimal digits or as Base64; `weir journal new-key` makes one"
)]
pub struct BadKey;

/// A file is encrypted with a key that was not given.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "it is encrypted with key {key}, but {}; add that key to `[encryption] previous_keys`",
    configured(.given)
)]
pub struct NoKey {
    /// The key that is needed.
    pub key: KeyId,
    /// The keys that were given.
    pub given: Vec<KeyId>,
}

fn configured(ids: &[KeyId]) -> String {
    match ids {
        [] => "no key is configured".to_string(),
        ids => {
            let ids: Vec<String> = ids.iter().map(KeyId::to_string).collect();
            format!("the configured keys are {}", ids.join(", "))
        }
    }
}

/// An operator's key. Its bytes can't be read back.
pub struct Key {
    id: KeyId,
    derivation: Prk,
}

impl Key {
    /// Reads a key: hexadecimal or Base64, with white space around it.
    pub fn parse(text: &str) -> Result<Key, BadKey> {
        let text = text.trim();
        let bytes = from_hex(text).or_else(|| from_base64(text)).ok_or(BadKey)?;
        let derivation = Salt::new(HKDF_SHA256, DERIVATION).extract(&bytes);
        let mut id = [0; ID_BYTES];
        let expanded = derivation.expand(&[ID_INFO], Length(ID_BYTES));
        // HKDF gives up to 255 * 32 bytes.
        expanded.and_then(|okm| okm.fill(&mut id)).expect("a few bytes can be derived");
        Ok(Key { id: KeyId(id), derivation })
    }

    /// A new random key as text, which [`Key::parse`] reads.
    pub fn random() -> io::Result<String> {
        let bytes: [u8; KEY_BYTES] = random()?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The name of the key.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

/// A number of bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("can't get random bytes from the operating system"))?;
    Ok(bytes)
}

fn from_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; KEY_BYTES];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Standard or URL-safe Base64, with or without padding.
fn from_base64(text: &str) -> Option<[u8; KEY_BYTES]> {
    let standard = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    STANDARD_NO_PAD.decode(standard).ok()?.try_into().ok()
}

/// The keys that files are encrypted with. The default has none: new files are not encrypted.
#[derive(Clone, Default)]
pub struct Keys {
    current: Option<Arc<Key>>,
    previous: Vec<Arc<Key>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Keys {
    /// The key for new files, and those of earlier files.
    pub fn new(current: Option<Key>, previous: Vec<Key>) -> Keys {
        Keys { current: current.map(Arc::new), previous: previous.into_iter().map(Arc::new).collect() }
    }

    /// True if new files are encrypted.
    pub fn encrypts(&self) -> bool {
        self.current.is_some()
    }

    /// The names of all keys.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.current.iter().chain(&self.previous).map(|key| key.id)
    }

    /// An error if the key of a file is missing.
    pub fn check(&self, key: KeyId) -> Result<(), NoKey> {
        self.key(key).map(|_| ())
    }

    fn key(&self, id: KeyId) -> Result<&Key, NoKey> {
        let mut keys = self.current.iter().chain(&self.previous);
        keys.find(|key| key.id == id).map(|key| &**key).ok_or_else(|| NoKey { key: id, given: self.ids().collect() })
    }

    /// What the header of a new file must contain; `None` if it is not to be encrypted.
    pub fn seal(&self) -> io::Result<Option<Seal>> {
        self.current.as_ref().map(|key| Seal::new(key.id)).transpose()
    }

    /// Reads the frames of a file that has this header.
    pub fn opener(&self, key: KeyId, header: &[u8]) -> Result<Opener, NoKey> {
        Ok(Opener(Arc::new(file_key(self.key(key)?, header))))
    }

    /// Encrypts the frames of a new file that has this header. Called once for each [`Seal`].
    pub fn sealer(&self, key: KeyId, header: &[u8]) -> Result<Sealer, NoKey> {
        Ok(Sealer { key: file_key(self.key(key)?, header), last: None })
    }
}

fn file_key(key: &Key, header: &[u8]) -> LessSafeKey {
    let info = [header];
    // HKDF gives up to 255 * 32 bytes.
    let derived = key.derivation.expand(&info, &AES_256_GCM).expect("a key can be derived");
    LessSafeKey::new(UnboundKey::from(derived))
}

/// What makes the header of an encrypted file unique, and the name of the key that it was encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The operator's key.
    pub key: KeyId,
    /// Random.
    pub salt: [u8; SALT_BYTES],
}

impl Seal {
    /// A new one for a key.
    pub fn new(key: KeyId) -> io::Result<Seal> {
        Ok(Seal { key, salt: random()? })
    }
}

/// Decrypts the frames of one file.
#[derive(Debug, Clone)]
pub struct Opener(Arc<LessSafeKey>);

impl Opener {
    /// The content of the frame with this number; `None` if anything differs from what was sealed.
    pub fn open(&self, number: u64, about: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = stored.to_vec();
        let length = self.0.open_in_place(nonce(number), Aad::from(about), &mut bytes).ok()?.len();
        bytes.truncate(length);
        Some(bytes)
    }
}

/// Encrypts the frames of one new file.
#[derive(Debug)]
pub struct Sealer {
    key: LessSafeKey,
    /// The number of the last frame.
    last: Option<u64>,
}

impl Sealer {
    /// Encrypts a frame in place and returns its tag, which is stored after it. `about` is authenticated too.
    ///
    /// # Panics
    /// If the number is not greater than the last one.
    pub fn seal(&mut self, number: u64, about: &[u8], bytes: &mut [u8]) -> [u8; TAG_BYTES] {
        assert!(self.last.is_none_or(|last| last < number), "a number encrypts one frame");
        self.last = Some(number);
        let tag = self.key.seal_in_place_separate_tag(nonce(number), Aad::from(about), bytes);
        // The cipher takes up to 2^36 bytes, and a frame has far fewer.
        let tag = tag.expect("a frame is short enough");
        let mut copied = [0; TAG_BYTES];
        copied.copy_from_slice(tag.as_ref());
        copied
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn keys(text: &str) -> Keys {
        Keys::new(Some(Key::parse(text).expect("a key")), Vec::new())
    }

    #[test]
    fn a_key_is_read_as_hex_or_base64_and_nothing_else_is() {
        let id = Key::parse(HEX).expect("hex").id();
        for text in [
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            " 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n",
        ] {
            assert_eq!(Key::parse(text).expect(text).id(), id, "{text}");
        }
        for text in ["", "00", &HEX[..62], &HEX[..63], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9", "é"] {
            assert!(Key::parse(text).is_err(), "{text}");
        }
        let random = [(); 2].map(|()| Key::parse(&Key::random().expect("random")).expect("a key").id());
        assert!(random[0] != random[1] && random[0] != id);
    }

    #[test]
    fn a_frame_is_opened_with_the_same_key_header_number_and_associated_data_only() {
        let keys = keys(HEX);
        let id = keys.ids().next().expect("a key");
        let mut bytes = b"what was sent".to_vec();
        let tag = keys.sealer(id, b"header").expect("its key").seal(7, b"about", &mut bytes);
        bytes.extend_from_slice(&tag);
        let opener = keys.opener(id, b"header").expect("its key");
        assert_eq!(opener.open(7, b"about", &bytes).as_deref(), Some(&b"what was sent"[..]));
        assert_eq!(opener.open(8, b"about", &bytes), None);
        assert_eq!(opener.open(7, b"other", &bytes), None);
        assert_eq!(keys.opener(id, b"other").expect("its key").open(7, b"about", &bytes), None);
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opener.open(7, b"about", &changed), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(opener.open(7, b"about", &bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    #[should_panic(expected = "a number encrypts one frame")]
    fn a_number_is_never_used_twice() {
        let keys = keys(HEX);
        let mut sealer = keys.sealer(keys.ids().next().expect("a key"), b"header").expect("its key");
        sealer.seal(7, b"", &mut []);
        sealer.seal(7, b"", &mut []);
    }

    #[test]
    fn a_missing_key_is_named_and_a_key_is_never_shown() {
        let other = KeyId([1, 2, 3, 4]);
        assert!(Keys::default().check(other).expect_err("no key").to_string().contains("key 01020304, but no key"));
        let keys = keys(HEX);
        let id = keys.ids().next().expect("a key");
        let text = keys.check(other).expect_err("another key").to_string();
        assert!(text.contains("key 01020304") && text.contains(&format!("configured keys are {id}")), "{text}");
        assert_eq!(format!("{keys:?}"), format!("[{id}]"));
    }
}
