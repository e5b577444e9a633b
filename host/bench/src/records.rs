//! The records to send: about 385 bytes of JSON each, with an e-mail address, an API key and a card number to mask, one
//! in ten at DEBUG. The same bytes in every run.
//!
//! Timestamps increase from record to record, even if bodies are sent again.

use std::fmt::Write;

use fastrand::Rng;

/// Time between two records.
const STEP_MS: u64 = 2;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Length of a time of day, `10:00:00.000`.
const TIME_BYTES: usize = 12;

/// Number of distinct bodies, which are sent in turn; enough to exceed the CPU caches.
const BODIES: usize = 64;

/// Bytes of all different bodies of a size, unless a single one is larger.
const SCALED_BYTES: usize = 16 << 20;

/// The encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    MessagePack,
}

impl Encoding {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }
}

/// The body of one request.
pub struct Body {
    pub bytes: Vec<u8>,
    pub records: u64,
    /// Number of records that are not at DEBUG.
    pub kept: u64,
    /// Position of each record's time of day.
    times: Vec<usize>,
}

impl Body {
    /// A body that is the same whenever it is sent.
    pub fn fixed(bytes: Vec<u8>, records: u64) -> Body {
        Body { bytes, records, kept: records, times: Vec::new() }
    }

    /// Sets the times for the `number`-th body that is sent.
    pub fn set_times(&self, bytes: &mut [u8], number: u64) {
        for (at, record) in self.times.iter().zip(number * self.records..) {
            let ms = record * STEP_MS % DAY_MS;
            let digits = |value: u64, unit: u64| b'0' + (value / unit % 10) as u8;
            let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
            let pair = |value: u64| [digits(value, 10), digits(value, 1)];
            let ([a, b], [c, d], [e, f]) = (pair(hour), pair(minute), pair(second));
            let text = [a, b, b':', c, d, b':', e, f, b'.', digits(ms, 100), digits(ms, 10), digits(ms, 1)];
            bytes[*at..at + TIME_BYTES].copy_from_slice(&text);
        }
    }
}

/// Creates bodies of `batch` records.
pub fn bodies(batch: usize, encoding: Encoding) -> Vec<Body> {
    let mut random = Rng::with_seed(0x5EED_0F3E_C04D);
    (0..BODIES.max(1000 / batch.max(1))).map(|_| body(batch, encoding, &mut random)).collect()
}

fn body(batch: usize, encoding: Encoding, random: &mut Rng) -> Body {
    let mut json = String::from("[");
    let mut kept = 0;
    for number in 0..batch {
        if number > 0 {
            json.push(',');
        }
        kept += u64::from(write_record(&mut json, random, Secrets::Some));
    }
    json.push(']');
    let bytes = match encoding {
        Encoding::Json => json.into_bytes(),
        Encoding::MessagePack => message_pack(&json),
    };
    let times = places(&bytes, b"2026-11-20T").into_iter().map(|at| at + b"2026-11-20T".len()).collect();
    Body { bytes, records: batch as u64, kept, times }
}

/// Creates a few bodies with `batch` records of `bytes` each, at least a hundred: sentences with a number, of which every
/// third has an e-mail address.
pub fn bodies_of(bytes: usize, batch: usize) -> Vec<Body> {
    let mut random = Rng::with_seed(0x5EED_0F3E_C04D);
    let different = (SCALED_BYTES / (bytes * batch)).clamp(4, BODIES);
    let mut body = || {
        let records: Vec<String> = (0..batch).map(|_| record_of(bytes, &mut random)).collect();
        Body::fixed(format!("[{}]", records.join(",")).into_bytes(), batch as u64)
    };
    (0..different).map(|_| body()).collect()
}

