//! Opens a journal after a crash: checks every byte of every segment, cuts the torn end of the last one, and refuses
//! damage that no crash explains, unless told to set it aside ([`crate::salvage`]).
//!
//! Afterwards, whatever the crash did, every acknowledged frame is there, in order, and nothing else than appended
//! frames. A sequence number that a reader may have seen is never reused.
//!
//! The durable sequence in [`cursor`] distinguishes damage to the very last frames from a torn end, and reveals a
//! missing end. Damage to frames of the last half second before a crash can't be distinguished.

use crate::cipher::Keys;
use crate::cursor::{self, CURSORS_FILE, CURSORS_NEW, Saved, Stored};
use crate::error::OpenError;
use crate::format::{BadHeader, SEGMENT_HEADER_BYTES, SegmentHeader, parse_segment_name, segment_name};
use crate::ledger::Held;
use crate::limits::SEQUENCE_JUMP;
use crate::options::{OnDamage, Options};
use crate::report::{Damage, Lost, Recovery, SetAside, TornTail};
use crate::salvage;
use crate::scan::{self, Scan, Step};
use crate::segment::Segment;
use crate::storage::{FileInfo, Storage, StoredFile};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The end of the journal, to append to.
pub(crate) struct Tail {
    pub header: SegmentHeader,
    pub file: Arc<dyn StoredFile>,
}

/// The state that the journal continues from.
pub(crate) struct Recovered {
    pub segments: Vec<Segment>,
    /// The last segment's file and header.
    pub tail: Option<Tail>,
    pub cursors: BTreeMap<String, Stored>,
    pub held: Held,
    /// The next frame's sequence.
    pub next: u64,
    pub report: Recovery,
}

/// Converts an I/O error, with the operation that failed.
pub(crate) fn failed(storage: &dyn Storage, action: impl fmt::Display) -> impl FnOnce(io::Error) -> OpenError {
    let place = storage.place();
    move |source| OpenError::Storage { place, action: action.to_string(), source }
}

/// Opens the folder. The caller holds its lock.
pub(crate) fn recover(storage: &dyn Storage, options: &Options) -> Result<Recovered, OpenError> {
    // Before anything is changed.
    check_keys(storage, &options.keys)?;
    let names = salvage::finish_interrupted(storage)?;
    let mut set_aside = Vec::new();
    // Each round sets one damaged file aside. A file can be damaged and later turn out to miss its end, too.
    let rounds = 2 * names.len() + 1;
    let (saved, cursors_aside) = load_cursors(storage, options)?;
    set_aside.extend(cursors_aside);
    for _ in 0..=rounds {
        match survey(storage, &names, saved.durable, &options.keys) {
            Err(OpenError::Damaged(damage)) if options.on_damage == OnDamage::SetAside => {
                set_aside.push(salvage::set_aside(storage, &names, *damage, &options.keys)?);
            }
            Err(error) => return Err(error),
            Ok(survey) => return finish(storage, options, survey, saved, set_aside),
        }
    }
    Err(failed(storage, "set damage aside")(io::Error::other("too many damaged files")))
}

fn load_cursors(storage: &dyn Storage, options: &Options) -> Result<(Saved, Option<SetAside>), OpenError> {
    let loaded = cursor::load(storage).map_err(failed(storage, "read `cursors`"))?;
    let reason = match loaded {
        Ok(saved) => return Ok((saved, None)),
        Err(reason) => reason,
    };
    let damage = Damage {
        place: storage.place(),
        segment: CURSORS_FILE.to_string(),
        offset: 0,
        first_lost: 0,
        last_lost: Some(0),
        reason: format!("{reason} (without it every reader starts at the oldest frame)"),
    };
    if options.on_damage == OnDamage::Refuse {
        return Err(OpenError::Damaged(Box::new(damage)));
    }
    let kept_as = salvage::rename_aside(storage, CURSORS_FILE)?;
    Ok((Saved::default(), Some(SetAside { damage, kept_as, saved_frames: 0 })))
}

struct Survey {
    segments: Vec<Segment>,
    tail: Option<Tail>,
    torn: Option<TornTail>,
    held: Held,
}

