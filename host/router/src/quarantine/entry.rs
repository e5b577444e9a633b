//! One entry of the quarantine, and how it is written: its length in four bytes, least significant
//! first, then a MessagePack map.
//!
//! An entry that ends before its length says so is the torn tail of a crash: nobody was told that
//! it was kept, and reading stops there.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The ending of the files' names.
pub const EXTENSION: &str = "quarantine";

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

    /// The first entry of `bytes` and how long it is; nothing when no whole one is there.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let entry = rmp_serde::from_slice(rest.get(..length)?).ok()?;
        Some((entry, 4 + length))
    }
}
