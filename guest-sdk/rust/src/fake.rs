//! The host's functions for native tests: a clock that moves only when told to,
//! counters and log lines to inspect, and an unbounded store.
//!
//! Each thread has its own set, and a new [`crate::testing::Bench`] resets it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::level::Level;

/// The initial time of a bench: 2026-01-01 00:00:00 UTC.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

#[derive(Default)]
pub struct Fake {
    pub now_ns: i64,
    pub counters: BTreeMap<String, u64>,
    pub log: Vec<(Level, String)>,
    /// Values and expiry times by key.
    store: BTreeMap<String, (Vec<u8>, i64)>,
}

thread_local! {
    static FAKE: RefCell<Fake> = RefCell::new(Fake::at_start());
}

impl Fake {
    fn at_start() -> Self {
        Fake { now_ns: START_NS, ..Fake::default() }
    }
}

pub fn reset() {
    FAKE.replace(Fake::at_start());
}

pub fn with<T>(look: impl FnOnce(&mut Fake) -> T) -> T {
    FAKE.with_borrow_mut(look)
}

pub fn log(level: Level, message: &str) {
    with(|fake| fake.log.push((level, message.to_owned())));
}

pub fn counter(name: &str, delta: u64) {
    with(|fake| match fake.counters.get_mut(name) {
        Some(count) => *count += delta,
        None => drop(fake.counters.insert(name.to_owned(), delta)),
    });
}

pub fn now() -> i64 {
    with(|fake| fake.now_ns)
}

pub fn kv_get(key: &str) -> Option<Vec<u8>> {
    with(|fake| {
        let (value, expires_ns) = fake.store.get(key)?;
        (*expires_ns > fake.now_ns).then(|| value.clone())
    })
}

fn expiry(now_ns: i64, ttl_ms: u64) -> i64 {
    let ttl_ns = i64::try_from(ttl_ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    now_ns.saturating_add(ttl_ns)
}

pub fn kv_set(key: &str, value: &[u8], ttl_ms: u64) {
    with(|fake| {
        let expires_ns = expiry(fake.now_ns, ttl_ms);
        fake.store.insert(key.to_owned(), (value.to_vec(), expires_ns));
    });
}

/// Numbers are stored as decimal text.
pub fn kv_add(key: &str, delta: i64, ttl_ms: u64) -> i64 {
    let stored = kv_get(key).and_then(|value| String::from_utf8(value).ok());
    let number = stored.and_then(|text| text.parse::<i64>().ok());
    let sum = number.unwrap_or_default().saturating_add(delta);
    with(|fake| {
        let fresh = expiry(fake.now_ns, ttl_ms);
        let value = sum.to_string().into_bytes();
        let entry = fake.store.entry(key.to_owned()).or_insert((Vec::new(), fresh));
        *entry = (value, if number.is_some() { entry.1 } else { fresh });
    });
    sum
}

pub fn kv_delete(key: &str) {
    with(|fake| {
        fake.store.remove(key);
    });
}
