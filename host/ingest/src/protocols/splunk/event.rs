//! An event of the collector as a record.

use std::borrow::Cow;
use std::collections::HashSet;

use weir_record::{ComposeError, Composer, time};

use super::{BLANK_EVENT, Code, INVALID_FORMAT, NO_EVENT};
use crate::{
    limits,
    protocols::raw_json::{Entry, entries, scalar, string},
};

/// Put before names of the envelope that the event uses itself.
const ENVELOPE: &str = "envelope_";

/// An envelope and what is in it.
#[derive(Default)]
struct Envelope<'e> {
    event: Option<&'e [u8]>,
    time_ns: Option<i64>,
    source: Option<Cow<'e, str>>,
    sourcetype: Option<Cow<'e, str>>,
    host: Option<Cow<'e, str>>,
    /// What is added under its own name.
    others: Vec<Entry<'e>>,
}

/// More entries than a record may have.
const TOO_MANY: usize = 65_536;

/// Adds an event to the record that has begun. If its form is wrong, returns why; the inner result is about a record that
/// can't be kept.
pub(super) fn compose(
    composer: &mut Composer<'_, '_>,
    envelope: &[u8],
) -> Result<Result<(), ComposeError>, (Code, &'static str)> {
    let envelope = Envelope::read(envelope)?;
    let event = match envelope.event {
        None | Some(b"null") => return Err((NO_EVENT, "the event field is missing")),
        Some(b"\"\"") => return Err((BLANK_EVENT, "the event field is empty")),
        Some(event) => event,
    };
    Ok(envelope.compose(composer, event))
}

impl<'e> Envelope<'e> {
    fn read(text: &'e [u8]) -> Result<Envelope<'e>, (Code, &'static str)> {
        let mut envelope = Envelope::default();
        let wrong = |what| (INVALID_FORMAT, what);
        for entry in entries(text) {
            let (key, value) = entry.map_err(|_| wrong("an event is an object with the key event"))?;
            match &*key {
                "event" => envelope.event = Some(value),
                "fields" if value != b"null" => {
                    for field in entries(value) {
                        let field = field.map_err(|_| wrong("fields is an object"))?;
                        envelope.keep(field);
                    }
                }
                // Absent.
                "time" | "source" | "host" | "sourcetype" | "index" if matches!(value, b"null" | b"\"\"") => {}
                _ => envelope.add((key, value)),
            }
        }
        Ok(envelope)
    }

    fn add(&mut self, (key, value): Entry<'e>) {
        match &*key {
            "time" => {
                if let Some(ns) = seconds(value) {
                    self.time_ns = Some(ns);
                    return;
                }
            }
            "source" => {
                if let Some(text) = string(value) {
                    self.source = Some(text);
                    return;
                }
            }
            "host" => self.host = string(value),
            "sourcetype" => self.sourcetype = string(value),
            _ => {}
        }
        self.keep((key, value));
    }

    fn keep(&mut self, entry: Entry<'e>) {
        if self.others.len() < TOO_MANY {
            self.others.push(entry);
        }
    }

    fn compose(&self, composer: &mut Composer<'_, '_>, event: &[u8]) -> Result<(), ComposeError> {
        if let Some(ns) = self.time_ns {
            composer.time(ns);
        }
        match (&self.source, self.sourcetype.as_ref().or(self.host.as_ref())) {
            (Some(source), _) => composer.source(source.as_bytes()),
            (None, Some(fallback)) => composer.fallback_source(fallback.as_bytes()),
            (None, None) => {}
        }
        let mut taken: HashSet<Cow<'_, str>> = HashSet::new();
        match event.first() {
            Some(b'{') => {
                match is_dockers(event) {
                    true => compose_line(composer, event)?,
                    false => composer.json_object(event)?,
                }
                taken.extend(entries(event).filter_map(Result::ok).map(|(key, _)| key));
            }
            Some(b'[') => {
                composer.entry(b"event", |value| value.json(event))?;
                taken.insert("event".into());
            }
            // The composer reads numbers as text, too.
            _ => {
                composer.entry(b"message", |value| value.json(event))?;
                taken.insert("message".into());
            }
        }
        for (key, value) in &self.others {
            let mut key = Cow::Borrowed(&**key);
            for _ in 0..limits::MAX_ENVELOPE_PREFIXES {
                if !taken.contains(&key) {
                    break;
                }
                key = format!("{ENVELOPE}{key}").into();
            }
            composer.entry(key.as_bytes(), |writer| writer.json(value))?;
            taken.insert(key);
        }
        Ok(())
    }
}

/// Whether an event is one of Docker's driver, which has a line of text.
fn is_dockers(event: &[u8]) -> bool {
    let mut found = 0;
    for (key, value) in entries(event).filter_map(Result::ok) {
        match &*key {
            "line" if string(value).is_some() => found |= 1,
            "source" if matches!(value, br#""stdout""# | br#""stderr""#) => found |= 2,
            "line" | "source" | "tag" | "attrs" => {}
            _ => return false,
        }
    }
    found == 3
}

/// Adds such an event: the line is the message.
fn compose_line(composer: &mut Composer<'_, '_>, event: &[u8]) -> Result<(), ComposeError> {
    for (key, value) in entries(event).filter_map(Result::ok) {
        let key = if key == "line" { "message" } else { &*key };
        composer.entry(key.as_bytes(), |writer| writer.json(value))?;
    }
    Ok(())
}

/// The time of an envelope in nanoseconds. Its digits are read as they are written, because a float would round them.
fn seconds(value: &[u8]) -> Option<i64> {
    let text = scalar(value);
    time::parse(&text).or_else(|| time::from_float(text.parse().ok()?))
}
