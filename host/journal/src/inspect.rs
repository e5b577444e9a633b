//! Inspects a journal's folder without opening the journal: takes no lock, changes nothing, and works beside a running
//! journal and on a damaged one. For `weir journal inspect` and for reading entries.

use crate::cipher::Keys;
use crate::cursor;
use crate::error::OpenError;
use crate::format::{BadHeader, segment_name};
use crate::reader::Entry;
use crate::recovery::{check_keys, failed, list_segments};
use crate::scan::{self, Found, Scan, Step};
use crate::storage::Storage;
use serde::Serialize;
use std::collections::VecDeque;
use std::io;

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// Its file name.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// Creation time in nanoseconds since 1970 UTC; 0 if the header can't be read.
    pub created_ns: i64,
    /// The id of the key that it is encrypted with.
    pub key: Option<String>,
    /// The first and last undamaged frame.
    pub sequences: Option<(u64, u64)>,
    /// Undamaged frames: all checksums match.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of their payloads, as appended and as stored.
    pub payload_bytes: u64,
    /// See `payload_bytes`.
    pub stored_bytes: u64,
    /// Bytes after the last complete frame of the last segment: being written now, or torn by a crash.
    pub unfinished_bytes: u64,
    /// Descriptions of damage, with the place.
    pub problems: Vec<String>,
}

impl SegmentReport {
    fn empty(name: String, size_bytes: u64) -> SegmentReport {
        SegmentReport {
            name,
            size_bytes,
            created_ns: 0,
            key: None,
            sequences: None,
            frames: 0,
            records: 0,
            payload_bytes: 0,
            stored_bytes: 0,
            unfinished_bytes: 0,
            problems: Vec::new(),
        }
    }

    fn add(&mut self, found: &Found) {
        let header = &found.header;
        let first = self.sequences.map_or(header.sequence, |(first, _)| first);
        self.sequences = Some((first, header.sequence));
        self.frames += 1;
        self.records += u64::from(header.records);
        self.payload_bytes += u64::from(header.payload_bytes);
        self.stored_bytes += u64::from(header.stored_bytes);
    }
}

/// A stored cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CursorReport {
    /// The reader's name.
    pub name: String,
    /// The last delivered frame (as last stored, up to half a second ago).
    pub committed: u64,
    /// Complete frames after it.
    pub lag_frames: u64,
    /// Records in them.
    pub lag_records: u64,
}

/// The content of the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
    /// By name.
    pub cursors: Vec<CursorReport>,
    /// Damaged files that were set aside earlier.
    pub set_aside: Vec<String>,
    /// Problems other than those of single segments.
    pub problems: Vec<String>,
}

impl Inspection {
    /// True if nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.segments.iter().all(|segment| segment.problems.is_empty())
    }
}

/// Reads the whole folder and checks every byte.
pub fn inspect(storage: &dyn Storage, keys: &Keys) -> Result<Inspection, OpenError> {
    check_keys(storage, keys)?;
    let mut inspection = Inspection::default();
    // Read before the folder is listed: beside a running journal, everything durable by then is in segments that the
    // list contains.
    let loaded = cursor::load(storage).map_err(failed(storage, "read `cursors`"))?;
    let durable = loaded.as_ref().map_or(0, |saved| saved.durable);
    let names = list_segments(storage)?;
    let files = storage.list().map_err(failed(storage, "list the folder"))?;
    inspection.set_aside =
        files.iter().filter(|file| file.name.contains(".damaged")).map(|file| file.name.clone()).collect();
    match loaded {
        Ok(saved) => {
            let report = |(name, stored): (String, cursor::Stored)| CursorReport {
                name,
                committed: stored.committed,
                lag_frames: 0,
                lag_records: 0,
            };
            inspection.cursors = saved.cursors.into_iter().map(report).collect();
        }
        Err(reason) => inspection.problems.push(format!("`cursors` is damaged: {reason}")),
    }
    let mut before: Option<End> = None;
    let mut last = 0;
    for (at, first) in names.iter().enumerate() {
        let is_last = at + 1 == names.len();
        let cursors = &mut inspection.cursors;
        let mut count = |found: &Found| {
            for cursor in cursors.iter_mut().filter(|cursor| found.header.sequence > cursor.committed) {
                cursor.lag_frames += 1;
                cursor.lag_records += u64::from(found.header.records);
            }
        };
        match inspect_segment(storage, keys, *first, is_last.then_some(durable), before.as_ref(), &mut count) {
            Ok((report, end)) => {
                last = end.as_ref().map_or(last, |end| end.last);
                inspection.segments.push(report);
                before = end;
            }
            // A running journal removed it since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let name = segment_name(*first);
                inspection.problems.push(format!("`{name}` can't be read: {error}"));
                before = None;
            }
        }
    }
    if last < durable {
        let reason = format!("it ends with frame {last}, but everything up to frame {durable} was acknowledged");
        inspection.problems.push(reason);
    }
    Ok(inspection)
}

/// The end of a segment, to check that the next one continues there.
struct End {
    last: u64,
    has_gaps: bool,
}

