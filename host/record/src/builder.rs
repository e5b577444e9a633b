//! Builds a canonical record from the entries that a reader passes in, whatever the input format. Candidates for the
//! head are set aside until all entries are known; everything else is written once.
//!
//! The rules are in the table in the crate's documentation.

use std::borrow::Cow;

use weir_wire::token::{Token, find, token};

use crate::aliases::{Aliases, CANONICAL, Role};
use crate::arrival::{Defaults, ReadError, RecordFault};
use crate::batch::Batch;
use crate::keys::{Fingerprints, KeySet, fingerprint};
use crate::level::{Level, Scale};
use crate::limits::{MAX_DERIVED_MESSAGE_BYTES, MAX_NAMES_TRIED, MAX_RECORD_BYTES};
use crate::{time, to_json, write};

/// Room needed besides the body and the texts of the head: the map header, four keys, the time, and the string headers.
const HEAD_BYTES: usize = 80;

pub(crate) struct RecordBuilder<'d> {
    defaults: &'d Defaults<'d>,
    /// The sender's other keys and values.
    body: Vec<u8>,
    keys: KeySet,
    fingerprints: Fingerprints,
    /// Values that may become part of the head, or that need another name.
    aside: Vec<u8>,
    /// Where they are in `aside`.
    candidates: Vec<Candidate>,
    /// Values of reserved keys that have the wrong type.
    displaced: Vec<(&'static str, Span)>,
    /// The sender's `context`, if the defaults have something to add to it.
    context: Option<Span>,
    derived: Vec<u8>,
    /// What the format gives for the head, whatever the entries are.
    pub(crate) given: Given,
    /// What it gives for the head if no entry does.
    pub(crate) fallback: Given,
    /// Bytes of the largest record.
    pub(crate) most: usize,
}

/// Values for the head that are not entries.
#[derive(Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) timestamp: Option<i64>,
    pub(crate) level: Option<Level>,
    pub(crate) source: Option<Span>,
    pub(crate) message: Option<Span>,
}

/// Where something is in `aside`.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    start: usize,
    end: usize,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.end]
    }
}

#[derive(Clone, Copy)]
struct Candidate {
    alias: u16,
    value: Span,
}

/// The values chosen for the head.
struct Chosen<'c> {
    timestamp: i64,
    level: Level,
    source: Cow<'c, [u8]>,
    message: Option<Cow<'c, [u8]>>,
}

