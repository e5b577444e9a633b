//! Sets damage aside when the operator asked for it: copies every undamaged frame of a damaged segment into a new one,
//! renames the damaged file, and gives the new one its name. Nothing is ever removed.
//!
//! A crash at any point leaves either the damaged segment unchanged (an incomplete copy is discarded) or the renamed
//! file and the complete copy (which then gets the name).
//!
//! Encrypted frames are decrypted and encrypted again, since the copy has another header and so another key.

use crate::cipher::{Keys, Sealer};
use crate::error::OpenError;
use crate::format::{SEGMENT_GAPS, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::frame::FrameHeader;
use crate::recovery::{failed, segment_names};
use crate::report::{Damage, SetAside};
use crate::scan::{self, Scan, Step};
use crate::storage::{Storage, StoredFile, read_up_to};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Suffix of a segment that is being rewritten.
pub(crate) const SALVAGED: &str = ".salvaged";
/// Suffix of a segment's copy without what is erased. It only ever replaces that segment, which may be removed meanwhile.
pub(crate) const ERASED: &str = ".erased";
const DAMAGED: &str = ".damaged";

/// A number that senders can't know.
pub(crate) fn new_mark() -> u32 {
    // The hasher's keys are random per process and differ per instance. The standard library has no better randomness,
    // and it is enough to prevent look-alikes.
    let hash = RandomState::new().hash_one(now_ns());
    (hash >> 32) as u32
}

/// Now, in nanoseconds since 1970 UTC.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Creates a segment file with its header. Durable on return.
pub(crate) fn create_segment(
    storage: &dyn Storage,
    name: &str,
    header: &SegmentHeader,
) -> io::Result<Arc<dyn StoredFile>> {
    let file = storage.create(name)?;
    file.append(&mut [IoSlice::new(&header.encode())])?;
    file.sync()?;
    storage.sync_folder()?;
    Ok(file)
}

/// Completes or undoes an interrupted salvage, and undoes an interrupted erasure. Returns the existing segments in order.
pub(crate) fn finish_interrupted(storage: &dyn Storage) -> Result<Vec<u64>, OpenError> {
    let files = storage.list().map_err(failed(storage, "list the folder"))?;
    for file in &files {
        let salvaged = file.name.strip_suffix(SALVAGED);
        if salvaged.is_none() && !file.name.ends_with(ERASED) {
            continue;
        }
        match salvaged.filter(|name| files.iter().all(|other| other.name != *name)) {
            Some(name) => {
                let action = format!("rename `{}`", file.name);
                storage.rename(&file.name, name).map_err(failed(storage, action))?;
            }
            None => {
                let action = format!("remove `{}`", file.name);
                storage.remove(&file.name).map_err(failed(storage, action))?;
            }
        }
        storage.sync_folder().map_err(failed(storage, "sync the folder"))?;
    }
    segment_names(storage)
}

/// Renames a file to an unused name. Durable on return.
pub(crate) fn rename_aside(storage: &dyn Storage, name: &str) -> Result<String, OpenError> {
    let files = storage.list().map_err(failed(storage, "list the folder"))?;
    let mut kept_as = format!("{name}{DAMAGED}");
    let mut attempt = 1;
    while files.iter().any(|file| file.name == kept_as) {
        attempt += 1;
        kept_as = format!("{name}{DAMAGED}.{attempt}");
    }
    storage.rename(name, &kept_as).map_err(failed(storage, format!("rename `{name}`")))?;
    storage.sync_folder().map_err(failed(storage, "sync the folder"))?;
    Ok(kept_as)
}

/// Sets one damaged segment aside and replaces it by its undamaged frames.
pub(crate) fn set_aside(
    storage: &dyn Storage,
    names: &[u64],
    damage: Damage,
    keys: &Keys,
) -> Result<SetAside, OpenError> {
    let name = damage.segment.clone();
    let while_doing = || failed(storage, format!("save the whole frames of `{name}`"));
    let at = names.iter().position(|first| segment_name(*first) == name);
    let first = at.map_or(1, |at| names[at]);
    let file = storage.open(&name).map_err(while_doing())?;
    let header = header_or_guess(storage, &*file, names, at, first, keys);
    let salvaged = format!("{name}{SALVAGED}");
    let with_gaps = SegmentHeader { flags: header.flags | SEGMENT_GAPS, ..header };
    let mut copy = Copy::begin(storage, &salvaged, &with_gaps, keys).map_err(while_doing())?;
    let saved_frames = copy_whole_frames(&*file, &mut copy, &header, keys).map_err(while_doing())?;
    copy.file.sync().map_err(while_doing())?;
    storage.sync_folder().map_err(while_doing())?;
    let kept_as = rename_aside(storage, &name)?;
    storage.rename(&salvaged, &name).map_err(while_doing())?;
    storage.sync_folder().map_err(while_doing())?;
    tracing::warn!(segment = %name, %kept_as, saved_frames, "set a damaged journal segment aside");
    Ok(SetAside { damage, kept_as, saved_frames })
}

/// The damaged segment's header, or, if the header itself is damaged, one that fits its neighbours.
fn header_or_guess(
    storage: &dyn Storage,
    file: &dyn StoredFile,
    names: &[u64],
    at: Option<usize>,
    first: u64,
    keys: &Keys,
) -> SegmentHeader {
    if let Ok(Ok(header)) = scan::read_header(file)
        && header.first == first
    {
        return header;
    }
    // The first frame begins with the mark, unless that is damaged too: then no frame will be found.
    let mut mark = [0; 4];
    let read = read_up_to(file, &mut mark, SEGMENT_HEADER_BYTES as u64);
    let mark = if matches!(read, Ok(4)) { u32::from_le_bytes(mark) } else { new_mark() };
    let (previous, records_before) = at
        .and_then(|at| at.checked_sub(1))
        .and_then(|before| end_of(storage, names[before], keys))
        .unwrap_or((first.saturating_sub(1), 0));
    SegmentHeader { flags: SEGMENT_GAPS, mark, first, previous, records_before, created_ns: now_ns(), seal: None }
}

/// The last frame of a segment and the number of records up to it.
fn end_of(storage: &dyn Storage, first: u64, keys: &Keys) -> Option<(u64, u64)> {
    let file = storage.open(&segment_name(first)).ok()?;
    let header = scan::read_header(&*file).ok()?.ok()?;
    let mut scan = Scan::new(&*file, &header, keys).ok()?;
    let (mut last, mut records) = (header.previous, header.records_before);
    while let Step::Frame(found) = scan.step() {
        last = found.header.sequence;
        records += u64::from(found.header.records);
    }
    Some((last, records))
}

/// A segment that is being written anew.
struct Copy {
    file: Arc<dyn StoredFile>,
    mark: u32,
    sealer: Option<Sealer>,
}

impl Copy {
    fn begin(storage: &dyn Storage, name: &str, original: &SegmentHeader, keys: &Keys) -> io::Result<Copy> {
        let header = original.for_copy(keys)?;
        let sealer = header.sealer(keys).map_err(io::Error::other)?;
        let file = storage.create(name)?;
        file.append(&mut [IoSlice::new(&header.encode())])?;
        Ok(Copy { file, mark: header.mark, sealer })
    }

    /// Appends a frame, with its payload as it was before it was encrypted.
    fn push(&mut self, header: FrameHeader, opened: &[u8]) -> io::Result<()> {
        let header = FrameHeader { mark: self.mark, ..header };
        let mut stored = opened.to_vec();
        let header = header.seal(&mut stored, 0, self.sealer.as_mut());
        self.file.append(&mut [IoSlice::new(&header.encode()), IoSlice::new(&stored)])
    }
}

fn copy_whole_frames(file: &dyn StoredFile, copy: &mut Copy, header: &SegmentHeader, keys: &Keys) -> io::Result<u64> {
    let mut scan = Scan::new(file, header, keys)?.with_gaps();
    let mut saved = 0;
    while let Some(found) = scan.next_whole() {
        copy.push(found.header, &scan.opened(&found)?)?;
        saved += 1;
    }
    Ok(saved)
}
