//! A connection whose sender is not answered: bytes to frames, and frames to records.
//!
//! All frames that one read has completed become one batch. The next read waits until that is stored, so a burst is
//! stored in few large batches, and a sender that is too fast is slowed down by its connection.

use std::io;
use std::ops::Range;

use bytes::{Buf, BufMut, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};
use weir_record::{Batch, Composer};

use super::deliver::{Decoded, NotStored, Session};
use super::protocol::{Framing, OneWay};
use crate::budget::HeldBytes;
use crate::limits;
use crate::traffic::AnyStream;

/// Reads a connection into a buffer whose bytes count as in flight.
pub(crate) struct Reader<S = AnyStream> {
    pub(crate) stream: S,
    /// What is not consumed yet.
    pub(crate) buffer: BytesMut,
    pub(crate) held: HeldBytes,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(crate) fn new(session: &Session, stream: S) -> Result<Reader<S>, String> {
        let held = session.hold().map_err(|refused| refused.error)?;
        Ok(Reader { stream, buffer: BytesMut::new(), held })
    }

    /// Reads what there is, at most so many bytes into the buffer as a whole. Returns the number of bytes; 0 at the end
    /// of the stream, when the listener is to stop, or if what was begun is not continued.
    pub(crate) async fn more(&mut self, session: &Session, most_bytes: usize) -> Result<usize, String> {
        // Others on this thread have their turn, even if there is always more to read.
        yield_now().await;
        let begun = self.buffer.len();
        // A message that is small so far needs no more than an empty buffer, and doesn't have to wait for it.
        let room = begun.max(limits::SOCKET_READ_BYTES.saturating_sub(begun)).min(most_bytes);
        let deadline = Instant::now() + limits::MESSAGE_IDLE_TIMEOUT;
        // Twice: the bytes, and what becomes of them.
        while let Err(refused) = self.held.resize(2 * (begun + room)) {
            tokio::select! {
                () = sleep(limits::RETRY_FIRST) => {}
                () = session.stopped() => return Err(refused.error),
                // What it holds may be what all others wait for.
                () = sleep_until(deadline), if begun > 0 => {
                    return Err(format!("there was no room for the rest of a message: {}", refused.error));
                }
            }
        }
        self.buffer.reserve(room);
        // However large the message that ends here, many small ones may follow it.
        let mut space = BufMut::limit(&mut self.buffer, limits::SOCKET_READ_BYTES);
        let read = tokio::select! {
            biased;
            read = self.stream.read_buf(&mut space) => read,
            () = session.stopped() => return Ok(0),
            () = sleep(limits::MESSAGE_IDLE_TIMEOUT), if begun > 0 => {
                let waited = limits::MESSAGE_IDLE_TIMEOUT;
                session.listener.closes(&session.peer, &format!("a message was not continued for {waited:?}"));
                return Ok(0);
            }
        };
        match read {
            Ok(bytes) => {
                session.listener.meters.bytes.increment(bytes as u64);
                Ok(bytes)
            }
            // A peer that is gone has ended its stream.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(0),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Forgets the first bytes. What follows them is not moved, however many small messages one read has completed.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        // The memory of a large message ends with it; what follows it is at most one read.
        if self.buffer.is_empty() || bytes > 4 * limits::SOCKET_READ_BYTES {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }
}

/// Receives records until the sender or the listener ends. The error is the reason why the connection is closed.
pub(super) async fn receive(session: &Session, protocol: &OneWay, stream: AnyStream) -> Result<(), String> {
    let max_bytes = session.listener.options.max_message_bytes;
    let mut reader = Reader::new(session, stream)?;
    let mut splitter = Splitter::new(protocol.framing, max_bytes);
    loop {
        // With room for the header of a frame.
        let is_end = reader.more(session, max_bytes + limits::SOCKET_READ_BYTES).await? == 0;
        let received_ns = weir_record::time::now_ns();
        let (frames, consumed) = splitter.split(&reader.buffer, is_end);
        if !frames.is_empty() {
            let stored = session.store(&mut || decode(session, protocol, &reader.buffer, &frames, received_ns)).await;
            match stored {
                Ok(_) => {}
                Err(NotStored::Refused(reason)) => return Err(reason),
                Err(NotStored::Stopping) => return Err(lost(frames.len())),
            }
        }
        reader.consume(consumed);
        if is_end {
            return Ok(());
        }
    }
}

pub(super) fn lost(frames: usize) -> String {
    format!("the router stopped before there was room for {frames} records that were read")
}

/// Turns frames into records. A frame that can't be read is set aside. Fails if they exceed a limit of a batch.
pub(super) fn decode(
    session: &Session,
    protocol: &OneWay,
    bytes: &[u8],
    frames: &[Frame],
    received_ns: i64,
) -> Result<Decoded, String> {
    let defaults = session.listener.defaults(received_ns);
    let length: usize = frames.iter().map(|frame| frame.content.len()).sum();
    let mut batch = Batch::with_capacity(length + length / 2, frames.len());
    let mut composer = Composer::new(&defaults, &mut batch);
    for frame in frames {
        let content = &bytes[frame.content.clone()];
        let ended = if frame.is_cut {
            composer.reject("it is longer than `max_message`; this is its beginning".to_owned(), content.to_vec())
        } else {
            composer.begin();
            match (protocol.compose)(content, received_ns, &mut composer) {
                Ok(()) => composer.end(Ok(()), || content.to_vec()),
                Err(error) => composer.reject(error.reason().to_owned(), content.to_vec()),
            }
        };
        ended.map_err(|error| error.reason)?;
    }
    let bad = composer.finish();
    Ok(Decoded { batch, bad, key: None, bytes: length })
}

/// One message of a stream.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) content: Range<usize>,
    /// It was too long, and this is its beginning.
    pub(super) is_cut: bool,
}

/// Finds frames in a stream.
struct Splitter {
    framing: Framing,
    max_bytes: usize,
    /// Bytes of the buffer in which there is no end of a frame.
    searched: usize,
    /// The rest of a frame that was too long.
    skipped: Skipped,
}

#[derive(Clone, Copy, PartialEq)]
enum Skipped {
    Nothing,
    Bytes(usize),
    UntilItsEnd,
}

impl Splitter {
    fn new(framing: Framing, max_bytes: usize) -> Splitter {
        Splitter { framing, max_bytes, searched: 0, skipped: Skipped::Nothing }
    }