impl<'d> RecordBuilder<'d> {
    pub(crate) fn new(defaults: &'d Defaults<'d>) -> RecordBuilder<'d> {
        let fingerprints = Fingerprints::default();
        RecordBuilder {
            defaults,
            body: Vec::with_capacity(1024),
            keys: KeySet::new(&fingerprints),
            fingerprints,
            aside: Vec::with_capacity(1024),
            candidates: Vec::new(),
            displaced: Vec::new(),
            context: None,
            derived: Vec::new(),
            given: Given::default(),
            fallback: Given::default(),
            most: MAX_RECORD_BYTES,
        }
    }

    /// Discards the previous record, finished or not.
    #[inline]
    pub(crate) fn start(&mut self) {
        self.body.clear();
        self.aside.clear();
        self.candidates.clear();
        self.displaced.clear();
        self.context = None;
        self.given = Given::default();
        self.fallback = Given::default();
        self.fingerprints.clear();
        self.keys = KeySet::new(&self.fingerprints);
    }

    /// Adds an entry. `write` appends exactly one value, with valid text and without duplicate keys.
    #[inline]
    pub(crate) fn entry(
        &mut self,
        key: &[u8],
        write: impl FnOnce(&mut Vec<u8>, &mut Fingerprints) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let print = fingerprint(key);
        if let Some(alias) = self.defaults.aliases.index_of(key, print) {
            let start = self.aside.len();
            write(&mut self.aside, &mut self.fingerprints)?;
            let value = Span { start, end: self.aside.len() };
            match self.candidates.iter_mut().find(|candidate| candidate.alias == alias) {
                Some(before) => before.value = value,
                None => self.candidates.push(Candidate { alias, value }),
            }
        } else {
            let entry_at = self.body.len();
            write::str_bytes(&mut self.body, key);
            let value_at = self.body.len();
            write(&mut self.body, &mut self.fingerprints)?;
            match key {
                b"context" | b"metadata" | b"routes" if !self.stays(key, value_at) => self.body.truncate(entry_at),
                _ => self.keys.add(print, &mut self.fingerprints),
            }
        }
        if self.body.len() + self.aside.len() > 2 * self.most {
            return Err(ReadError::Record(RecordFault::TooLarge));
        }
        Ok(())
    }

    /// Keeps text for the head.
    pub(crate) fn keep_aside(&mut self, text: &[u8]) -> Span {
        let start = self.aside.len();
        self.aside.extend_from_slice(text);
        Span { start, end: self.aside.len() }
    }

    /// Whether the value at the end of the body may stay there under a reserved key. Otherwise it has been set aside.
    fn stays(&mut self, key: &[u8], value_at: usize) -> bool {
        let value = &self.body[value_at..];
        let read = token(value).map(|(first, _)| first);
        let start = self.aside.len();
        let span = Span { start, end: start + value.len() };
        let displaced = match (key, read) {
            (b"routes", Some(Token::Array(_))) if self.defaults.keeps_routes && is_list_of_text(value) => return true,
            (b"metadata", Some(Token::Map(_))) => return true,
            (b"context", Some(Token::Map(_))) if self.defaults.context.is_empty() => return true,
            (b"context", Some(Token::Map(_))) => {
                self.context = Some(span);
                None
            }
            // Null has no information, so nothing is lost.
            (_, Some(Token::Nil)) => return false,
            (b"routes", _) => Some("routes"),
            (b"metadata", _) => Some("metadata"),
            _ => Some("context"),
        };
        if let Some(key) = displaced {
            // Of several with the same key, the last counts.
            self.displaced.retain(|(before, _)| *before != key);
            self.displaced.push((key, span));
        }
        self.aside.extend_from_slice(value);
        false
    }

    /// Finishes the record and appends it to the batch in canonical form.
    pub(crate) fn finish(&mut self, out: &mut Batch) -> Result<(), ReadError> {
        let mut entries = self.keys.finish(&mut self.fingerprints, &mut self.body, 0);
        let given = (self.given, self.fallback);
        let (choice, taken) = choose(self.defaults, &self.aside, &self.candidates, given);
        if taken != self.candidates.len() || !self.displaced.is_empty() {
            let aliases = self.defaults.aliases;
            let (left, displaced) = (&self.candidates, &mut self.displaced);
            entries += append_unused(aliases, &choice.aliases, left, displaced, &self.aside, &mut self.body)?;
        }
        if !self.defaults.context.is_empty() {
            let sent = self.context.map_or(&[0x80][..], |span| span.of(&self.aside));
            write_context(&mut self.body, sent, self.defaults.context);
            entries += 1;
        }
        let message = match &choice.head.message {
            Some(message) => message,
            None => {
                derive_message(&mut self.derived, &self.body, entries);
                &self.derived[..]
            }
        };
        let head = &choice.head;
        let total = HEAD_BYTES + head.source.len() + message.len() + self.body.len();
        if total > self.most {
            return Err(ReadError::Record(RecordFault::TooLarge));
        }
        let entries = u16::try_from(entries + 4).map_err(|_| ReadError::Record(RecordFault::TooManyKeys))?;
        out.append(|bytes| {
            bytes.reserve(total);
            write_head(bytes, entries, head.timestamp, head.level, &head.source, message);
            bytes.extend_from_slice(&self.body);
        });
        Ok(())
    }
}

