//! Passes one output of the application through, and makes its lines records, as JSON for `/ingest`.
//!
//! A line that is a JSON object is sent as it is, so that the router finds its time, level and source. It gets what it
//! lacks: the stream, and the time at which it was read, for it may be sent much later.

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::sync::{Arc, LazyLock};

use serde::de::IgnoredAny;
use serde_json::json;
use weir_record::time::{format_rfc3339, now_ns};
use weir_record::{Aliases, Role};
use weir_sources::{Line, Lines};

use super::queue::Queue;
use crate::limits;

/// Which output.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    fn pass(self, bytes: &[u8]) -> io::Result<()> {
        fn write(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
            to.write_all(bytes)?;
            to.flush()
        }
        match self {
            Stream::Stdout => write(io::stdout().lock(), bytes),
            Stream::Stderr => write(io::stderr().lock(), bytes),
        }
    }
}

/// One output of the application.
pub struct Output {
    pub stream: Stream,
    pub from: PipeReader,
    /// Whether it is passed through.
    pub passes: bool,
    pub queue: Arc<Queue>,
}

impl Output {
    /// Reads it to its end, or until nobody reads what is passed through: then the application gets SIGPIPE at its next
    /// write, as if it had been started directly. What can't be passed through for another reason, such as a full disk,
    /// is only missing there.
    pub fn read(mut self) {
        let (mut lines, mut buffer) = (Lines::default(), vec![0; limits::EXEC_CHUNK_BYTES]);
        let (queue, stream) = (&self.queue, self.stream);
        let mut keep = |line: Line<'_>| {
            queue.extend(record(line, stream.name(), now_ns()));
            Ok::<(), Infallible>(())
        };
        loop {
            let length = match self.from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    eprintln!("weir exec: can't read {} any further: {error}", stream.name());
                    break;
                }
            };
            let Ok(()) = lines.push(&buffer[..length], &mut keep);
            if self.passes && stream.pass(&buffer[..length]).is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
                break;
            }
        }
        let Ok(()) = lines.end(keep);
    }
}

/// The record of a line, if it has one.
fn record(line: Line<'_>, stream: &str, read_ns: i64) -> Option<Vec<u8>> {
    let text = line.text.trim_ascii_end();
    if text.is_empty() {
        return None;
    }
    let mut time = Vec::new();
    format_rfc3339(read_ns, &mut time);
    let time = String::from_utf8_lossy(&time);
    if !line.is_partial
        && let Some(rest) = text.trim_ascii_start().strip_prefix(b"{")
        && let Ok(entries) = serde_json::from_slice::<HashMap<Cow<'_, str>, IgnoredAny>>(text)
    {
        // Of equal keys the last counts, so a stream of its own stays.
        let mut object = format!("{{\"stream\":\"{stream}\"");
        if !entries.keys().any(|key| TIMES.iter().any(|time| time == key.as_ref())) {
            object.push_str(&format!(",\"timestamp\":\"{time}\""));
        }
        if !entries.is_empty() {
            object.push(',');
        }
        return Some([object.as_bytes(), rest].concat());
    }
    let mut record = json!({"message": String::from_utf8_lossy(text), "stream": stream, "timestamp": time});
    if line.is_partial {
        record["partial"] = true.into();
    }
    Some(record.to_string().into_bytes())
}

/// The keys that the router takes the time of a record from, unless its configuration adds some.
static TIMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let aliases = Aliases::default();
    aliases.iter().filter(|(_, role)| *role == Role::Timestamp).map(|(name, _)| name.to_owned()).collect()
});

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(text: &[u8], is_partial: bool) -> Option<Value> {
        let record = record(Line { text, is_partial }, "stderr", 0)?;
        Some(serde_json::from_slice(&record).unwrap_or_else(|error| panic!("{error}: {record:?}")))
    }

    #[test]
    fn objects_keep_their_entries_and_everything_else_is_a_message() {
        let time = "1970-01-01T00:00:00.000000000Z";
        let cases: [(&[u8], Value); 7] = [
            (b"plain \"text\"\r", json!({"message": "plain \"text\"", "stream": "stderr", "timestamp": time})),
            (b"\xff", json!({"message": "\u{fffd}", "stream": "stderr", "timestamp": time})),
            (b"{\"cut", json!({"message": "{\"cut", "stream": "stderr", "timestamp": time})),
            (b"{} x", json!({"message": "{} x", "stream": "stderr", "timestamp": time})),
            (b"{}", json!({"stream": "stderr", "timestamp": time})),
            (b"{\"a\":{\"b\":1}}", json!({"stream": "stderr", "timestamp": time, "a": {"b": 1}})),
            (b" {\"ts\":5,\"stream\":\"own\"}", json!({"stream": "own", "ts": 5})),
        ];
        for (text, due) in cases {
            assert_eq!(read(text, false), Some(due), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(read(b" \r", false), None);
        let due = json!({"message": "{}", "stream": "stderr", "timestamp": time, "partial": true});
        assert_eq!(read(b"{}", true), Some(due));
    }
}
