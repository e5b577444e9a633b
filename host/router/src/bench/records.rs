//! The records of the bench: about 385 bytes of JSON each, with an e-mail address, a key and a card
//! number to mask, one in ten at DEBUG. The same bytes in every run.

use std::fmt::Write;

/// Bodies that the driver sends round and round; enough that no cache holds them all.
const BODIES: usize = 64;

/// How a body is written.
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

/// One request's body.
pub struct Body {
    pub bytes: Vec<u8>,
    pub records: u64,
    /// How many of them are not at DEBUG.
    pub kept: u64,
}

/// The bodies for requests of `batch` records.
pub fn bodies(batch: usize, encoding: Encoding) -> Vec<Body> {
    let mut random = Random(0x5EED_0F3E_C04D);
    (0..BODIES.max(1000 / batch.max(1))).map(|_| body(batch, encoding, &mut random)).collect()
}

fn body(batch: usize, encoding: Encoding, random: &mut Random) -> Body {
    let mut json = String::from("[");
    let mut kept = 0;
    for number in 0..batch {
        if number > 0 {
            json.push(',');
        }
        kept += u64::from(record(&mut json, random));
    }
    json.push(']');
    let bytes = match encoding {
        Encoding::Json => json.into_bytes(),
        Encoding::MessagePack => message_pack(&json),
    };
    Body { bytes, records: batch as u64, kept }
}

/// Writes one record; says whether it is above DEBUG.
fn record(json: &mut String, random: &mut Random) -> bool {
    const LEVELS: [&str; 10] = ["DEBUG", "INFO", "INFO", "INFO", "INFO", "INFO", "INFO", "WARNING", "INFO", "ERROR"];
    const SOURCES: [&str; 4] = ["checkout", "auth", "search", "inventory"];
    let level = LEVELS[random.below(10) as usize];
    let source = SOURCES[random.below(4) as usize];
    let (user, order, millis) = (random.below(90_000), random.next(), random.below(1000));
    // Writing into a string can't fail.
    let _ = write!(
        json,
        r#"{{"timestamp":"2026-11-20T10:{:02}:{:02}.{millis:03}Z","level":"{level}","source":"{source}","message":"order {order:016x} paid by user{user}@example.com with card 4111 1111 1111 1111 after {millis} ms","context":{{"request_id":"{:016x}{:016x}","user":{{"id":{user},"plan":"team"}}}},"metadata":{{"api_key":"k{:016x}","attempt":{},"cached":false,"amount":{}.{:02},"path":"/v1/orders/{}"}}}}"#,
        random.below(60),
        random.below(60),
        random.next(),
        random.next(),
        random.next(),
        random.below(3),
        random.below(500),
        random.below(100),
        random.below(100_000),
    );
    level != "DEBUG"
}

fn message_pack(json: &str) -> Vec<u8> {
    // Our own text, just written: it parses, and a value tree can always be written.
    let value: serde_json::Value = serde_json::from_str(json).expect("our own JSON");
    rmp_serde::to_vec(&value).expect("a plain value")
}

/// A small generator (xorshift64*): repeatable, which is all that is wanted of it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_long_as_those_that_peers_were_measured_with() {
        let body = &bodies(100, Encoding::Json)[0];
        let each = body.bytes.len() / 100;
        assert!((370..=400).contains(&each), "{each} bytes");
        let parsed: serde_json::Value = serde_json::from_slice(&body.bytes).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 100);
    }

    #[test]
    fn every_run_sends_the_same_bytes() {
        let (one, two) = (bodies(10, Encoding::MessagePack), bodies(10, Encoding::MessagePack));
        assert!(one.iter().zip(&two).all(|(a, b)| a.bytes == b.bytes));
    }
}