/// Writes the start of a canonical record, with the order and widths that [`Record::head`](crate::Record::head) reads
/// in one step.
#[inline]
pub(crate) fn write_head(out: &mut Vec<u8>, entries: u16, timestamp: i64, level: Level, source: &[u8], message: &[u8]) {
    let mut start = *b"\xde\0\0\xa9timestamp\xd3\0\0\0\0\0\0\0\0\xa5level";
    start[1..3].copy_from_slice(&entries.to_be_bytes());
    start[14..22].copy_from_slice(&timestamp.to_be_bytes());
    out.extend_from_slice(&start);
    write::str(out, level.as_str());
    out.extend_from_slice(b"\xa6source");
    write::str_bytes(out, source);
    out.extend_from_slice(b"\xa7message");
    write::str_bytes(out, message);
}

struct Choice<'c> {
    head: Chosen<'c>,
    /// The alias that each role was read from.
    aliases: [Option<u16>; 4],
}

/// Chooses the head: for each role, what the format gives, or the first of the candidates that has a usable value.
/// Also returns the number of candidates used.
fn choose<'c>(
    defaults: &'c Defaults<'_>,
    aside: &'c [u8],
    candidates: &[Candidate],
    (given, fallback): (Given, Given),
) -> (Choice<'c>, usize) {
    let mut aliases = [None; 4];
    let text = |span: Span| Cow::Borrowed(span.of(aside));
    let (mut timestamp, mut level) = (given.timestamp, given.level);
    let (mut source, mut message) = (given.source.map(text), given.message.map(text));
    let is_given = [timestamp.is_some(), level.is_some(), source.is_some(), message.is_some()];
    for candidate in candidates {
        let (_, role) = defaults.aliases.at(candidate.alias);
        let place = place(role);
        if is_given[place] || aliases[place].is_some_and(|taken| taken < candidate.alias) {
            continue;
        }
        let value = candidate.value.of(aside);
        let usable = match role {
            Role::Timestamp => replace(&mut timestamp, time::from_msgpack(value)),
            Role::Nanoseconds => replace(&mut timestamp, time::ns_from_msgpack(value)),
            Role::Level(scale) => replace(&mut level, read_level(value, scale)),
            Role::Source => replace(&mut source, read_text(value).filter(|text| !text.is_empty())),
            Role::Message => replace(&mut message, read_text(value)),
        };
        if usable {
            aliases[place] = Some(candidate.alias);
        }
    }
    let head = Chosen {
        timestamp: timestamp.or(fallback.timestamp).unwrap_or(defaults.received_ns),
        level: level.or(fallback.level).unwrap_or(defaults.level),
        source: source.or(fallback.source.map(text)).unwrap_or(Cow::Borrowed(defaults.source.as_bytes())),
        message: message.or(fallback.message.map(text)),
    };
    (Choice { head, aliases }, aliases.iter().flatten().count())
}

fn place(role: Role) -> usize {
    match role {
        Role::Timestamp | Role::Nanoseconds => 0,
        Role::Level(_) => 1,
        Role::Source => 2,
        Role::Message => 3,
    }
}

fn replace<T>(slot: &mut Option<T>, read: Option<T>) -> bool {
    let usable = read.is_some();
    if usable {
        *slot = read;
    }
    usable
}

fn read_level(value: &[u8], scale: Scale) -> Option<Level> {
    match token(value)?.0 {
        Token::Str(text) | Token::Bin(text) => {
            Level::from_canonical(text).or_else(|| Level::parse_in(std::str::from_utf8(text).ok()?, scale))
        }
        Token::Int(number) => Level::from_number_in(number, scale),
        Token::Float(number) if number.fract() == 0.0 => Level::from_number_in(number as i64, scale),
        _ => None,
    }
}

