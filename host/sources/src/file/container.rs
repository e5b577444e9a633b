//! Files in which engines keep what containers write, of Docker's logging driver `json-file` and of the
//! container runtimes of Kubernetes.
//!
//! A line of the file is an entry: a line of the container, or a part of one. Parts of both streams may be mixed, so a
//! position is only where no line is open.

use std::borrow::Cow;

use serde::Deserialize;
use weir_record::time::parse_rfc3339;

use super::grouping::Ends;
use super::lines::{Cut, Encoding};
use crate::limits;
use crate::parts::{Entry, Joiner, Line, Stream};

/// How an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// `{"log":"text\n","stream":"stdout","time":"…"}`. A part has no line end.
    Docker,
    /// `TIME stdout F text`. A part has a `P`.
    Cri,
}

/// The next of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'b> {
    /// A line of the container.
    Line(Line),
    /// A line of the file that is no entry.
    Unknown(&'b [u8]),
}

#[derive(Deserialize)]
struct DockerEntry<'e> {
    #[serde(borrow)]
    log: Cow<'e, str>,
    #[serde(borrow)]
    stream: Cow<'e, str>,
    #[serde(borrow)]
    time: Cow<'e, str>,
}

impl Engine {
    /// Takes entries until no line is open. Returns what they are, and how many bytes they take. `None`: more bytes are
    /// needed.
    pub fn next(self, bytes: &[u8], max_line: usize, ends: Ends) -> Option<(Vec<Found<'_>>, usize)> {
        let (mut joiner, mut found, mut length) = (Joiner::default(), Vec::new(), 0);
        loop {
            let Some((cut, more)) = Encoding::Utf8.cut(&bytes[length..], max_line, ends.line) else {
                if length == 0 || !ends.record {
                    return None;
                }
                break;
            };
            match cut {
                Cut::Line(line) => match self.add(line, &mut joiner) {
                    Ok(line) => found.extend(line.map(Found::Line)),
                    Err(()) => found.push(Found::Unknown(line)),
                },
                // The caller divides a line that is too long.
                Cut::Piece(_) if length == 0 => return Some((Vec::new(), 0)),
                Cut::Piece(_) => break,
            }
            length += more;
            if !joiner.is_open() || length >= limits::OPEN_LINE_BYTES {
                break;
            }
        }
        found.extend(joiner.flush().map(Found::Line));
        Some((found, length))
    }

