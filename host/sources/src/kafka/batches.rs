//! The batches that a broker sends of a partition: their messages, without those of aborted transactions.
//!
//! What can't be read although its checksum is right is one item, for quarantine: other batches don't depend on it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::compression::decompress;
use super::wire::{Malformed, Read, Reader};

/// Offset, length and checksum or epoch, before the number of the format.
const UP_TO_FORMAT: usize = 16;
/// What the length does not count.
const BEFORE_LENGTH: usize = 12;
/// The number of the format since Kafka 0.11.
const FORMAT: u8 = 2;
/// Where a batch has the difference between its first and its last offset.
const LAST_DELTA: std::ops::RangeFrom<usize> = 23..;

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'m> {
    pub offset: i64,
    /// In nanoseconds since 1970.
    pub time_ns: Option<i64>,
    pub key: Option<&'m [u8]>,
    /// Empty for none.
    pub value: &'m [u8],
    /// Names and values.
    pub headers: Vec<(&'m [u8], &'m [u8])>,
}

impl Message<'_> {
    /// Bytes of what its record gets of it.
    pub fn byte_len(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.len() + headers
    }
}

/// One after another.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'m> {
    Message(Message<'m>),
    /// A batch, or the rest of one, and why it can't be read.
    Unreadable(String, &'m [u8]),
}

/// Reads batches.
#[derive(Debug)]
pub(super) struct Batches<'b> {
    rest: &'b [u8],
    /// Those that were aborted: producer and first offset, the last first.
    aborted: Vec<(i64, i64)>,
    /// The producers whose current transaction was aborted.
    aborting: BTreeSet<i64>,
    /// Offset after what was returned or passed over: what is before it is not wanted.
    next: i64,
    open: Open<'b>,
}

/// The batch that is read.
#[derive(Debug, Default)]
struct Open<'b> {
    header: Header,
    messages: Cow<'b, [u8]>,
    at: usize,
    left: i32,
    /// The offset after it.
    after: i64,
}

#[derive(Clone, Debug, Default)]
struct Header {
    first: i64,
    last: i64,
    attributes: i16,
    first_ms: i64,
    last_ms: i64,
    producer: i64,
    count: i32,
}

impl Header {
    const COMPRESSION: i16 = 7;
    const APPEND_TIME: i16 = 1 << 3;
    const TRANSACTION: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;

    fn is(&self, attribute: i16) -> bool {
        self.attributes & attribute != 0
    }

    fn time_ns(&self, delta_ms: i64) -> Option<i64> {
        let ms = if self.is(Header::APPEND_TIME) { self.last_ms } else { self.first_ms.checked_add(delta_ms)? };
        (ms >= 0).then(|| ms.checked_mul(1_000_000)).flatten()
    }
}

impl<'b> Batches<'b> {
    /// What is before `next` was read before: a broker sends whole batches.
    pub fn new(bytes: &'b [u8], mut aborted: Vec<(i64, i64)>, next: i64) -> Batches<'b> {
        aborted.sort_unstable_by_key(|(_, first)| std::cmp::Reverse(*first));
        Batches { rest: bytes, aborted, aborting: BTreeSet::new(), next, open: Open::default() }
    }

    /// The offset after everything that was returned or passed over.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// The next item.
    ///
    /// # Errors
    /// A checksum is wrong. Sent again, the bytes may be right.
    pub fn next(&mut self) -> Result<Option<Item<'_>>, String> {
        let (offset, at) = loop {
            match self.find_message() {
                Ok(Some(found)) => break found,
                Ok(None) => self.next = self.next.max(self.open.after),
                Err(Malformed) => {
                    (self.next, self.open.left) = (self.next.max(self.open.after), 0);
                    let rest = &self.open.messages[self.open.at..];
                    return Ok(Some(Item::Unreadable("a message of the batch is malformed".to_owned(), rest)));
                }
            }
            let Some(batch) = cut(&mut self.rest) else { return Ok(None) };
            if let Err(why) = self.begin(batch)? {
                self.next = self.next.max(self.open.after);
                return Ok(Some(Item::Unreadable(why, batch)));
            }
        };
        self.next = offset.saturating_add(1);
        let body = &self.open.messages[at..self.open.at];
        Ok(Some(match message(body, &self.open.header) {
            Ok(message) => Item::Message(message),
            Err(Malformed) => Item::Unreadable("the message is malformed".to_owned(), body),
        }))
    }

