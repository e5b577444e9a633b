//! The buckets of all keys, limited in number and size.
//!
//! Keys for which there is no room share one bucket. So a sender that invents
//! keys can neither displace the existing ones nor evade the limit. Full buckets
//! with nothing to report are removed at every tick.

use std::collections::HashMap;

use weir_guest::hash::Seeded;
use weir_guest::{Path, Record, encode};

use crate::bucket::{Bucket, DroppedRecords};
use crate::limits::{KEY_OVERHEAD_BYTES, MAX_ALL_CARRIED_BYTES, MAX_HELD_BYTES, MAX_KEY_BYTES};

/// All buckets. The shared one has the empty key.
#[derive(Debug)]
pub struct Table {
    max_keys: usize,
    buckets: HashMap<Box<[u8]>, Bucket, Seeded>,
    shared: Bucket,
    held_bytes: usize,
    /// Bytes of what summaries store, as of the last tick, and what was added since.
    carried_bytes: usize,
}

impl Table {
    /// `seed` keeps senders from choosing colliding keys.
    pub fn new(max_keys: usize, seed: u64) -> Self {
        let buckets = HashMap::with_hasher(Seeded(seed));
        Table { max_keys, buckets, shared: Bucket::default(), held_bytes: 0, carried_bytes: 0 }
    }

    /// The bucket of a key, and whether it is its own.
    pub fn bucket(&mut self, key: &[u8]) -> (&mut Bucket, bool) {
        let bytes = key.len() + KEY_OVERHEAD_BYTES;
        if !self.buckets.contains_key(key) {
            let full = self.buckets.len() >= self.max_keys || self.held_bytes + bytes > MAX_HELD_BYTES;
            if full || key.len() > MAX_KEY_BYTES || key.is_empty() {
                return (&mut self.shared, key.is_empty());
            }
            self.held_bytes += bytes;
        }
        (self.buckets.entry(key.into()).or_default(), true)
    }

    /// The bytes that further summaries may store.
    pub fn room_to_carry(&self) -> usize {
        MAX_ALL_CARRIED_BYTES.saturating_sub(self.carried_bytes)
    }

    /// Counts bytes that a summary stores.
    pub fn carry(&mut self, bytes: usize) {
        self.carried_bytes += bytes;
    }

    /// All keys and buckets, the shared one last.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8], &mut Bucket)> {
        let own = self.buckets.iter_mut().map(|(key, bucket)| (&**key, bucket));
        own.chain([(&[][..], &mut self.shared)])
    }

    /// All keys and buckets, the shared one last.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Bucket)> {
        let own = self.buckets.iter().map(|(key, bucket)| (&**key, bucket));
        own.chain([(&[][..], &self.shared)])
    }

    /// Removes buckets that can be removed without loss, and counts what the others store for summaries.
    pub fn forget_idle(&mut self, now_ns: i64) {
        let held_bytes = &mut self.held_bytes;
        self.buckets.retain(|key, bucket| {
            let stays = !bucket.is_idle(now_ns);
            if !stays {
                *held_bytes -= key.len() + KEY_OVERHEAD_BYTES;
            }
            stays
        });
        let held = self.iter().filter_map(|(_, bucket)| bucket.held.as_deref());
        self.carried_bytes = held.map(DroppedRecords::carried_bytes).sum();
    }
}

/// Writes the concatenated values of the key fields, with null for absent ones,
/// so equal bytes mean equal values.
pub fn write_key(fields: &[Path], record: &Record<'_>, key: &mut Vec<u8>) {
    key.clear();
    for field in fields {
        match record.at(field) {
            Some(value) => weir_guest::Encode::encode(&value, key),
            None => encode::nil(key),
        }
    }
}
