//! Messages of GELF over UDP: parts of a message, and compressed ones.
//!
//! A part begins with 1e 0f, 8 bytes that all parts of its message share, its number, and how many there are. Messages
//! whose parts have not all arrived within [`limits::CHUNKS_WAIT`] are dropped, and if too many wait, the oldest.

use std::collections::HashMap;
use std::io::Read;

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use tokio::time::Instant;

use crate::limits;

const CHUNK: &[u8] = &[0x1e, 0x0f];
const HEADER_BYTES: usize = 12;

/// Puts messages together.
pub(super) struct Assembler {
    max_bytes: usize,
    waiting: HashMap<[u8; 8], Parts>,
    waiting_bytes: usize,
}

struct Parts {
    since: Instant,
    parts: Vec<Option<Vec<u8>>>,
    missing: usize,
    bytes: usize,
}

impl Assembler {
    pub(super) fn new(max_bytes: usize) -> Assembler {
        Assembler { max_bytes, waiting: HashMap::new(), waiting_bytes: 0 }
    }

    /// Takes a datagram. Returns a message if it is complete now.
    pub(super) fn add(&mut self, datagram: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        if !datagram.starts_with(CHUNK) {
            return decompressed(datagram, self.max_bytes).map(Some);
        }
        let (Some(header), Some(content)) = (datagram.get(2..HEADER_BYTES), datagram.get(HEADER_BYTES..)) else {
            return Err("a chunk without a header");
        };
        let (number, count) = (usize::from(header[8]), usize::from(header[9]));
        if count == 0 || count > limits::MAX_CHUNKS || number >= count {
            return Err("a chunk with a wrong number");
        }
        let now = Instant::now();
        self.forget_old(now);
        let mut id = [0; 8];
        id.copy_from_slice(&header[..8]);
        let parts = self.waiting.entry(id).or_insert_with(|| Parts {
            since: now,
            parts: vec![None; count],
            missing: count,
            bytes: 0,
        });
        if parts.parts.len() != count {
            return Err("a chunk of a message with another number of chunks");
        }
        if parts.parts[number].is_some() {
            return Ok(None);
        }
        parts.parts[number] = Some(content.to_vec());
        parts.missing -= 1;
        parts.bytes += content.len();
        self.waiting_bytes += content.len();
        if parts.bytes > self.max_bytes {
            self.forget(id);
            return Err("a message that is longer than `max_message`");
        }
        if parts.missing > 0 {
            self.forget_over_limit();
            return Ok(None);
        }
        let whole = self.waiting.remove(&id).map(|parts| parts.parts.into_iter().flatten().flatten().collect());
        let whole: Vec<u8> = whole.unwrap_or_default();
        self.waiting_bytes -= whole.len();
        decompressed(&whole, self.max_bytes).map(Some)
    }

    fn forget(&mut self, id: [u8; 8]) {
        if let Some(parts) = self.waiting.remove(&id) {
            self.waiting_bytes -= parts.bytes;
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let old = |parts: &Parts| now.duration_since(parts.since) > limits::CHUNKS_WAIT;
        if self.waiting.values().any(old) {
            self.waiting.retain(|_, parts| !old(parts));
            self.waiting_bytes = self.waiting.values().map(|parts| parts.bytes).sum();
        }
    }

    fn forget_over_limit(&mut self) {
        while self.waiting.len() > limits::MAX_CHUNKED_MESSAGES || self.waiting_bytes > limits::MAX_CHUNKED_BYTES {
            let Some(oldest) = self.waiting.iter().min_by_key(|(_, parts)| parts.since).map(|(id, _)| *id) else {
                return;
            };
            self.forget(oldest);
        }
    }
}

/// The text of a message, which may be compressed with gzip or zlib.
fn decompressed(message: &[u8], max_bytes: usize) -> Result<Vec<u8>, &'static str> {
    let read = |reader: &mut dyn Read| {
        let mut text = Vec::new();
        let read = reader.take(max_bytes as u64 + 1).read_to_end(&mut text);
        read.map_err(|_| "a message that can't be decompressed")?;
        if text.len() > max_bytes { Err("a message that is longer than `max_message`") } else { Ok(text) }
    };
    match message {
        [0x1f, 0x8b, ..] => read(&mut MultiGzDecoder::new(message)),
        [0x78, ..] => read(&mut ZlibDecoder::new(message)),
        _ => read(&mut &message[..]),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn chunk(id: u8, number: u8, count: u8, content: &[u8]) -> Vec<u8> {
        [CHUNK, &[id; 8], &[number, count], content].concat()
    }

    #[tokio::test]
    async fn chunks_make_a_message_in_any_order_and_repeated() {
        let mut assembler = Assembler::new(100);
        assert_eq!(assembler.add(b"{}"), Ok(Some(b"{}".to_vec())));
        assert_eq!(assembler.add(&chunk(1, 2, 3, b"c")), Ok(None));
        assert_eq!(assembler.add(&chunk(2, 0, 2, b"x")), Ok(None));
        assert_eq!(assembler.add(&chunk(1, 0, 3, b"a")), Ok(None));
        assert_eq!(assembler.add(&chunk(1, 0, 3, b"a")), Ok(None));
        assert_eq!(assembler.add(&chunk(1, 1, 3, b"b")), Ok(Some(b"abc".to_vec())));
        assert_eq!((assembler.waiting.len(), assembler.waiting_bytes), (1, 1));
    }

    #[tokio::test]
    async fn compressed_messages_are_read_within_the_limit() {
        let compressed = |text: &[u8]| {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(text).and_then(|()| encoder.finish()).expect("into memory")
        };
        let mut assembler = Assembler::new(100);
        assert_eq!(assembler.add(&compressed(b"{\"a\":1}")), Ok(Some(b"{\"a\":1}".to_vec())));
        assert!(assembler.add(&compressed(&[b'x'; 100_000])).expect_err("a bomb").contains("longer"));
        assert!(assembler.add(&[0x1f, 0x8b, 1, 2]).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_incomplete_is_bounded_in_time_and_number() {
        let mut assembler = Assembler::new(100);
        for bad in [&chunk(1, 0, 0, b"")[..], &chunk(1, 3, 3, b""), &chunk(1, 0, 129, b""), CHUNK] {
            assert!(assembler.add(bad).is_err(), "{bad:?}");
        }
        assert_eq!(assembler.add(&chunk(1, 0, 2, b"a")), Ok(None));
        assert!(assembler.add(&chunk(1, 1, 3, b"b")).is_err());
        tokio::time::advance(limits::CHUNKS_WAIT + std::time::Duration::from_millis(1)).await;
        assert_eq!(assembler.add(&chunk(1, 1, 2, b"b")), Ok(None), "the first chunk is forgotten");
        for id in 0..3 * limits::MAX_CHUNKED_MESSAGES {
            let id = u64::try_from(id).expect("small").to_be_bytes();
            assert_eq!(assembler.add(&[CHUNK, &id, &[0, 2], b"x"].concat()), Ok(None));
        }
        assert!(assembler.waiting.len() <= limits::MAX_CHUNKED_MESSAGES);
        assert_eq!(assembler.waiting_bytes, assembler.waiting.len());
        assert!(assembler.add(&chunk(9, 0, 2, &[b'x'; 101])).is_err());
    }
}