    /// The offset and the place of the next message of the batch that is wanted.
    fn find_message(&mut self) -> Read<Option<(i64, usize)>> {
        let open = &mut self.open;
        while open.left > 0 {
            let mut reader = Reader::new(&open.messages[open.at..]);
            let body = reader.varint_bytes()?.ok_or(Malformed)?;
            let end = open.messages.len() - reader.rest().len();
            let begin = end - body.len();
            let (_, offset) = deltas(&mut Reader::new(body))?;
            let offset = open.header.first.saturating_add(offset);
            open.at = end;
            open.left -= 1;
            if offset >= self.next {
                return Ok(Some((offset, begin)));
            }
        }
        Ok(None)
    }

    /// Opens a batch. The inner error: why it can't be read.
    fn begin(&mut self, batch: &'b [u8]) -> Result<Result<(), String>, String> {
        self.open = Open::default();
        let (header, body) = match header(batch) {
            Ok(Some(read)) => read,
            Ok(None) => {
                let first = Reader::new(batch).i64().unwrap_or_default();
                self.open.after = first.saturating_add(1).max(self.next);
                return Ok(Err("the batch has the format of Kafka before 0.11".to_owned()));
            }
            Err(why) => return Err(why),
        };
        self.open.after = header.last.saturating_add(1);
        while let Some((producer, _)) = self.aborted.pop_if(|(_, first)| *first <= header.last) {
            self.aborting.insert(producer);
        }
        if header.is(Header::CONTROL) {
            // It ends the producer's transaction, one way or the other.
            self.aborting.remove(&header.producer);
            return Ok(Ok(()));
        }
        let is_aborted = header.is(Header::TRANSACTION) && self.aborting.contains(&header.producer);
        if is_aborted || self.open.after <= self.next {
            return Ok(Ok(()));
        }
        match decompress(header.attributes & Header::COMPRESSION, body) {
            Err(why) => return Ok(Err(why)),
            Ok(messages) => self.open.messages = messages,
        }
        self.open.left = header.count;
        self.open.header = header;
        Ok(Ok(()))
    }
}

/// The offset after the last whole batch; `None` if there is none.
pub(super) fn end(mut bytes: &[u8]) -> Option<i64> {
    let mut end = None;
    while let Some(batch) = cut(&mut bytes) {
        let mut reader = Reader::new(batch);
        let first = reader.i64().unwrap_or_default();
        let is_known = batch.get(UP_TO_FORMAT) == Some(&FORMAT);
        let last = if is_known { batch.get(LAST_DELTA).and_then(|rest| rest.first_chunk()) } else { None };
        let last = first.saturating_add(last.map_or(0, |delta| i64::from(i32::from_be_bytes(*delta))));
        end = Some(last.saturating_add(1));
    }
    end
}

/// Takes the next whole batch.
fn cut<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let mut reader = Reader::new(bytes);
    reader.i64().ok()?;
    let length = usize::try_from(reader.i32().ok()?).ok()?;
    let (batch, rest) = bytes.split_at_checked(BEFORE_LENGTH.checked_add(length)?)?;
    *bytes = rest;
    (batch.len() > UP_TO_FORMAT).then_some(batch)
}

