//! The host functions that a filter can call: log, counters, the time and a small
//! key-value store.
//!
//! In a WebAssembly module they call the host. In native unit tests they use the
//! fakes of [`crate::testing`], one set per thread.

use crate::level::Level;

#[cfg(target_arch = "wasm32")]
use crate::bindings::packed::weir::filter::{host as real, types};

/// Writes a line to Weir's log, under the filter's name.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    real::log(wire_level(level), message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::fake::log(level, message);
}

/// Like [`log`], but only once: for messages from [`crate::Filter::new`], which
/// would otherwise be repeated by the instance of every worker and by every
/// replacement.
pub fn log_once(level: Level, message: &str) {
    /// A day; after that the message is logged again.
    const FOR_MS: u64 = 86_400_000;
    let key = format!("logged {:016x}", crate::hash::hash(message.as_bytes()));
    if kv_add(&key, 1, FOR_MS) == 1 {
        log(level, message);
    }
}

/// Adds to a counter of the filter, which Weir shows in its metrics. At most 64
/// names.
///
/// The counts are sent when the call succeeds. The counts of a failed call are
/// discarded, because Weir repeats it in smaller parts.
pub fn counter(name: &str, delta: u64) {
    #[cfg(target_arch = "wasm32")]
    counts::add(name, delta);
    #[cfg(not(target_arch = "wasm32"))]
    crate::fake::counter(name, delta);
}

/// Called at the end of a call, whether it succeeded or failed.
pub(crate) fn settle(is_done: bool) {
    #[cfg(target_arch = "wasm32")]
    counts::settle(is_done);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = is_done;
}

/// The current time, in nanoseconds since 1970-01-01 UTC.
pub fn now() -> i64 {
    #[cfg(target_arch = "wasm32")]
    return real::now();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::fake::now();
}

/// The value stored under a key, unless it has expired.
pub fn kv_get(key: &str) -> Option<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return real::kv_get(key);
    #[cfg(not(target_arch = "wasm32"))]
    return crate::fake::kv_get(key);
}

/// Stores a value under a key for `ttl_ms` milliseconds.
pub fn kv_set(key: &str, value: &[u8], ttl_ms: u64) {
    #[cfg(target_arch = "wasm32")]
    real::kv_set(key, value, ttl_ms);
    #[cfg(not(target_arch = "wasm32"))]
    crate::fake::kv_set(key, value, ttl_ms);
}

/// Adds to the number under a key and returns the sum; see the contract for what
/// counts as zero and for its time to live.
pub fn kv_add(key: &str, delta: i64, ttl_ms: u64) -> i64 {
    #[cfg(target_arch = "wasm32")]
    return real::kv_add(key, delta, ttl_ms);
    #[cfg(not(target_arch = "wasm32"))]
    return crate::fake::kv_add(key, delta, ttl_ms);
}

/// Removes a key.
pub fn kv_delete(key: &str) {
    #[cfg(target_arch = "wasm32")]
    real::kv_delete(key);
    #[cfg(not(target_arch = "wasm32"))]
    crate::fake::kv_delete(key);
}

/// The counts of the current call. A host call costs as much as reading a record,
/// so there is one per name.
#[cfg(target_arch = "wasm32")]
mod counts {
    use std::cell::RefCell;

    thread_local! {
        static COUNTS: RefCell<Vec<(String, Option<u64>)>> = const { RefCell::new(Vec::new()) };
    }

    /// Maximum number of remembered names; Weir accepts no more.
    const MAX_NAMES: usize = 64;

    pub fn add(name: &str, delta: u64) {
        COUNTS.with_borrow_mut(|counts| {
            if let Some((_, count)) = counts.iter_mut().find(|(known, _)| known == name) {
                *count = Some(count.unwrap_or_default().saturating_add(delta));
            } else if counts.len() < MAX_NAMES {
                counts.push((name.to_owned(), Some(delta)));
            } else {
                // The host reports that there are too many.
                super::real::counter(name, delta);
            }
        });
    }

    /// Sends the counts to Weir, or discards them.
    pub fn settle(is_done: bool) {
        COUNTS.with_borrow_mut(|counts| {
            for (name, count) in counts {
                if let (Some(count), true) = (count.take(), is_done) {
                    super::real::counter(name, count);
                }
            }
        });
    }
}

#[cfg(target_arch = "wasm32")]
fn wire_level(level: Level) -> types::Level {
    match level {
        Level::Trace => types::Level::Trace,
        Level::Debug => types::Level::Debug,
        Level::Info => types::Level::Info,
        Level::Warning => types::Level::Warning,
        Level::Error => types::Level::Error,
        Level::Critical => types::Level::Critical,
    }
}
