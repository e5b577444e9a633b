//! Batches as bytes: the hot path. The input is one copy, and the output is built in one pass over the verdicts: runs
//! of kept records are copied unchanged, and the maps of `records` are used in order.
//!
//! The filter's output is not trusted: patches and records are checked as they are applied, and the first invalid item
//! fails the call.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;
use wasmtime::component::TypedFunc;
use weir_record::{Aliases, Batch, Defaults, Level, Value};

use super::Encoding;
use super::types::Output;
use crate::budget::Room;
use crate::error::{CallError, FailureKind};
use crate::guest::Guest;
use crate::holds::NO_SENDER;
use crate::rewrite::{Applied, Counts, Part};

static ALIASES: LazyLock<Aliases> = LazyLock::new(|| Aliases::default().in_nanoseconds());

const KEEP: u8 = 0;
const DROP: u8 = 1;
const PATCH: u8 = 2;
const REPLACE: u8 = 3;
const EXPAND: u8 = 4;
/// Since version 2.
const HOLD: u8 = 5;
const HOLD_ANOTHER: u8 = 6;

/// The filter's function; the lifetime of its argument is shorter in practice.
pub(super) type Process = TypedFunc<(&'static [u8],), (Result<Output, String>,)>;

/// Calls the filter.
pub(super) fn call(
    process: &Process,
    encoding: Encoding,
    guest: &mut Guest,
    batch: &Batch,
    range: Range<usize>,
    deadline: Duration,
    part: &mut Part,
) -> Result<Output, CallError> {
    let process: TypedFunc<(&[u8],), _> = *process;
    let input = input(encoding, batch, range, &mut part.scratch);
    let (result,) = guest.call(deadline, |store| process.call(store, (input,)))?;
    result.map_err(|reason| CallError::new(FailureKind::Refused, format!("it returned an error: {reason}")))
}

/// Encodes records as the filter wants them; `scratch` is scratch memory.
pub(super) fn input<'a>(
    encoding: Encoding,
    batch: &'a Batch,
    range: Range<usize>,
    scratch: &'a mut Vec<u8>,
) -> &'a [u8] {
    match encoding {
        Encoding::Msgpack => batch.slice(range),
        Encoding::Json => {
            write_json(batch, range, scratch);
            scratch
        }
    }
}

fn write_json(batch: &Batch, range: Range<usize>, out: &mut Vec<u8>) {
    out.clear();
    out.push(b'[');
    for index in range.clone() {
        if index > range.start {
            out.push(b',');
        }
        weir_record::write_json(batch.record(index), out);
    }
    out.push(b']');
}

/// The additional input and output of a filter that holds records.
pub(super) struct Holding<'a> {
    /// The ids of its input records.
    pub ids: &'a [u64],
    pub released: &'a [u64],
}

/// Applies the verdicts.
pub(super) fn apply(
    batch: &Batch,
    range: Range<usize>,
    verdicts: &[u8],
    records: &[u8],
    holding: Option<Holding<'_>>,
    encoding: Encoding,
    part: &mut Part,
) -> Result<Applied, String> {
    let releases = holding.as_ref().is_some_and(|holding| !holding.released.is_empty());
    let all_kept = verdicts.len() == range.len() && records.is_empty() && verdicts.iter().all(|&byte| byte == KEEP);
    if all_kept && !releases {
        return Ok(Applied::Untouched);
    }
    part.clear();
    let start = range.start;
    // Output made from records that were acknowledged earlier has no sender.
    let on_trial = part.on_trial;
    let made_by = |index: usize, is_earlier: bool| if is_earlier && !on_trial { NO_SENDER } else { index as u32 };
    let mut holds: Vec<Hold> = Vec::new();
    let maps = Maps::new(records, encoding, &mut part.room)?;
    let mut apply = Apply { batch, end: range.end, next: range.start, maps, part };
    let mut counts = Counts::default();
    let mut at = 0;
    while at < verdicts.len() {
        let run = verdicts[at..].iter().take_while(|&&byte| byte == KEEP).count();
        if run > 0 {
            apply.keep(run, verdicts.len())?;
            at += run;
            continue;
        }
        let index = apply.take(verdicts.len())?;
        match verdicts[at] {
            DROP => counts.dropped += 1,
            PATCH => {
                apply.patch(index)?;
                counts.patched += 1;
            }
            REPLACE => {
                apply.records(index, 1, made_by(index, releases))?;
                counts.patched += 1;
            }
            EXPAND => {
                apply.records(index, count_after(verdicts, at)?, made_by(index, releases))?;
                at += 4;
                counts.patched += 1;
            }
            verdict @ (HOLD | HOLD_ANOTHER) if holding.is_some() => {
                let another = if verdict == HOLD_ANOTHER { Some(apply.another(index)?) } else { None };
                holds.push(Hold { index, another });
                apply.records(index, count_after(verdicts, at)?, made_by(index, true))?;
                at += 4;
            }
            other => return Err(format!("unknown verdict {other} on record {}", index - range.start)),
        }
        at += 1;
    }
    if apply.next != range.end {
        return Err(format!("it gave {} verdicts on {} records", apply.next - range.start, range.len()));
    }
    apply.maps.finish()?;
    if let Some(Holding { ids, released }) = holding {
        add_held(batch, holds, released, |index| ids[index - start], part);
    }
    Ok(Applied::Rewritten(counts))
}