fn record_of(bytes: usize, random: &mut Rng) -> String {
    const HEAD: &str = r#"{"level":"INFO","source":"shop","message":""#;
    const END: &str = r#""}"#;
    let mut record = HEAD.to_owned();
    while record.len() < bytes - END.len() {
        let (order, who) = (random.u64(..), if random.u8(..3) == 0 { "user@example.com" } else { "somebody unknown" });
        // Writing into a string can't fail.
        let _ = write!(record, "order {order:016x} paid by {who} after {} ms; ", random.u32(..1000));
    }
    record.truncate(bytes - END.len());
    record + END
}

/// All positions of a text.
fn places(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text)).collect()
}

/// Whether records contain an e-mail address, a card number and an API key, or harmless text of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Some,
    None,
}

/// Appends a record as JSON. Returns whether it is above DEBUG.
pub fn write_record(json: &mut String, random: &mut Rng, secrets: Secrets) -> bool {
    const LEVELS: [&str; 10] = ["DEBUG", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "WARNING", "INFO", "ERROR"];
    const SOURCES: [&str; 4] = ["checkout", "auth", "search", "inventory"];
    let level = LEVELS[random.usize(..LEVELS.len())];
    let source = SOURCES[random.usize(..SOURCES.len())];
    let (user, order, millis) = (random.u32(..90_000), random.u64(..), random.u32(..1000));
    let (address, card, key) = match secrets {
        Secrets::Some => ("@example.com", "card 4111 1111 1111 1111", "api_key"),
        Secrets::None => (" at example", "card ending in 1111 (visa)", "api_kind"),
    };
    // Writing into a string can't fail.
    let _ = write!(
        json,
        r#"{{"timestamp":"2026-11-20T00:00:00.000Z","level":"{level}","source":"{source}","message":"order {order:016x} paid by user{user}{address} with {card} after {millis} ms","context":{{"request_id":"{:016x}{:016x}","user":{{"id":{user},"plan":"team"}}}},"metadata":{{"{key}":"k{:016x}","attempt":{},"cached":false,"amount":{}.{:02},"path":"/v1/orders/{}"}}}}"#,
        random.u64(..),
        random.u64(..),
        random.u64(..),
        random.u32(..3),
        random.u32(..500),
        random.u32(..100),
        random.u32(..100_000),
    );
    level != "DEBUG"
}

fn message_pack(json: &str) -> Vec<u8> {
    // Our own JSON always parses, and a value tree can always be written.
    let value: serde_json::Value = serde_json::from_str(json).expect("our own JSON");
    rmp_serde::to_vec(&value).expect("a plain value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_the_size_used_in_published_comparisons() {
        let body = &bodies(100, Encoding::Json)[0];
        let each = body.bytes.len() / 100;
        assert!((370..=400).contains(&each), "{each} bytes");
        let parsed: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 100);
    }

    #[test]
    fn records_of_a_size_have_it() {
        for (bytes, batch) in [(100, 100), (1_000, 1), (100_000, 2)] {
            let body = &bodies_of(bytes, batch)[0];
            let parsed: Vec<serde_json::Value> = serde_json::from_slice(&body.bytes).unwrap();
            assert_eq!((parsed.len(), body.bytes.len()), (batch, batch * (bytes + 1) + 1));
        }
    }

    #[test]
    fn timestamps_increase_across_records_and_bodies() {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let body = &bodies(10, encoding)[3];
            assert_eq!(body.times.len(), 10);
            let mut bytes = body.bytes.clone();
            body.set_times(&mut bytes, 1_234_567);
            let times: Vec<_> =
                body.times.iter().map(|at| std::str::from_utf8(&bytes[*at..at + 12]).unwrap()).collect();
            assert_eq!((times[0], times[9]), ("06:51:31.340", "06:51:31.358"));
        }
    }

    #[test]
    fn every_run_sends_the_same_bytes() {
        let (one, two) = (bodies(10, Encoding::MessagePack), bodies(10, Encoding::MessagePack));
        assert!(one.iter().zip(&two).all(|(a, b)| a.bytes == b.bytes));
    }
}