    fn delimiter(&self) -> u8 {
        if self.framing == Framing::Nulls { 0 } else { b'\n' }
    }

    /// The frames at the start of the buffer, and how many bytes are done with. At the end of the stream, the rest is a
    /// frame too.
    fn split(&mut self, buffer: &[u8], is_end: bool) -> (Vec<Frame>, usize) {
        let mut frames = Vec::new();
        let mut at = self.skip(buffer);
        while at < buffer.len() {
            let rest = &buffer[at..];
            let (header, length) = match (self.framing, counted(rest)) {
                (Framing::Counted, Count::Known { header, length }) => (header, Some(length)),
                (Framing::Counted, Count::Unfinished) if !is_end => break,
                _ => (0, None),
            };
            let (content, next) = match length {
                Some(length) if length > self.max_bytes => {
                    frames.push(Frame {
                        content: at + header..at + header + self.max_bytes.min(rest.len() - header),
                        is_cut: true,
                    });
                    self.skipped = Skipped::Bytes(length + header);
                    at += self.skip(rest);
                    continue;
                }
                Some(length) if rest.len() >= header + length => (header..header + length, header + length),
                Some(_) if is_end => (header..rest.len(), rest.len()),
                Some(_) => break,
                None => match memchr(self.delimiter(), &rest[self.searched..]) {
                    Some(found) => (0..self.searched + found, self.searched + found + 1),
                    None if rest.len() > self.max_bytes => {
                        frames.push(Frame { content: at..at + self.max_bytes, is_cut: true });
                        self.skipped = Skipped::UntilItsEnd;
                        (at, self.searched) = (buffer.len(), 0);
                        break;
                    }
                    None if is_end => (0..rest.len(), rest.len()),
                    None => {
                        self.searched = rest.len();
                        break;
                    }
                },
            };
            self.searched = 0;
            let is_cut = content.len() > self.max_bytes;
            let content = at + content.start..at + content.end.min(content.start + self.max_bytes);
            if !buffer[content.clone()].trim_ascii().is_empty() {
                frames.push(Frame { content, is_cut });
            }
            at += next;
        }
        (frames, at)
    }