/// The count that follows a verdict byte.
fn count_after(verdicts: &[u8], at: usize) -> Result<u32, String> {
    let bytes = verdicts.get(at + 1..at + 5).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or_else(|| format!("the count of verdict {} is cut off", verdicts[at]))
}

/// A record that the filter wants to hold.
struct Hold {
    index: usize,
    /// The record that is held instead.
    another: Option<Batch>,
}

/// Adds what the call holds and does not release itself.
fn add_held(batch: &Batch, holds: Vec<Hold>, released: &[u64], id: impl Fn(usize) -> u64, part: &mut Part) {
    let mut released = released.to_vec();
    released.sort_unstable();
    released.dedup();
    for Hold { index, another } in holds {
        if released.binary_search(&id(index)).is_err() {
            let record = another.as_ref().map_or(batch.get(index), |another| another.get(0));
            part.changes.held.push((id(index), Bytes::copy_from_slice(record)));
        }
    }
    part.changes.released = released;
}

struct Apply<'a> {
    batch: &'a Batch,
    /// The index of the record that the next verdict is about.
    next: usize,
    end: usize,
    maps: Maps<'a>,
    part: &'a mut Part,
}

impl Apply<'_> {
    fn take(&mut self, verdicts: usize) -> Result<usize, String> {
        if self.next == self.end {
            return Err(format!("it gave more verdicts ({verdicts} bytes) than there are records"));
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    fn keep(&mut self, run: usize, verdicts: usize) -> Result<(), String> {
        if run > self.end - self.next {
            return Err(format!("it gave more verdicts ({verdicts} bytes) than there are records"));
        }
        let range = self.next..self.next + run;
        self.next = range.end;
        self.part.keep(self.batch, range);
        Ok(())
    }

    fn patch(&mut self, index: usize) -> Result<(), String> {
        let Part { batch: out, origins, scratch, room, .. } = &mut *self.part;
        let patch = self.maps.next_patch(scratch)?;
        out.try_append(|bytes| weir_record::merge_patch(self.batch.get(index), patch, bytes))
            .map_err(|error| format!("its patch can't be applied: {error}"))?;
        origins.push(index as u32);
        room.check(out)
    }

    /// The next map as a record to hold instead of the one at this index.
    fn another(&mut self, index: usize) -> Result<Batch, String> {
        let head = self.batch.record(index).head();
        let mut another = Batch::new();
        self.maps.next_record(&defaults(head.timestamp, head.source, head.level), &mut another)?;
        Ok(another)
    }

    fn records(&mut self, index: usize, count: u32, origin: u32) -> Result<(), String> {
        for _ in 0..count {
            let head = self.batch.record(index).head();
            let defaults = defaults(head.timestamp, head.source, head.level);
            self.maps.next_record(&defaults, &mut self.part.batch)?;
            self.part.origins.push(origin);
            self.part.check()?;
        }
        Ok(())
    }
}

fn defaults(received_ns: i64, source: &str, level: Level) -> Defaults<'_> {
    Defaults { received_ns, source, level, context: &[], aliases: &ALIASES, keeps_routes: true }
}

