//! The engine's log stream: entries of a container, and lines out of them.
//!
//! Without a terminal, each entry is a frame: one byte for the stream, three zeros, the length as 32 bits in big-endian
//! order, then the time, a space and the text. With a terminal there are no frames, only that text. An entry without a
//! line end is a part of a line: the engine splits lines at 16 KiB.

use weir_record::time::parse_rfc3339;

use crate::limits::{CONTAINER_PART_BYTES, MAX_FRAME_BYTES};
use crate::parts::{Entry, Stream};

/// A time with nine digits, and the space after it.
const TIME_BYTES: usize = "2026-11-24T10:00:00.000000000Z ".len();

const HEAD_BYTES: usize = 8;

/// Reads entries from bytes as they arrive.
pub(super) struct Frames {
    has_terminal: bool,
    rest: Vec<u8>,
}

impl Frames {
    pub fn new(has_terminal: bool) -> Frames {
        Frames { has_terminal, rest: Vec::new() }
    }

    /// Calls `each` with every entry that these bytes complete.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Entry<'_>)) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let found = match self.has_terminal {
                true => terminal(&self.rest[at..])?,
                false => frame(&self.rest[at..])?,
            };
            let Some((entry, length)) = found else { break };
            each(entry);
            at += length;
        }
        self.rest.drain(..at);
        if self.rest.len() > MAX_FRAME_BYTES { Err(too_long()) } else { Ok(()) }
    }
}

/// The frame at the start, and its length; `None` if it is not complete.
fn frame(bytes: &[u8]) -> Result<Option<(Entry<'_>, usize)>, String> {
    let Some((&[stream, _, _, _, a, b, c, d], rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(too_long());
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let stream = match stream {
        0 | 1 => Stream::Stdout,
        2 => Stream::Stderr,
        _ => return Err(format!("the Docker engine says: {}", String::from_utf8_lossy(payload).trim())),
    };
    Ok(Some((entry(stream, payload)?, HEAD_BYTES + length)))
}

/// The entry at the start of a terminal's output, and its length; `None` if it is not complete.
fn terminal(bytes: &[u8]) -> Result<Option<(Entry<'_>, usize)>, String> {
    let text = bytes.get(TIME_BYTES..).unwrap_or_default();
    let line_end = text.iter().position(|byte| *byte == b'\n');
    // A part has no line end: the time of the next follows.
    let is_part = line_end.is_none_or(|end| end > CONTAINER_PART_BYTES)
        && text.get(CONTAINER_PART_BYTES..CONTAINER_PART_BYTES + TIME_BYTES).is_some_and(|next| time(next).is_some());
    let length = match (is_part, line_end) {
        (true, _) => TIME_BYTES + CONTAINER_PART_BYTES,
        (false, Some(end)) => TIME_BYTES + end + 1,
        (false, None) => return Ok(None),
    };
    Ok(Some((entry(Stream::Stdout, &bytes[..length])?, length)))
}

fn entry(stream: Stream, payload: &[u8]) -> Result<Entry<'_>, String> {
    let Some((at_ns, text)) = time(payload) else {
        return Err("the Docker engine sent an entry without a time".to_owned());
    };
    let line = text.strip_suffix(b"\n");
    Ok(Entry { stream, at_ns, text: line.unwrap_or(text), ends: line.is_some() })
}

/// The time at the start, and what follows it.
fn time(payload: &[u8]) -> Option<(i64, &[u8])> {
    let end = payload.iter().take(TIME_BYTES + 6).position(|byte| *byte == b' ')?;
    Some((parse_rfc3339(&payload[..end])?, &payload[end + 1..]))
}

fn too_long() -> String {
    format!("the Docker engine sent an entry of more than {MAX_FRAME_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_LINE_BYTES;
    use crate::parts::{Joiner, Line};

    fn payload(second: u8, text: &[u8]) -> Vec<u8> {
        [format!("2026-11-24T10:00:{second:02}.000000001Z ").as_bytes(), text].concat()
    }

    fn framed(stream: u8, second: u8, text: &[u8]) -> Vec<u8> {
        let payload = payload(second, text);
        [&[stream, 0, 0, 0][..], &u32::try_from(payload.len()).expect("small").to_be_bytes(), &payload].concat()
    }

    fn lines(has_terminal: bool, chunks: &[&[u8]]) -> Vec<Line> {
        let (mut frames, mut joiner, mut lines) = (Frames::new(has_terminal), Joiner::default(), Vec::new());
        for chunk in chunks {
            frames.push(chunk, |entry| lines.extend(joiner.add(&entry))).expect("readable");
        }
        lines.extend(joiner.flush());
        lines
    }

    fn shown(lines: &[Line]) -> Vec<(&'static str, i64, usize, bool)> {
        let at = |line: &Line| line.at_ns / 1_000_000_000 % 60;
        lines.iter().map(|line| (line.stream.name(), at(line), line.text.len(), line.is_partial)).collect()
    }

    #[test]
    fn parts_are_joined_per_stream_wherever_the_bytes_are_cut() {
        let part = vec![b'x'; CONTAINER_PART_BYTES];
        let stream = [
            framed(1, 1, &part),
            framed(2, 2, b"error\n"),
            framed(1, 3, &part),
            framed(1, 4, b"end\n"),
            framed(2, 5, b"open"),
        ]
        .concat();
        let due = [("stderr", 2, 5, false), ("stdout", 1, 2 * CONTAINER_PART_BYTES + 3, false), ("stderr", 5, 4, true)];
        for at in (0..60).chain(CONTAINER_PART_BYTES..CONTAINER_PART_BYTES + 200).chain([stream.len()]) {
            assert_eq!(shown(&lines(false, &[&stream[..at], &stream[at..]])), due, "cut at {at}");
        }
    }

    #[test]
    fn a_terminal_has_lines_and_parts_without_frames() {
        let part = vec![b'x'; CONTAINER_PART_BYTES];
        let text = [
            payload(1, b"one\r\n"),
            payload(2, &part),
            payload(3, b"\n"),
            payload(4, &part),
            payload(5, b"2026-11-24T10:00:09.000000001Z is text\n"),
        ]
        .concat();
        let due = [
            ("stdout", 1, 4, false),
            ("stdout", 2, CONTAINER_PART_BYTES, false),
            ("stdout", 4, CONTAINER_PART_BYTES + 38, false),
        ];
        for at in (0..100).chain(CONTAINER_PART_BYTES..CONTAINER_PART_BYTES + 150).chain([text.len()]) {
            assert_eq!(shown(&lines(true, &[&text[..at], &text[at..]])), due, "cut at {at}");
        }
    }

    #[test]
    fn a_line_without_end_is_bounded_and_an_error_of_the_engine_is_one() {
        let part = vec![b'x'; CONTAINER_PART_BYTES];
        let stream: Vec<u8> = (0..40).flat_map(|_| framed(1, 1, &part)).collect();
        let found = lines(false, &[&stream]);
        assert!(found.len() > 2 && found.iter().all(|line| line.is_partial && line.text.len() <= MAX_LINE_BYTES));
        assert_eq!(found.iter().map(|line| line.text.len()).sum::<usize>(), 40 * CONTAINER_PART_BYTES);

        let mut frames = Frames::new(false);
        let said = frames.push(&framed(3, 1, b"error from daemon"), |_| ()).expect_err("an error");
        assert!(said.contains("error from daemon"), "{said}");
        assert!(Frames::new(false).push(&[1, 0, 0, 0, 255, 255, 255, 255], |_| ()).is_err());
    }
}
