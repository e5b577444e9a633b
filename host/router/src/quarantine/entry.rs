//! One entry of the quarantine, and how it is written: its length in four bytes, least significant
//! first, then a MessagePack map.
//!
//! An entry that ends before its length says so is the torn tail of a crash: nobody was told that
//! it was kept, and reading stops there. One that begins with a byte that MessagePack never uses was
//! deleted: its place is skipped.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The ending of the files' names.
pub const EXTENSION: &str = "quarantine";

/// What a deleted entry begins with.
pub const DELETED: u8 = 0xc1;

/// A record that was set aside, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was set aside, in nanoseconds since 1970.
    pub time: i64,
    /// Who set it aside: `filter:redact`, `sink:archive`, `ingest`.
    pub from: String,
    pub reason: String,
    /// Whether `record` is what a sender sent, unread, rather than a canonical record.
    pub raw: bool,
    /// Nothing, when the operator wants only reasons kept.
    pub record: Option<ByteBuf>,
}

impl Entry {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        // Writing plain fields into memory can't fail.
        rmp_serde::encode::write_named(&mut bytes, self).expect("an entry is plain data");
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    /// The source of the record, if it is one and was kept.
    pub fn source(&self) -> Option<&str> {
        let record = self.record.as_ref().filter(|_| !self.raw)?;
        Some(weir_record::Record::new(record).source())
    }

    /// Bytes of what was kept of the record.
    pub fn size_bytes(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.len() as u64)
    }
}

/// The place of an entry in a file, behind its length.
#[derive(Debug)]
pub struct Slot {
    pub start: usize,
    pub end: usize,
    /// Nothing, when it was deleted.
    pub entry: Option<Entry>,
}

impl Slot {
    /// Every whole one of a file, in order.
    pub fn all(bytes: &[u8]) -> impl Iterator<Item = Slot> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let slot = Slot::read(bytes, at)?;
            at = slot.end;
            Some(slot)
        })
    }

    fn read(bytes: &[u8], at: usize) -> Option<Slot> {
        let (length, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = rest.get(..length)?;
        let entry = match content.first() {
            Some(&DELETED) => None,
            _ => Some(rmp_serde::from_slice(content).ok()?),
        };
        Some(Slot { start: at + 4, end: at + 4 + length, entry })
    }
}