    /// How many bytes at the start of the buffer belong to a frame that was too long.
    fn skip(&mut self, buffer: &[u8]) -> usize {
        match self.skipped {
            Skipped::Nothing => 0,
            Skipped::Bytes(bytes) => {
                let skipped = bytes.min(buffer.len());
                self.skipped = if skipped == bytes { Skipped::Nothing } else { Skipped::Bytes(bytes - skipped) };
                skipped
            }
            Skipped::UntilItsEnd => match memchr(self.delimiter(), buffer) {
                Some(end) => {
                    self.skipped = Skipped::Nothing;
                    end + 1
                }
                None => buffer.len(),
            },
        }
    }
}

/// The number at the start of a frame that is counted.
enum Count {
    Known {
        header: usize,
        length: usize,
    },
    /// It may still become one.
    Unfinished,
    /// The frame ends with its line.
    No,
}

fn counted(bytes: &[u8]) -> Count {
    // A count doesn't begin with 0, and a line that begins with more digits than this is no count.
    if !matches!(bytes.first(), Some(b'1'..=b'9')) {
        return Count::No;
    }
    let digits = bytes.iter().take(limits::MAX_COUNT_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(digits) {
        _ if digits > limits::MAX_COUNT_DIGITS => Count::No,
        None => Count::Unfinished,
        Some(b' ') => {
            let length = bytes[..digits].iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
            Count::Known { header: digits + 1, length }
        }
        Some(_) => Count::No,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::super::test_session::session;
    use super::*;
    use crate::budget::ByteBudget;

    const READ: usize = limits::SOCKET_READ_BYTES;

    #[tokio::test(start_paused = true)]
    async fn a_message_that_waits_for_the_bytes_that_others_hold_is_given_up() {
        let (session, _stop) = session(1 << 20);
        let most = 1 << 20;
        let bytes = [b'x'; 1000];
        let mut small = Reader::new(&session, &bytes[..]).expect("there is room");
        let mut large = Reader::new(&session, tokio::io::repeat(b'x')).expect("there is room");
        assert_eq!(small.more(&session, most).await, Ok(1000));
        assert_eq!(large.more(&session, most).await, Ok(READ));
        let mut others = session.hold().expect("there is room");
        while others.grow(1 << 10).is_ok() {}
        small.stream = &bytes[..10];
        assert_eq!(small.more(&session, most).await, Ok(10), "there is room for the rest of a small message");
        let waited = timeout(10 * limits::MESSAGE_IDLE_TIMEOUT, large.more(&session, most)).await;
        assert!(waited.expect("it ends").expect_err("without room").contains("the rest of a message"));
        drop(others);
        assert!(large.more(&session, most).await.is_ok(), "there is room again");
    }

    #[tokio::test]
    async fn of_what_follows_a_large_message_one_read_takes_little() {
        let (session, _stop) = session(64 << 20);
        let mut reader = Reader::new(&session, tokio::io::repeat(b'x')).expect("there is room");
        while reader.buffer.len() < 16 * READ {
            assert!(reader.more(&session, 32 * READ).await.expect("it is read") <= READ);
        }
    }

    #[test]
    fn small_messages_are_consumed_without_moving_those_behind_them_and_a_large_one_leaves_no_memory() {
        let held = ByteBudget::new(1).hold(0).expect("there is room");
        let buffer = BytesMut::from(&vec![b'x'; 8 * READ][..]);
        let mut reader = Reader { stream: tokio::io::empty(), buffer, held };
        let start = reader.buffer.as_ptr().addr();
        for consumed in 1..100 {
            reader.consume(1);
            assert_eq!(reader.buffer.as_ptr().addr(), start + consumed);
        }
        reader.consume(7 * READ);
        assert!(reader.buffer.len() == READ - 99 && reader.buffer.capacity() <= 2 * READ);
        reader.consume(READ - 99);
        assert_eq!(reader.buffer.capacity(), 0);
    }

    /// The frames of a stream that arrives in pieces of this size, as text; `+` marks those that are cut.
    fn frames(framing: Framing, stream: &[u8], piece: usize) -> Vec<String> {
        let mut splitter = Splitter::new(framing, 20);
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        let mut pieces: Vec<&[u8]> = stream.chunks(piece).collect();
        pieces.push(b"");
        for piece in pieces {
            buffer.extend_from_slice(piece);
            let (frames, consumed) = splitter.split(&buffer, piece.is_empty());
            for frame in frames {
                let text = String::from_utf8_lossy(&buffer[frame.content]).into_owned();
                found.push(if frame.is_cut { format!("{text}+") } else { text });
            }
            buffer.drain(..consumed);
            assert!(buffer.len() <= 20 + piece.len() + 8, "the buffer is bounded");
        }
        found
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_divided() {
        let long = "x".repeat(50);
        let lines = format!("one\n\ntwo\r\n{long}\nthree");
        let counted = format!("5 hello<34>line\n11 two\nin one 50 {long}3 end7 1234567<1>no count\n0 zero\n");
        let cut = format!("{}+", "x".repeat(20));
        for piece in 1..counted.len() + 1 {
            assert_eq!(frames(Framing::Lines, lines.as_bytes(), piece), ["one", "two\r", &cut, "three"], "{piece}");
            let nulls = lines.replace('\n', "\0");
            assert_eq!(frames(Framing::Nulls, nulls.as_bytes(), piece), ["one", "two\r", &cut, "three"], "{piece}");
            let found = frames(Framing::Counted, counted.as_bytes(), piece);
            let due = ["hello", "<34>line", "two\nin one ", "x+", "end", "1234567", "<1>no count", "0 zero"];
            assert_eq!(found.len(), due.len(), "{piece}: {found:?}");
            for (found, due) in found.iter().zip(due) {
                // How much of a long frame is kept depends on what has arrived of it.
                assert!(found == due || (due == "x+" && found.ends_with('+')), "{piece}: {found} {due}");
            }
        }
    }

    #[test]
    fn a_count_that_is_cut_short_by_the_end_is_a_frame() {
        assert_eq!(frames(Framing::Counted, b"19 cut", 100), ["cut"]);
        assert_eq!(frames(Framing::Counted, b"12", 100), ["12"]);
        assert_eq!(frames(Framing::Counted, b"12345678901 many digits\n", 7), ["12345678901 many dig+"]);
    }
}
