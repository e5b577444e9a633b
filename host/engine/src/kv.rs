//! The key-value store of a filter: small, in memory, with a time to live per entry, shared by all instances and
//! versions of the filter.
//!
//! Invariants: `order` has exactly one element for each of `entries`, under its expiry time; `bytes` is the total size
//! of keys and values; both counts are within their bounds after a call. If there is no room, the entry that expires
//! first is removed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::limits::{MAX_KEY_BYTES, MAX_KV_BYTES, MAX_KV_ENTRIES, MAX_VALUE_BYTES};

/// The store. Times are milliseconds on any monotonic clock, the same for all calls.
#[derive(Default)]
pub(crate) struct Kv {
    entries: HashMap<Arc<str>, Entry>,
    /// By expiry time, then by age.
    order: BTreeMap<(u64, u64), Arc<str>>,
    bytes: usize,
    stored: u64,
}

struct Entry {
    value: Value,
    expires_ms: u64,
    number: u64,
}

enum Value {
    Bytes(Vec<u8>),
    Number(i64),
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Number(_) => size_of::<i64>(),
        }
    }
}

/// The entry exceeds the size limit.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("a key has at most {MAX_KEY_BYTES} bytes and a value {MAX_VALUE_BYTES}: nothing was stored")]
pub(crate) struct TooLarge;

impl Kv {
    /// The value; numbers as decimal text.
    pub fn get(&mut self, key: &str, now_ms: u64) -> Option<Vec<u8>> {
        self.expire(now_ms);
        match &self.entries.get(key)?.value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Number(number) => Some(number.to_string().into_bytes()),
        }
    }

    pub fn set(&mut self, key: &str, value: Vec<u8>, ttl_ms: u64, now_ms: u64) -> Result<(), TooLarge> {
        self.expire(now_ms);
        self.put(key, Value::Bytes(value), now_ms.saturating_add(ttl_ms))
    }

    /// Adds to a number, saturating.
    pub fn add(&mut self, key: &str, delta: i64, ttl_ms: u64, now_ms: u64) -> Result<i64, TooLarge> {
        self.expire(now_ms);
        let current = self.entries.get(key).and_then(|entry| match &entry.value {
            Value::Number(number) => Some((*number, entry.expires_ms)),
            Value::Bytes(bytes) => {
                let number = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                Some((number, entry.expires_ms))
            }
        });
        let (number, expires_ms) = current.unwrap_or((0, now_ms.saturating_add(ttl_ms)));
        let sum = number.saturating_add(delta);
        self.put(key, Value::Number(sum), expires_ms)?;
        Ok(sum)
    }

    pub fn delete(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.bytes -= key.len() + entry.value.len();
            self.order.remove(&(entry.expires_ms, entry.number));
        }
    }

    fn put(&mut self, key: &str, value: Value, expires_ms: u64) -> Result<(), TooLarge> {
        if key.len() > MAX_KEY_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(TooLarge);
        }
        self.delete(key);
        let size = key.len() + value.len();
        while self.entries.len() >= MAX_KV_ENTRIES || self.bytes + size > MAX_KV_BYTES {
            self.remove_first();
        }
        let key: Arc<str> = key.into();
        let number = self.stored;
        self.stored += 1;
        self.bytes += size;
        self.order.insert((expires_ms, number), key.clone());
        self.entries.insert(key, Entry { value, expires_ms, number });
        Ok(())
    }

    fn expire(&mut self, now_ms: u64) {
        while self.order.first_key_value().is_some_and(|((expires_ms, _), _)| *expires_ms <= now_ms) {
            self.remove_first();
        }
    }

    fn remove_first(&mut self) {
        if let Some((_, key)) = self.order.pop_first()
            && let Some(entry) = self.entries.remove(&key)
        {
            self.bytes -= key.len() + entry.value.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_expire() {
        let mut kv = Kv::default();
        kv.set("a", b"1".to_vec(), 10, 100).unwrap();
        assert_eq!(kv.get("a", 109), Some(b"1".to_vec()));
        assert_eq!(kv.get("a", 110), None);
        assert_eq!((kv.bytes, kv.order.len()), (0, 0));
    }

    #[test]
    fn add_starts_at_zero_keeps_the_expiry_and_reads_numeric_text() {
        let mut kv = Kv::default();
        assert_eq!(kv.add("n", 2, 10, 0), Ok(2));
        assert_eq!(kv.add("n", 3, 1000, 9), Ok(5));
        assert_eq!(kv.get("n", 9), Some(b"5".to_vec()));
        assert_eq!(kv.add("n", 1, 10, 10), Ok(1), "it expired at 10, as first said");
        kv.set("text", b"x".to_vec(), 10, 10).unwrap();
        assert_eq!(kv.add("text", 1, 10, 10), Ok(1));
        kv.set("set", b"41".to_vec(), 10, 10).unwrap();
        assert_eq!(kv.add("set", 1, 10, 10), Ok(42));
        assert_eq!(kv.add("set", i64::MAX, 10, 10), Ok(i64::MAX));
    }

    #[test]
    fn a_full_store_removes_the_entry_that_expires_first() {
        let mut kv = Kv::default();
        for i in 0..MAX_KV_ENTRIES as u64 {
            kv.set(&format!("k{i}"), vec![0], 1000 + i, 0).unwrap();
        }
        kv.set("new", vec![0], 1, 0).unwrap();
        assert_eq!(kv.entries.len(), MAX_KV_ENTRIES);
        assert_eq!(kv.get("k0", 0), None);
        assert!(kv.get("k1", 0).is_some() && kv.get("new", 0).is_some());
    }

    #[test]
    fn the_total_size_is_bounded() {
        let mut kv = Kv::default();
        for i in 0..(2 * MAX_KV_BYTES / MAX_VALUE_BYTES) {
            kv.set(&i.to_string(), vec![0; MAX_VALUE_BYTES], 1000, 0).unwrap();
            assert!(kv.bytes <= MAX_KV_BYTES);
        }
        assert_eq!(kv.set("large", vec![0; MAX_VALUE_BYTES + 1], 1, 0), Err(TooLarge));
        assert_eq!(kv.add(&"k".repeat(MAX_KEY_BYTES + 1), 1, 1, 0), Err(TooLarge));
    }

    #[test]
    fn set_replaces_and_delete_removes_an_entry() {
        let mut kv = Kv::default();
        kv.set("a", b"12345".to_vec(), 10, 0).unwrap();
        kv.set("a", b"1".to_vec(), 50, 0).unwrap();
        assert_eq!((kv.bytes, kv.order.len()), (2, 1));
        assert!(kv.get("a", 20).is_some(), "the second expiry counts");
        kv.delete("a");
        kv.delete("a");
        assert_eq!((kv.bytes, kv.order.len(), kv.entries.len()), (0, 0, 0));
    }
}