/// Checks all segments. Changes nothing except the torn end of the last. Frames up to `durable` are known to have been
/// written completely.
fn survey(storage: &dyn Storage, names: &[u64], durable: u64, keys: &Keys) -> Result<Survey, OpenError> {
    let mut survey = Survey { segments: Vec::new(), tail: None, torn: None, held: Held::default() };
    for (at, first) in names.iter().enumerate() {
        let is_last = at + 1 == names.len();
        let name = segment_name(*first);
        let file = storage.open(&name).map_err(failed(storage, format!("open `{name}`")))?;
        let size_bytes = file.size_bytes().map_err(failed(storage, format!("read the size of `{name}`")))?;
        let previous = survey.segments.last();
        let (header, file) = match scan::read_header(&*file) {
            Ok(Ok(header)) => (header, file),
            Ok(Err(BadHeader::Newer(version))) => {
                return Err(OpenError::Newer { place: storage.place(), segment: name, version });
            }
            // Frames are written only after the header is durable, so a crash can't leave more than this.
            Ok(Err(_)) if is_last && size_bytes <= SEGMENT_HEADER_BYTES as u64 && *first > durable => {
                recreate_segment(storage, *first, previous)?
            }
            Ok(Err(BadHeader::Damaged(reason))) => {
                return Err(damaged(storage, &name, 0, *first, names.get(at + 1), reason));
            }
            Err(error) => {
                let reason = format!("its header can't be read: {error}");
                return Err(damaged(storage, &name, 0, *first, names.get(at + 1), reason));
            }
        };
        if header.first != *first {
            let reason = format!("it begins with frame {}, not with the one in its name", header.first);
            return Err(damaged(storage, &name, 0, *first, names.get(at + 1), reason));
        }
        check_chain(storage, previous, &header)?;
        let scan = Scan::new(&*file, &header, keys).map_err(failed(storage, format!("read `{name}`")))?;
        let (segment, torn) = check_frames(storage, &header, scan, is_last.then_some(durable), &mut survey.held)?;
        survey.segments.push(segment);
        survey.torn = torn;
        survey.tail = Some(Tail { header, file });
    }
    Ok(survey)
}

/// Creates a segment again that was being created during the crash. The numbering depends on its name, so the name must
/// stay.
fn recreate_segment(
    storage: &dyn Storage,
    first: u64,
    previous: Option<&Segment>,
) -> Result<(SegmentHeader, Arc<dyn StoredFile>), OpenError> {
    let header = SegmentHeader {
        flags: 0,
        mark: salvage::new_mark(),
        first,
        previous: previous.map_or(first.saturating_sub(1), |segment| segment.last),
        records_before: previous.map_or(0, |segment| segment.records_after),
        created_ns: salvage::now_ns(),
        // It stays empty: what is encrypted goes into a segment that the running process created.
        seal: None,
    };
    let name = segment_name(first);
    let file = salvage::create_segment(storage, &name, &header).map_err(failed(storage, format!("create `{name}`")))?;
    Ok((header, file))
}

/// Checks that no frame is missing between two segments. Every header names the last frame before it.
fn check_chain(storage: &dyn Storage, previous: Option<&Segment>, header: &SegmentHeader) -> Result<(), OpenError> {
    let Some(previous) = previous else {
        return Ok(());
    };
    let follows = header.previous == previous.last
        || (previous.has_gaps && header.previous > previous.last && header.first > previous.last);
    if follows {
        return Ok(());
    }
    let reason = format!(
        "its last frame is {}, but `{}` continues after frame {}",
        previous.last,
        segment_name(header.first),
        header.previous
    );
    let offset = previous.size_bytes;
    let due = previous.last + 1;
    Err(damaged(storage, &previous.name, offset, due, Some(&header.first), reason))
}

/// Walks the frames. Cuts a torn end, which only the last segment can have, and only after its durable frames.
fn check_frames(
    storage: &dyn Storage,
    header: &SegmentHeader,
    mut scan: Scan<'_>,
    durable_of_last: Option<u64>,
    held: &mut Held,
) -> Result<(Segment, Option<TornTail>), OpenError> {
    let mut segment = Segment::empty(header, scan.key.clone());
    let name = segment.name.clone();
    let broken = loop {
        match scan.step() {
            Step::Frame(found) => {
                let sequence = found.header.sequence;
                segment.push(sequence, found.header.records, found.header.frame_bytes());
                if found.header.has_ledger() {
                    let opened = scan.opened(&found).map_err(failed(storage, format!("read `{name}`")))?;
                    match found.header.ledger(opened) {
                        Ok(ledger) => held.apply(sequence, ledger),
                        Err(reason) => return Err(damaged(storage, &name, found.offset, sequence, None, reason)),
                    }
                }
            }
            Step::End => return Ok((segment, None)),
            Step::Broken(broken) => break broken,
        }
    };
    let (offset, due, size_bytes) = (scan.offset, scan.expected, scan.size_bytes);
    let mut next_whole = scan.search();
    let first_whole = next_whole.map(|found| found.header.sequence);
    // A complete frame further on may be part of the same torn group; one written after a later fsync is not.
    while let Some(found) = next_whole {
        if found.header.durable >= due {
            break;
        }
        scan.pass(&found);
        next_whole = match scan.step() {
            Step::Frame(found) => Some(found),
            Step::End => None,
            Step::Broken(_) => scan.search(),
        };
    }
    let can_be_torn = durable_of_last.is_some_and(|durable| due > durable);
    if !can_be_torn || broken.beyond_crash || next_whole.is_some() {
        let after = first_whole.as_ref();
        return Err(damaged(storage, &name, offset, due, after, broken.reason));
    }
    scan.file.truncate(offset).map_err(failed(storage, format!("cut the torn end of `{name}`")))?;
    let torn = TornTail { segment: name, offset, size_bytes: size_bytes - offset };
    Ok((segment, Some(torn)))
}

