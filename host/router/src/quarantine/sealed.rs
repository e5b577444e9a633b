//! Encrypted quarantine files: a header, then entries as in `entry.rs` with another content. See
//! [`weir_journal::cipher`] for the keys, and for why no nonce is used twice.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `WEIRQRTN`: as a length, longer than any entry, so that a file without its whole header has no entries |
//! | 8–11 | version: 1 |
//! | 12–15 | the id of the key |
//! | 16–23 | random, for a key of this file alone |
//! | 24–31 | time of creation, nanoseconds since 1970, little-endian |
//!
//! The content of an entry is the byte 1, then the encrypted map and its tag. The nonce is the number of the entry in
//! the file, so entries can't be exchanged, repeated or left out. Deleting one overwrites its content, which nothing
//! authenticates.
//!
//! Only the process that created a file appends to it. After a failed write, it continues in another file.

use std::io;

use weir_journal::Keys;
use weir_journal::cipher::{KeyId, NoKey, Opener, SALT_BYTES, Seal, Sealer};

use super::entry::LENGTH_BYTES;

const MAGIC: &[u8; 8] = b"WEIRQRTN";
const VERSION: [u8; 4] = 1u32.to_le_bytes();
pub const HEADER_BYTES: usize = 32;
/// First byte of an entry that was not deleted.
const KEPT: u8 = 1;

/// Encrypts the entries of a new file.
pub struct FileSealer {
    sealer: Sealer,
    entries: u64,
}

impl FileSealer {
    /// For a new file, with its header; `None` if it is not to be encrypted.
    pub fn begin(keys: &Keys) -> io::Result<Option<(FileSealer, [u8; HEADER_BYTES])>> {
        let Some(Seal { key, salt }) = keys.seal()? else { return Ok(None) };
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION);
        header[12..16].copy_from_slice(&key.0);
        header[16..16 + SALT_BYTES].copy_from_slice(&salt);
        header[24..].copy_from_slice(&weir_record::time::now_ns().to_le_bytes());
        let sealer = keys.sealer(key, &header).map_err(io::Error::other)?;
        Ok(Some((FileSealer { sealer, entries: 0 }, header)))
    }

    /// The stored form of entries.
    pub fn seal(&mut self, entries: &[u8]) -> Vec<u8> {
        let mut stored = Vec::with_capacity(entries.len() + 64);
        let mut rest = entries;
        while let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let (map, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            rest = after;
            let start = stored.len();
            stored.extend_from_slice(&[0; LENGTH_BYTES]);
            stored.push(KEPT);
            stored.extend_from_slice(map);
            self.entries += 1;
            let tag = self.sealer.seal(self.entries, &[], &mut stored[start + LENGTH_BYTES + 1..]);
            stored.extend_from_slice(&tag);
            let length = (stored.len() - start - LENGTH_BYTES) as u32;
            stored[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        }
        stored
    }
}

/// Decrypts the entries of a file.
pub struct FileOpener(Opener);

impl FileOpener {
    /// The map of the entry with this number, counted from 1, from its content.
    pub fn open(&self, number: u64, content: &[u8]) -> Option<Vec<u8>> {
        let (kept, sealed) = content.split_first()?;
        (*kept == KEPT).then(|| self.0.open(number, &[], sealed)).flatten()
    }
}

/// What decrypts a file that begins with these bytes; `None` if it is not encrypted.
pub fn opener(bytes: &[u8], keys: &Keys) -> Result<Option<FileOpener>, NoKey> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    match key_of(header) {
        Some(key) => Ok(Some(FileOpener(keys.opener(key, header)?))),
        None => Ok(None),
    }
}

/// The key that a file with this header is encrypted with.
pub fn key_of(header: &[u8; HEADER_BYTES]) -> Option<KeyId> {
    (header.starts_with(MAGIC) && header[8..12] == VERSION)
        .then(|| KeyId([header[12], header[13], header[14], header[15]]))
}