fn inspect_segment(
    storage: &dyn Storage,
    keys: &Keys,
    first: u64,
    durable_of_last: Option<u64>,
    before: Option<&End>,
    count: &mut dyn FnMut(&Found),
) -> io::Result<(SegmentReport, Option<End>)> {
    let name = segment_name(first);
    let file = storage.open(&name)?;
    let mut report = SegmentReport::empty(name, file.size_bytes()?);
    let header = match scan::read_header(&*file)? {
        Ok(header) => header,
        Err(BadHeader::Damaged(_))
            if durable_of_last.is_some_and(|durable| first > durable)
                && report.size_bytes <= crate::format::SEGMENT_HEADER_BYTES as u64 =>
        {
            report.unfinished_bytes = report.size_bytes;
            return Ok((report, None));
        }
        Err(BadHeader::Damaged(reason)) => {
            report.problems.push(reason.to_string());
            return Ok((report, None));
        }
        Err(BadHeader::Newer(version)) => {
            report.problems.push(format!("its format {version} is newer than this weir reads"));
            return Ok((report, None));
        }
    };
    report.created_ns = header.created_ns;
    report.key = header.seal.map(|seal| seal.key.to_string());
    if let Some(before) = before
        && header.previous != before.last
        && !(before.has_gaps && header.previous > before.last)
    {
        report.problems.push(format!("frames {} to {} before it are missing", before.last + 1, header.previous));
    }
    let mut scan = Scan::new(&*file, &header, keys)?;
    let mut last = header.previous;
    loop {
        let (offset, due) = (scan.offset, scan.expected);
        let found = match scan.step() {
            Step::Frame(found) => found,
            Step::End => break,
            Step::Broken(broken) => {
                let further = scan.search();
                // A group being written looks the same as a torn one; neither was ever acknowledged.
                let was_durable = further.is_some_and(|found| found.header.durable >= due);
                let can_be_torn = durable_of_last.is_some_and(|durable| due > durable);
                if can_be_torn && !was_durable && !broken.beyond_crash {
                    report.unfinished_bytes = scan.size_bytes - offset;
                    break;
                }
                report.problems.push(format!("byte {offset}, expected frame {due}: {}", broken.reason));
                match further {
                    Some(found) => {
                        scan.pass(&found);
                        found
                    }
                    None => break,
                }
            }
        };
        count(&found);
        last = found.header.sequence;
        report.add(&found);
    }
    Ok((report, Some(End { last, has_gaps: header.has_gaps() })))
}

/// Calls `each` with every undamaged entry after `after`, in order, until it returns false. Entries of a running
/// journal may appear before they are durable.
pub fn entries(
    storage: &dyn Storage,
    keys: &Keys,
    after: u64,
    mut each: impl FnMut(Entry) -> bool,
) -> Result<(), OpenError> {
    check_keys(storage, keys)?;
    let names = list_segments(storage)?;
    for (at, first) in names.iter().enumerate() {
        // All its entries come before the next segment's.
        if names.get(at + 1).is_some_and(|next| *next <= after.saturating_add(1)) {
            continue;
        }
        let name = segment_name(*first);
        match segment_entries(storage, keys, &name, after, &mut each) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(storage, format!("read `{name}`"))(error)),
        }
    }
    Ok(())
}

fn segment_entries(
    storage: &dyn Storage,
    keys: &Keys,
    name: &str,
    after: u64,
    each: &mut dyn FnMut(Entry) -> bool,
) -> io::Result<bool> {
    let file = storage.open(name)?;
    let Ok(header) = scan::read_header(&*file)? else {
        return Ok(true);
    };
    let mut scan = Scan::new(&*file, &header, keys)?;
    while let Some(found) = scan.next_whole() {
        if found.header.sequence <= after {
            continue;
        }
        let payload = found.header.batch(scan.opened(&found)?);
        let Ok(payload) = payload else { continue };
        let entry = Entry {
            sequence: found.header.sequence,
            time_ns: found.header.time_ns,
            records: found.header.records,
            payload,
        };
        if !entry.is_empty() && !each(entry) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The newest undamaged entries that together contain at least `records` records, oldest first. Reads segments
/// backwards from the newest, and only as many as needed.
pub fn newest(storage: &dyn Storage, keys: &Keys, records: u64) -> Result<Vec<Entry>, OpenError> {
    check_keys(storage, keys)?;
    let names = list_segments(storage)?;
    let mut found: VecDeque<Entry> = VecDeque::new();
    for first in names.into_iter().rev() {
        let held: u64 = found.iter().map(|entry| u64::from(entry.records)).sum();
        if held >= records {
            break;
        }
        let name = segment_name(first);
        let mut older = Newest { entries: VecDeque::new(), held: 0, wanted: records - held };
        let read = segment_entries(storage, keys, &name, 0, &mut |entry| {
            older.push(entry);
            true
        });
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(storage, format!("read `{name}`"))(error)),
        }
        older.entries.append(&mut found);
        found = older.entries;
    }
    Ok(found.into())
}

/// The entries of one segment, without those that are too old.
struct Newest {
    entries: VecDeque<Entry>,
    held: u64,
    wanted: u64,
}

impl Newest {
    fn push(&mut self, entry: Entry) {
        self.held += u64::from(entry.records);
        self.entries.push_back(entry);
        while let Some(oldest) = self.entries.front()
            && self.held - u64::from(oldest.records) >= self.wanted
        {
            self.held -= u64::from(oldest.records);
            self.entries.pop_front();
        }
    }
}
