//! The format of an entry: its length in four bytes, little-endian, then a MessagePack map.
//!
//! An entry that is shorter than its length is a torn tail after a crash: it was never acknowledged, and readers stop
//! there. An entry that starts with a byte that MessagePack never uses was deleted, and readers skip it. In encrypted
//! files, a header comes first, and the map is encrypted (`sealed.rs`).

use std::io;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use weir_journal::Keys;

use super::sealed::{self, FileOpener, HEADER_BYTES};

/// Extension of quarantine files.
pub const EXTENSION: &str = "quarantine";

/// Bytes of an entry's length.
pub const LENGTH_BYTES: usize = 4;

/// First byte of a deleted entry.
pub const DELETED: u8 = 0xc1;

/// A quarantined record, with the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// When it was quarantined, in nanoseconds since 1970.
    pub time: i64,
    /// What quarantined it: `filter:redact`, `sink:archive`, `ingest`.
    pub from: String,
    pub reason: String,
    /// Whether `record` is the sender's raw input rather than a canonical record.
    pub raw: bool,
    /// `None` if only reasons are kept.
    pub record: Option<ByteBuf>,
}

impl QuarantineEntry {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH_BYTES];
        // Encoding plain fields to memory can't fail.
        rmp_serde::encode::write_named(&mut bytes, self).expect("an entry is plain data");
        let length = (bytes.len() - LENGTH_BYTES) as u32;
        bytes[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    /// The record's source, if the record is valid and was kept.
    pub fn source(&self) -> Option<&str> {
        let record = self.record.as_ref().filter(|_| !self.raw)?;
        Some(weir_record::Record::new(record).source())
    }

    /// Whether it contains a complete record.
    pub fn can_replay(&self) -> bool {
        self.record.is_some() && !self.raw
    }

    /// Size of the kept record.
    pub fn size_bytes(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.len() as u64)
    }
}

/// The position of an entry in a file, after its length.
#[derive(Debug)]
pub struct Slot {
    pub start: usize,
    pub end: usize,
    /// `None` if it was deleted.
    pub entry: Option<QuarantineEntry>,
}

impl Slot {
    /// All complete entries of a file, in order. An error if it is encrypted with a key that is missing.
    pub fn all<'a>(bytes: &'a [u8], keys: &Keys) -> io::Result<impl Iterator<Item = Slot> + use<'a>> {
        let opener = sealed::opener(bytes, keys).map_err(io::Error::other)?;
        let mut at = if opener.is_some() { HEADER_BYTES } else { 0 };
        let mut number = 0;
        Ok(std::iter::from_fn(move || {
            number += 1;
            let slot = Slot::read(bytes, at, number, opener.as_ref())?;
            at = slot.end;
            Some(slot)
        }))
    }

    fn read(bytes: &[u8], at: usize, number: u64, opener: Option<&FileOpener>) -> Option<Slot> {
        let (length, rest) = bytes.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = rest.get(..length)?;
        let entry = match (content.first(), opener) {
            (Some(&DELETED), _) => None,
            (_, None) => Some(rmp_serde::from_slice(content).ok()?),
            (_, Some(opener)) => Some(rmp_serde::from_slice(&opener.open(number, content)?).ok()?),
        };
        let start = at + LENGTH_BYTES;
        Some(Slot { start, end: start + length, entry })
    }
}