/// Text, or the text of a number or boolean.
fn read_text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match token(value)?.0 {
        Token::Str(text) => Some(Cow::Borrowed(text)),
        Token::Bin(bytes) => match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => Some(Cow::Borrowed(text.as_bytes())),
            Cow::Owned(text) => Some(Cow::Owned(text.into_bytes())),
        },
        Token::Int(_) | Token::UInt(_) | Token::Float(_) | Token::Bool(_) => {
            let mut text = Vec::new();
            to_json::raw_value(value, 1, &mut text);
            Some(Cow::Owned(text))
        }
        _ => None,
    }
}

/// Appends what was set aside and not used to the body: an alias under its own name, a value of a reserved key under a
/// name derived from it. Returns the number of entries written. Fails if those names are taken.
#[cold]
fn append_unused(
    aliases: &Aliases,
    taken: &[Option<u16>; 4],
    candidates: &[Candidate],
    displaced: &mut Vec<(&'static str, Span)>,
    aside: &[u8],
    body: &mut Vec<u8>,
) -> Result<u32, ReadError> {
    let mut written = 0;
    let left = candidates.iter().filter(|candidate| !taken.contains(&Some(candidate.alias)));
    for Candidate { alias, value } in left {
        match CANONICAL.get(usize::from(*alias)) {
            Some((_, role)) if counts_as_absent(value.of(aside), *role) => {}
            Some((canonical, _)) => displaced.push((canonical, *value)),
            None => {
                write::str(body, aliases.at(*alias).0);
                body.extend_from_slice(value.of(aside));
                written += 1;
            }
        }
    }
    for (key, value) in displaced.drain(..) {
        let mut names = (1..=MAX_NAMES_TRIED).map(|times| format!("{key}{}", "_original".repeat(times)));
        let free = names.find(|name| find(body, u32::MAX, name.as_bytes()).is_none());
        let name = free.ok_or(ReadError::Record(RecordFault::NamesAreTaken))?;
        write::str(body, &name);
        body.extend_from_slice(value.of(aside));
        written += 1;
    }
    Ok(written)
}

/// Whether a value of a canonical key counts as absent.
fn counts_as_absent(value: &[u8], role: Role) -> bool {
    match token(value) {
        Some((Token::Nil, _)) => true,
        Some((Token::Str(b""), _)) => role != Role::Message,
        _ => false,
    }
}

pub(crate) fn is_list_of_text(value: &[u8]) -> bool {
    let Some((Token::Array(len), mut at)) = token(value) else { return false };
    (0..len).all(|_| match token(&value[at..]) {
        Some((Token::Str(_), item_len)) => {
            at += item_len;
            true
        }
        _ => false,
    })
}

/// Writes `context`: what was sent, plus those additions that it lacks.
fn write_context(body: &mut Vec<u8>, sent: &[u8], additions: &[(&str, &str)]) {
    let Some((Token::Map(len), header)) = token(sent) else { return };
    let entries = &sent[header..];
    let missing = |key: &str| find(entries, len, key.as_bytes()).is_none();
    let added = additions.iter().filter(|(key, _)| missing(key)).count();
    write::str(body, "context");
    write::map_header(body, len + added as u32);
    body.extend_from_slice(entries);
    for (key, value) in additions.iter().filter(|(key, _)| missing(key)) {
        write::str(body, key);
        write::str(body, value);
    }
}

/// Derives a message from the sender's entries: their JSON, cut if it is long.
fn derive_message(message: &mut Vec<u8>, body: &[u8], entries: u32) {
    message.clear();
    to_json::raw_entries(body, entries, MAX_DERIVED_MESSAGE_BYTES, message);
    if message.len() > MAX_DERIVED_MESSAGE_BYTES {
        let mut end = MAX_DERIVED_MESSAGE_BYTES;
        while message[end] & 0xc0 == 0x80 {
            end -= 1;
        }
        message.truncate(end);
        message.extend_from_slice("…".as_bytes());
    }
}

#[cfg(test)]
#[path = "builder_tests.rs"]
mod tests;
