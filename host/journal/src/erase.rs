//! Erases parts of frames that are already stored: the bytes are gone afterwards, and everything else is as before.
//!
//! A closed segment with something to erase is written again under another name, with the same sequences, times and
//! counts of records, and then takes the place of the old one by a rename. A crash leaves the old segment or the new
//! one; a copy that is not in its place is removed at the next start. The segment being written is closed
//! first ([`Journal::close_segment`](crate::Journal::close_segment)), so no segment is ever changed in place. If segments
//! are encrypted, the new one has a key of its own.
//!
//! The copy is made on the caller's thread, since nobody writes to a closed segment. Only the writer's thread puts it in
//! place, so that it never meets a removal of the same segment. From then on no reader gets a frame of the old one: the
//! frames leave the memory of recent entries, and a reader that has read from the old file looks again (`reader.rs`).
//!
//! What is erased is the caller's decision ([`Erase`]), as payloads are opaque here.

use crate::appender::Appender;
use crate::cipher::{Keys, Sealer};
use crate::error::{AppendError, OpenError};
use crate::format::{SegmentHeader, segment_name};
use crate::frame::FRAME_LZ4;
use crate::group::{Group, Stamp};
use crate::ledger::Ledger;
use crate::limits::MAX_GROUP_BYTES;
use crate::options::Options;
use crate::recovery::{check_keys, list_segments};
use crate::salvage::{ERASED, new_mark};
use crate::scan::{self, Found, Scan, Step};
use crate::segment::Segment;
use crate::state::Shared;
use crate::storage::{Storage, StoredFile};
use bytes::Bytes;
use std::io::{self, IoSlice};

/// Decides what is erased.
pub trait Erase {
    /// The batch of a frame without what is erased, and not longer than before; `None` if nothing of it is.
    fn batch(&mut self, batch: &Bytes) -> Option<Vec<u8>>;
    /// Whether a held record is erased.
    fn hold(&mut self, payload: &Bytes) -> bool;
    /// Called before each segment with its number, from 1, and the number of all. False ends the work.
    fn go_on(&mut self, segment: usize, of: usize) -> bool;
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Segments with something to erase.
    pub segments: u64,
    /// Segments that could not be erased from, each with the reason.
    pub failures: Vec<String>,
    /// It was ended before all segments were done.
    pub is_partial: bool,
}

/// A rewritten segment that is not in its place yet.
pub(crate) struct Rewritten {
    /// Its name in the folder.
    copy: String,
    /// The mark of the segment that it replaces.
    old_mark: u32,
    pub(crate) segment: Segment,
}

/// Counts without changing anything, also beside a running journal or in a folder without one.
pub fn count(storage: &dyn Storage, keys: &Keys, erase: &mut dyn Erase) -> Result<Erased, OpenError> {
    check_keys(storage, keys)?;
    let names = list_segments(storage)?;
    let mut erased = Erased::default();
    for (at, first) in names.iter().enumerate() {
        if !erase.go_on(at + 1, names.len()) {
            erased.is_partial = true;
            break;
        }
        let name = segment_name(*first);
        match count_in(storage, keys, &name, erase) {
            Ok(found) => erased.segments += u64::from(found),
            // A running journal removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => erased.failures.push(format!("`{name}`: {error}")),
        }
    }
    Ok(erased)
}

fn count_in(storage: &dyn Storage, keys: &Keys, name: &str, erase: &mut dyn Erase) -> io::Result<bool> {
    let file = storage.open(name)?;
    let Ok(header) = scan::read_header(&*file)? else {
        return Err(io::Error::other("its header is damaged"));
    };
    let mut found = false;
    let mut scan = Scan::new(&*file, &header, keys)?;
    // The end of the last segment may be a group that is being written.
    while let Step::Frame(frame) = scan.step() {
        found |= without(&scan, &frame, erase)?.2;
    }
    Ok(found)
}