fn damaged(
    storage: &dyn Storage,
    segment: &str,
    offset: u64,
    first_lost: u64,
    whole_again: Option<&u64>,
    reason: impl Into<String>,
) -> OpenError {
    OpenError::Damaged(Box::new(Damage {
        place: storage.place(),
        segment: segment.to_string(),
        offset,
        first_lost,
        last_lost: whole_again.map(|sequence| (sequence - 1).max(first_lost)),
        reason: reason.into(),
    }))
}

/// Checks that nothing is missing at the end, and determines the next number: higher than every number that a reader
/// may have seen.
fn finish(
    storage: &dyn Storage,
    options: &Options,
    survey: Survey,
    saved: Saved,
    set_aside: Vec<SetAside>,
) -> Result<Recovered, OpenError> {
    let Survey { segments, tail, torn, held } = survey;
    let last = segments.last().map_or(0, |segment| segment.last);
    let lost = (last < saved.durable).then(|| Lost { place: storage.place(), first: last + 1, last: saved.durable });
    if let Some(lost) = &lost
        && options.on_damage == OnDamage::Refuse
    {
        return Err(OpenError::Lost(lost.clone()));
    }
    let mut next = saved.next.max(saved.durable.max(last) + 1);
    if let Some(tail) = &tail {
        next = next.max(tail.header.first);
        if tail.header.is_unsynced() {
            next = next.max(tail.header.first + SEQUENCE_JUMP);
        }
    }
    let is_mended = lost.is_some() || !set_aside.is_empty();
    if is_mended {
        // The number of lost frames is unknown.
        next += SEQUENCE_JUMP;
    }
    for cursor in saved.cursors.values() {
        next = next.max(cursor.committed + 1);
    }
    let report = Recovery {
        segments: segments.len(),
        frames: segments.iter().map(|segment| segment.frames).sum(),
        records: segments.iter().map(|segment| segment.records_after - segment.records_before).sum(),
        last_sequence: last,
        torn,
        set_aside,
        lost,
    };
    let saved = Saved { durable: last, next, ..saved };
    if is_mended {
        // Report missing frames only once.
        cursor::save(storage, &saved).map_err(failed(storage, "write `cursors`"))?;
    }
    Ok(Recovered { segments, tail, cursors: saved.cursors, held, next, report })
}

/// An error if a segment is encrypted with a key that is not given. Changes nothing.
pub fn check_keys(storage: &dyn Storage, keys: &Keys) -> Result<(), OpenError> {
    let mut files = storage.list().map_err(failed(storage, "list the folder"))?;
    files.retain(|file| parse_segment_name(file.name.trim_end_matches(salvage::SALVAGED)).is_some());
    files.sort_by(|a, b| a.name.cmp(&b.name));
    for FileInfo { name, .. } in files {
        let header = storage.open(&name).and_then(|file| scan::read_header(&*file));
        // Any other problem is reported by what reads the frames, and a running journal may have removed the file.
        if let Ok(Ok(SegmentHeader { seal: Some(seal), .. })) = header {
            let place = storage.place();
            keys.check(seal.key).map_err(|missing| OpenError::Key { place, segment: name, missing })?;
        }
    }
    Ok(())
}

/// The names of the segments in order. Removes leftovers of a crash.
pub(crate) fn segment_names(storage: &dyn Storage) -> Result<Vec<u64>, OpenError> {
    if storage.exists(CURSORS_NEW) {
        storage.remove(CURSORS_NEW).map_err(failed(storage, "remove `cursors.new`"))?;
    }
    list_segments(storage)
}

/// The names of the segments in order.
pub(crate) fn list_segments(storage: &dyn Storage) -> Result<Vec<u64>, OpenError> {
    let files = storage.list().map_err(failed(storage, "list the folder"))?;
    let mut names: Vec<u64> = files.iter().filter_map(|file| parse_segment_name(&file.name)).collect();
    names.sort_unstable();
    Ok(names)
}