/// The header of a batch and what follows it; `None` if the batch has another format.
fn header(batch: &[u8]) -> Result<Option<(Header, &[u8])>, String> {
    if batch.get(UP_TO_FORMAT) != Some(&FORMAT) {
        return Ok(None);
    }
    let read = || -> Read<_> {
        let reader = &mut Reader::new(batch);
        let first = reader.i64()?;
        reader.take(UP_TO_FORMAT + 1 - 8)?;
        let checksum = reader.u32()?;
        let is_right = crc32c::crc32c(reader.rest()) == checksum;
        let (attributes, last, first_ms, last_ms) = (reader.i16()?, reader.i32()?, reader.i64()?, reader.i64()?);
        let producer = reader.i64()?;
        // Its epoch, and its number of the first message.
        reader.i16()?;
        reader.i32()?;
        let count = reader.i32()?;
        let last = first.saturating_add(i64::from(last));
        Ok((is_right, Header { first, last, attributes, first_ms, last_ms, producer, count }, reader.rest()))
    };
    match read() {
        Ok((true, header, body)) => Ok(Some((header, body))),
        Ok((false, ..)) | Err(Malformed) => Err("the checksum of a batch is wrong".to_owned()),
    }
}

/// The differences of a message's time and of its offset to those of its batch.
fn deltas(reader: &mut Reader<'_>) -> Read<(i64, i64)> {
    reader.i8()?;
    Ok((reader.varint()?, reader.varint()?))
}