/// A frame's batch and ledger without what is erased, and whether that is less than before.
fn without(scan: &Scan<'_>, found: &Found, erase: &mut dyn Erase) -> io::Result<(Vec<u8>, Ledger, bool)> {
    let opened = scan.opened(found)?;
    let mut ledger = match found.header.has_ledger() {
        true => found.header.ledger(opened.clone()).map_err(io::Error::other)?,
        false => Ledger::default(),
    };
    let batch = found.header.batch(opened).map_err(io::Error::other)?;
    let held = ledger.holds.len();
    ledger.holds.retain(|hold| !erase.hold(&hold.payload));
    let rest = if batch.is_empty() { None } else { erase.batch(&batch) };
    let is_less = rest.is_some() || ledger.holds.len() < held;
    Ok((rest.unwrap_or_else(|| batch.to_vec()), ledger, is_less))
}

/// Erases from all closed segments that begin at or before `up_to`.
pub(crate) fn erase(
    shared: &Shared,
    up_to: u64,
    erase: &mut dyn Erase,
    mut put_in_place: impl FnMut(Rewritten) -> Result<(), String>,
) -> Erased {
    let closed: Vec<Segment> = {
        let state = shared.state();
        let all = state.segments.len();
        state.segments.iter().take(all.saturating_sub(1)).filter(|segment| segment.first <= up_to).cloned().collect()
    };
    let mut erased = Erased::default();
    for (at, segment) in closed.iter().enumerate() {
        if !erase.go_on(at + 1, closed.len()) {
            erased.is_partial = true;
            break;
        }
        let outcome = match rewrite(&*shared.storage, segment, &shared.options, erase) {
            Ok(Some(rewritten)) => put_in_place(rewritten).map(|()| true),
            Ok(None) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.to_string()),
        };
        match outcome {
            Ok(found) => erased.segments += u64::from(found),
            Err(reason) => erased.failures.push(format!("`{}`: {reason}", segment.name)),
        }
    }
    erased
}

/// Writes a segment again under another name, durably. `None` if there is nothing to erase in it.
pub(crate) fn rewrite(
    storage: &dyn Storage,
    segment: &Segment,
    options: &Options,
    erase: &mut dyn Erase,
) -> io::Result<Option<Rewritten>> {
    let file = storage.open(&segment.name)?;
    let Ok(header) = scan::read_header(&*file)? else {
        return Err(io::Error::other("its header is damaged"));
    };
    let mut copy: Option<Copy> = None;
    let mut scan = Scan::new(&*file, &header, &options.keys)?;
    loop {
        let found = match scan.step() {
            Step::Frame(found) => found,
            Step::End => break,
            Step::Broken(broken) => return Err(discarded(storage, copy, io::Error::other(broken.reason))),
        };
        let written = without(&scan, &found, erase).and_then(|(batch, ledger, is_less)| {
            if copy.is_none() && is_less {
                copy = Some(Copy::begin(storage, &*file, &segment.name, &header, &found, options)?);
            }
            copy.as_mut().map_or(Ok(()), |copy| copy.push(&found, batch, ledger))
        });
        if let Err(error) = written {
            return Err(discarded(storage, copy, error));
        }
    }
    let Some(mut copy) = copy else { return Ok(None) };
    match copy.flush().and_then(|()| copy.file.sync()) {
        Ok(()) => Ok(Some(Rewritten { copy: copy.name, old_mark: segment.mark, segment: copy.segment })),
        Err(error) => Err(discarded(storage, Some(copy), error)),
    }
}

/// Removes an unfinished copy. If that fails, the next start does it.
fn discarded(storage: &dyn Storage, copy: Option<Copy>, error: io::Error) -> io::Error {
    if let Some(copy) = copy
        && let Err(error) = storage.remove(&copy.name)
    {
        tracing::debug!(%error, "can't remove `{}`", copy.name);
    }
    error
}

/// A segment being written again.
struct Copy {
    name: String,
    file: std::sync::Arc<dyn StoredFile>,
    segment: Segment,
    group: Group,
    sealer: Option<Sealer>,
    compress: bool,
}