/// An iterator over the maps of `records`.
enum Maps<'a> {
    Msgpack(&'a [u8]),
    Json(std::vec::IntoIter<&'a RawValue>),
}

impl<'a> Maps<'a> {
    fn new(records: &'a [u8], encoding: Encoding, room: &mut Room) -> Result<Self, String> {
        match encoding {
            Encoding::Msgpack => Ok(Self::Msgpack(records)),
            Encoding::Json if records.is_empty() => Ok(Self::Json(Vec::new().into_iter())),
            Encoding::Json => {
                let mut json = serde_json::Deserializer::from_slice(records);
                let items = json
                    .deserialize_seq(Items { most: room.records })
                    .and_then(|items| json.end().map(|()| items))
                    .map_err(|error| format!("its `records` are not a json array: {error}"))?;
                match items.len() > room.records {
                    true => room.exceed(format!("it made more than {} records at once", room.records)),
                    false => Ok(Self::Json(items.into_iter())),
                }
            }
        }
    }

    fn next_patch<'b>(&mut self, scratch: &'b mut Vec<u8>) -> Result<&'b [u8], String>
    where
        'a: 'b,
    {
        match self {
            Self::Msgpack(rest) => next_map(rest),
            Self::Json(items) => {
                scratch.clear();
                let item = items.next().ok_or(TOO_FEW)?;
                weir_record::json_to_msgpack(item.get().as_bytes(), scratch)
                    .map_err(|error| format!("its patch is not valid json: {error}"))?;
                Ok(scratch)
            }
        }
    }

    fn next_record(&mut self, defaults: &Defaults<'_>, out: &mut Batch) -> Result<(), String> {
        let before = out.len();
        let read = match self {
            Self::Msgpack(rest) => weir_record::read_msgpack(next_map(rest)?, defaults, out),
            Self::Json(items) => weir_record::read_json(items.next().ok_or(TOO_FEW)?.get().as_bytes(), defaults, out),
        };
        let bad = read.map_err(|error| format!("it made a record that can't be read: {error}"))?;
        if let Some(bad) = bad.first() {
            return Err(format!("it made an invalid record: {}", bad.error));
        }
        match out.len() - before {
            1 => Ok(()),
            _ => Err("it made something other than one record".into()),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Msgpack(rest) => rest.is_empty(),
            Self::Json(items) => items.len() == 0,
        }
    }

    fn finish(self) -> Result<(), String> {
        match self {
            Self::Msgpack(rest) if !rest.is_empty() => {
                Err(format!("{} bytes are left over in its `records`", rest.len()))
            }
            Self::Json(items) if items.len() > 0 => Err(format!("{} maps are left over in its `records`", items.len())),
            _ => Ok(()),
        }
    }
}

/// Reads the items of a JSON array, up to one more than the limit: a million items are 2 MB of text, but many times
/// that in memory.
struct Items {
    most: usize,
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            if read.len() <= self.most {
                read.push(item);
            }
        }
        Ok(read)
    }
}

const TOO_FEW: &str = "it returned fewer maps in `records` than its verdicts call for";

fn next_map<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    if rest.is_empty() {
        return Err(TOO_FEW.into());
    }
    match Value::read(rest) {
        Some((Value::Map(_), len)) => {
            let (map, after) = rest.split_at(len);
            *rest = after;
            Ok(map)
        }
        Some(_) => Err("its `records` contain something other than a map".into()),
        None => Err("its `records` are not valid messagepack".into()),
    }
}

/// Reads records that a filter created itself.
pub(super) fn read_records(records: &[u8], encoding: Encoding, out: &mut Batch, room: &mut Room) -> Result<(), String> {
    let mut maps = Maps::new(records, encoding, room)?;
    while !maps.is_empty() {
        maps.next_record(&defaults(weir_record::time::now_ns(), "weir", Level::Info), out)?;
        room.check(out)?;
    }
    Ok(())
}