fn message<'m>(body: &'m [u8], header: &Header) -> Read<Message<'m>> {
    let reader = &mut Reader::new(body);
    let (time, offset) = deltas(reader)?;
    let (key, value) = (reader.varint_bytes()?, reader.varint_bytes()?.unwrap_or_default());
    let headers = 0..reader.varint()?;
    let headers =
        headers.map(|_| Ok((reader.varint_bytes()?.unwrap_or_default(), reader.varint_bytes()?.unwrap_or_default())));
    let headers = headers.collect::<Read<_>>()?;
    let offset = header.first.saturating_add(offset);
    Ok(Message { offset, time_ns: header.time_ns(time), key, value, headers })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the checksum does not cover.
    const BEFORE_CHECKED: usize = 21;

    fn varint(value: i64) -> Vec<u8> {
        let (mut rest, mut bytes) = (((value << 1) ^ (value >> 63)) as u64, Vec::new());
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    fn text(text: &[u8]) -> Vec<u8> {
        [varint(text.len() as i64), text.to_vec()].concat()
    }

    /// A batch of messages with these offsets, as a producer writes it.
    fn batch(offsets: std::ops::Range<i64>, attributes: i16, producer: i64) -> Vec<u8> {
        batch_of(offsets, attributes, producer, &varint(-1))
    }

    /// The same, of messages that have this text as a header.
    pub(crate) fn batch_with_header(offsets: std::ops::Range<i64>, header: &[u8]) -> Vec<u8> {
        batch_of(offsets, 0, -1, &text(header))
    }

    fn batch_of(offsets: std::ops::Range<i64>, attributes: i16, producer: i64, header: &[u8]) -> Vec<u8> {
        let mut messages = Vec::new();
        for offset in offsets.clone() {
            let delta = offset - offsets.start;
            let value = text(format!("m{offset}").as_bytes());
            let body =
                [&[0][..], &varint(10 * delta), &varint(delta), &text(b"k"), &value, &varint(1), &text(b"h"), header];
            messages.extend(text(&body.concat()));
        }
        let count = (offsets.end - offsets.start) as i32;
        let checked = [
            &attributes.to_be_bytes()[..],
            &(count - 1).to_be_bytes(),
            &1_000_i64.to_be_bytes(),
            &9_000_i64.to_be_bytes(),
            &producer.to_be_bytes(),
            &[0; 6],
            &count.to_be_bytes(),
            &messages,
        ]
        .concat();
        let after_length = [&[0; 4], &[2][..], &crc32c::crc32c(&checked).to_be_bytes(), &checked].concat();
        [&offsets.start.to_be_bytes()[..], &(after_length.len() as i32).to_be_bytes(), &after_length].concat()
    }

    /// The values of the messages, and the offset after them.
    fn read(bytes: &[u8], aborted: Vec<(i64, i64)>, next: i64) -> (Vec<String>, i64) {
        let (mut batches, mut found) = (Batches::new(bytes, aborted, next), Vec::new());
        while let Some(item) = batches.next().expect("right checksums") {
            found.push(match item {
                Item::Message(message) => String::from_utf8(message.value.to_vec()).expect("text"),
                Item::Unreadable(why, _) => why,
            });
        }
        (found, batches.next_offset())
    }

    #[test]
    fn messages_are_read_from_the_wanted_one_up_to_the_last_whole_batch() {
        let bytes = [batch(5..8, 0, -1), batch(8..10, 0, -1), batch(10..12, 0, -1)].concat();
        assert_eq!(end(&bytes), Some(12));
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(
            (read(cut, Vec::new(), 6), end(cut)),
            ((["m6", "m7", "m8", "m9"].map(str::to_owned).to_vec(), 10), Some(10))
        );
        assert_eq!(read(cut, Vec::new(), 9), (vec!["m9".to_owned()], 10));
        assert_eq!((read(&bytes[..20], Vec::new(), 5), end(&bytes[..20])), ((Vec::new(), 5), None));
        let mut batches = Batches::new(&bytes, Vec::new(), 6);
        let message = Message {
            offset: 6,
            time_ns: Some(1_010_000_000),
            key: Some(b"k"),
            value: b"m6",
            headers: vec![(b"h", b"")],
        };
        assert_eq!(batches.next(), Ok(Some(Item::Message(message))));
        assert_eq!(batches.next_offset(), 7);
    }

    #[test]
    fn aborted_transactions_are_left_out_and_the_offset_passes_them() {
        let (in_transaction, end) = (Header::TRANSACTION, Header::TRANSACTION | Header::CONTROL);
        let bytes = [
            batch(0..2, in_transaction, 7),
            batch(2..3, in_transaction, 8),
            batch(3..4, 0, 7),
            batch(4..5, end, 7),
            batch(5..6, in_transaction, 7),
            batch(6..7, end, 7),
            batch(7..8, end, 8),
        ];
        let due = ["m2", "m3", "m5"].map(str::to_owned).to_vec();
        assert_eq!(read(&bytes.concat(), vec![(7, 0)], 0), (due, 8));
        assert_eq!(read(&bytes.concat(), vec![(7, 5), (8, 2), (7, 0)], 0), (vec!["m3".to_owned()], 8));
    }

    #[test]
    fn what_cannot_be_read_is_one_item_and_a_wrong_checksum_is_an_error() {
        let mut old = batch(1..2, 0, -1);
        old[UP_TO_FORMAT] = 1;
        let compressed = batch(2..4, 4, -1);
        let bytes = [batch(0..1, 0, -1), old, compressed, batch(4..5, Header::APPEND_TIME, -1)].concat();
        let (found, next) = read(&bytes, Vec::new(), 0);
        assert_eq!((found[0].as_str(), found[3].as_str(), found.len(), next), ("m0", "m4", 4, 5));
        assert!(found[1].contains("0.11") && found[2].contains("decompressed"), "{found:?}");
        let mut damaged = batch(0..1, 0, -1);
        *damaged.last_mut().expect("bytes") ^= 1;
        assert!(Batches::new(&damaged, Vec::new(), 0).next().expect_err("damaged").contains("checksum"));
    }

    #[test]
    fn no_bytes_make_it_fail_or_go_on_for_ever() {
        let mut random = fastrand::Rng::with_seed(1);
        let whole = batch(0..5, 0, -1);
        for _ in 0..2_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(BEFORE_CHECKED..bytes.len());
                bytes[at] = random.u8(..);
            }
            let checksum = crc32c::crc32c(&bytes[BEFORE_CHECKED..]).to_be_bytes();
            bytes[UP_TO_FORMAT + 1..BEFORE_CHECKED].copy_from_slice(&checksum);
            let mut batches = Batches::new(&bytes, Vec::new(), 0);
            let items = std::iter::from_fn(|| batches.next().expect("the checksum is right").map(drop)).count();
            assert!(items <= 6, "{items}");
        }
    }
}