impl Copy {
    /// Begins with all frames before `first`, the first one with something to erase.
    fn begin(
        storage: &dyn Storage,
        old: &dyn StoredFile,
        name: &str,
        original: &SegmentHeader,
        first: &Found,
        options: &Options,
    ) -> io::Result<Copy> {
        let mut mark = new_mark();
        while mark == original.mark {
            mark = new_mark();
        }
        let header = SegmentHeader { mark, ..original.for_copy(&options.keys)? };
        let sealer = header.sealer(&options.keys).map_err(io::Error::other)?;
        let opener = header.opener(&options.keys).map_err(io::Error::other)?;
        let name = format!("{name}{ERASED}");
        let file = storage.create(&name)?;
        file.append(&mut [IoSlice::new(&header.encode())])?;
        let (segment, group) = (Segment::empty(&header, opener), Group::default());
        let mut copy = Copy { name, file, segment, group, sealer, compress: options.compress };
        let mut scan = Scan::new(old, original, &options.keys)?;
        while scan.offset < first.offset {
            let Step::Frame(found) = scan.step() else {
                return Err(io::Error::other("it changed while it was read"));
            };
            let (batch, ledger, _) = without(&scan, &found, &mut Nothing)?;
            copy.push(&found, batch, ledger)?;
        }
        Ok(copy)
    }

    /// Adds a frame with this content and everything else as it was.
    fn push(&mut self, found: &Found, mut payload: Vec<u8>, ledger: Ledger) -> io::Result<()> {
        if !ledger.is_empty() {
            ledger.write(&mut payload);
        }
        let header = &found.header;
        let prepared =
            self.group.prepare(payload, self.compress || header.flags & FRAME_LZ4 != 0, self.sealer.is_some());
        let stamp = Stamp {
            mark: self.segment.mark,
            sequence: header.sequence,
            durable: header.durable,
            time_ns: header.time_ns,
            records: header.records,
            records_before: self.segment.records_after,
        };
        self.segment.push(header.sequence, header.records, prepared.frame_bytes());
        self.group.push(prepared, &stamp, ledger, self.sealer.as_mut(), Box::new(|_| {}));
        if self.group.size_bytes >= MAX_GROUP_BYTES as u64 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.group.is_empty() {
            self.group.write_to(&*self.file)?;
            self.group.take();
        }
        Ok(())
    }
}

/// Erases nothing.
struct Nothing;

impl Erase for Nothing {
    fn batch(&mut self, _: &Bytes) -> Option<Vec<u8>> {
        None
    }

    fn hold(&mut self, _: &Bytes) -> bool {
        false
    }

    fn go_on(&mut self, _: usize, _: usize) -> bool {
        true
    }
}

impl Appender {
    /// Closes the segment being written if it has frames. Everything acknowledged so far is in closed segments then, and
    /// visible.
    pub(crate) fn close_segment(&mut self) -> Result<(), AppendError> {
        self.sync();
        if let Some(error) = self.poisoned() {
            return Err(error);
        }
        let is_empty = self.shared.state().segments.back().is_none_or(|segment| segment.frames == 0);
        if is_empty { Ok(()) } else { self.begin_segment().map(drop) }
    }

    /// Puts a rewritten segment in the place of the old one, durably, unless that was removed meanwhile.
    pub(crate) fn put_in_place(&mut self, rewritten: Rewritten) -> io::Result<()> {
        let Rewritten { copy, old_mark, segment } = rewritten;
        let storage = &*self.shared.storage;
        let is_old = |known: &Segment| known.first == segment.first && known.mark == old_mark;
        let old_bytes = self.shared.state().segments.iter().find(|known| is_old(known)).map(|known| known.size_bytes);
        let Some(old_bytes) = old_bytes else { return storage.remove(&copy) };
        storage.rename(&copy, &segment.name)?;
        // Readers must not go on with the old one, even if the new one is not durable.
        let synced = storage.sync_folder();
        self.size_bytes = self.size_bytes - old_bytes + segment.size_bytes;
        let mut state = self.shared.state();
        state.recent.forget_up_to(segment.last);
        if let Some(known) = state.segments.iter_mut().find(|known| is_old(known)) {
            *known = segment;
        }
        synced
    }
}