    fn add(self, line: &[u8], joiner: &mut Joiner) -> Result<Option<Line>, ()> {
        match self {
            Engine::Docker => {
                let entry: DockerEntry<'_> = serde_json::from_slice(line).map_err(|_| ())?;
                let stream = Stream::of(entry.stream.as_bytes()).ok_or(())?;
                let at_ns = parse_rfc3339(entry.time.as_bytes()).ok_or(())?;
                let text = entry.log.strip_suffix('\n');
                let (text, ends) = (text.unwrap_or(&entry.log), text.is_some());
                Ok(joiner.add(&Entry { stream, at_ns, text: text.as_bytes(), ends }))
            }
            Engine::Cri => {
                let mut fields = line.splitn(4, |byte| *byte == b' ');
                let mut field = || fields.next().ok_or(());
                let (time, stream, tags) = (field()?, field()?, field()?);
                // Without text, some write no space either.
                let text = field().unwrap_or_default();
                let stream = Stream::of(stream).ok_or(())?;
                let at_ns = parse_rfc3339(time).ok_or(())?;
                let ends = match tags.split(|byte| *byte == b':').next() {
                    Some(b"F") => true,
                    Some(b"P") => false,
                    _ => return Err(()),
                };
                Ok(joiner.add(&Entry { stream, at_ns, text, ends }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Ends = Ends { line: false, record: false };
    const QUIET: Ends = Ends { line: false, record: true };

    /// What is found, and how many bytes are left.
    fn found(engine: Engine, mut bytes: &[u8], ends: Ends) -> (Vec<String>, usize) {
        let mut texts = Vec::new();
        while let Some((found, length)) = engine.next(bytes, 200, ends) {
            texts.extend(found.into_iter().map(|found| match found {
                Found::Line(line) => {
                    let (text, end) = (String::from_utf8_lossy(&line.text), if line.is_partial { "…" } else { "" });
                    format!("{} {} {text}{end}", line.stream.name(), line.at_ns / 1_000_000_000 % 60)
                }
                Found::Unknown(line) => format!("? {}", String::from_utf8_lossy(line)),
            }));
            if length == 0 {
                break;
            }
            bytes = &bytes[length..];
        }
        (texts, bytes.len())
    }

    #[test]
    fn lines_of_docker_are_put_together() {
        let entry = |second: u8, stream: &str, log: &str| {
            format!(
                r#"{{"log":"{log}","stream":"{stream}","attrs":{{"tag":"x"}},"time":"2026-11-24T10:00:{second:02}.5Z"}}"#
            )
        };
        let text = [
            entry(1, "stdout", r"plain \u00e9 \\n\n"),
            entry(2, "stdout", "part one,"),
            entry(3, "stderr", r"between\n"),
            entry(4, "stdout", r" part two\n"),
            "{\"log\":\"cut".to_owned(),
            entry(5, "stdlog", r"no stream\n"),
            entry(6, "stderr", "the last"),
        ]
        .map(|line| line + "\n")
        .concat();
        let due = [
            "stdout 1 plain é \\n".to_owned(),
            "stderr 3 between".to_owned(),
            "stdout 2 part one, part two".to_owned(),
            "? {\"log\":\"cut".to_owned(),
            format!("? {}", entry(5, "stdlog", r"no stream\n")),
        ];
        let last = entry(6, "stderr", "the last").len() + 1;
        assert_eq!(found(Engine::Docker, text.as_bytes(), OPEN), (due.to_vec(), last));
        let (quiet, rest) = found(Engine::Docker, text.as_bytes(), QUIET);
        assert_eq!((quiet[5..].to_vec(), rest), (vec!["stderr 6 the last…".to_owned()], 0));
    }

    #[test]
    fn lines_of_a_container_runtime_are_put_together() {
        let text = b"2026-11-24T10:00:01.5Z stdout F plain  text\n2026-11-24T10:00:02.5+01:00 stderr P one,\n\
            2026-11-24T10:00:03.5Z stderr P \n2026-11-24T10:00:04.5Z stderr F:tag  two\n2026-11-24T10:00:05Z stdout F\n\
            no time stdout F text\n2026-11-24T10:00:06Z stdout X text\nshort\n2026-11-24T10:00:07Z stdout F unfin";
        let due = [
            "stdout 1 plain  text",
            "stderr 2 one, two",
            "stdout 5 ",
            "? no time stdout F text",
            "? 2026-11-24T10:00:06Z stdout X text",
            "? short",
        ];
        let last = "2026-11-24T10:00:07Z stdout F unfin".len();
        assert_eq!(found(Engine::Cri, text, OPEN), (due.map(str::to_owned).to_vec(), last));
    }

    #[test]
    fn what_is_found_does_not_depend_on_how_many_bytes_are_there() {
        let text = b"2026-11-24T10:00:01Z stdout P a\n2026-11-24T10:00:02Z stderr P b\n\
            2026-11-24T10:00:03Z stdout F c\n2026-11-24T10:00:04Z stderr F d\n";
        let whole = Engine::Cri.next(text, 200, OPEN);
        assert!(whole.is_some());
        for length in 0..text.len() {
            assert_eq!(Engine::Cri.next(&text[..length], 200, OPEN), None, "{length}");
        }
        assert_eq!(Engine::Cri.next(&[text, &b"more"[..]].concat(), 200, OPEN), whole);
    }

    #[test]
    fn a_line_that_is_too_long_ends_what_is_before() {
        let text = [&b"2026-11-24T10:00:01Z stdout P a\n"[..], &[b'x'; 300], b"\n"].concat();
        assert_eq!(found(Engine::Cri, &text, OPEN), (vec!["stdout 1 a…".to_owned()], 301));
    }
}
