//! Groups a delivery's lines by file in reused buffers, and hands them to the store in passes.
//!
//! `mod.rs` calls it for each record of a delivery. A pass ends at [`limits::FILE_PASS_BYTES`], so memory does not grow
//! with the delivery. A path is rendered once and then looked up by its key; a fixed path is not even looked up.
//!
//! The store decides whether this sink may write a file. If a value of a record names a file of another sink, the lines
//! go to a file beside it (`audit.all.jsonl` instead of `audit.jsonl` for the sink `all`). Beyond `max_new_files` they
//! go to one file with `_overflow` in place of each value.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use weir_record::Record;

use super::path::{PathTemplate, neighbour_path};
use super::store::{Admission, Chunk, Store};
use crate::disk::DiskError;
use crate::limits;

/// Replaces all values once there would be too many files.
pub const OVERFLOW: &str = "_overflow";

/// Why a line has no file.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It belongs to another sink.
    #[error("`{path}` is written by {whose}; give one of them another `path`")]
    OwnedByOther { path: String, whose: String },
}

impl PathError {
    /// True if this path can never be written, whatever is done to the disk.
    pub fn is_about_the_path(&self) -> bool {
        match self {
            PathError::Disk(error) => error.is_about_the_path(),
            PathError::OwnedByOther { .. } => true,
        }
    }
}

/// The files that lines go to, with their pending lines.
pub struct LineCollector {
    is_fixed: bool,
    path: PathTemplate,
    rotate_bytes: Option<u64>,
    slots: Vec<Slot>,
    by_path: HashMap<PathBuf, usize>,
    /// Slots by path key.
    by_key: HashMap<Vec<u8>, usize>,
    /// The key of the last line, and its slot.
    last: Option<(Vec<u8>, usize)>,
    key: Vec<u8>,
    /// Slots with lines, in the order of their first lines.
    active: Vec<usize>,
    /// Slots whose lines go to another slot.
    diverted: Vec<usize>,
    waiting_bytes: usize,
}

struct Slot {
    chunk: Chunk,
    /// The length that the file will have.
    length: u64,
    active: bool,
    /// The slot that takes its lines in this pass.
    instead: Option<usize>,
}

impl LineCollector {
    /// Collects lines for the files of a template. Each file is rotated before it grows beyond `rotate_bytes`.
    pub fn new(path: PathTemplate, rotate_bytes: Option<u64>) -> LineCollector {
        LineCollector {
            is_fixed: path.is_fixed(),
            path,
            rotate_bytes,
            slots: Vec::new(),
            by_path: HashMap::new(),
            by_key: HashMap::new(),
            last: None,
            key: Vec::new(),
            active: Vec::new(),
            diverted: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// The template.
    pub fn path(&self) -> &PathTemplate {
        &self.path
    }

    /// True if enough lines are pending to write them.
    pub fn is_full(&self) -> bool {
        self.waiting_bytes >= limits::FILE_PASS_BYTES
    }

    /// Adds a record's line, which `write` appends. An error concerns the record's path; nothing was added then.
    pub fn push(
        &mut self,
        record: Record<'_>,
        store: &mut Store,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), PathError> {
        let at = self.slot(record);
        let at = self.admitted(at, record, store)?;
        let slot = &mut self.slots[at];
        let before = slot.chunk.bytes.len();
        write(&mut slot.chunk.bytes);
        let added = slot.chunk.bytes.len() - before;
        // A line longer than the limit gets its own file.
        if slot.length > 0 && self.rotate_bytes.is_some_and(|bound| slot.length + added as u64 > bound) {
            slot.chunk.cuts.push(before);
            slot.length = 0;
        }
        slot.length += added as u64;
        self.waiting_bytes += added;
        Ok(())
    }

    /// The pending lines, by file.
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> + Clone {
        self.active.iter().map(|at| &self.slots[*at].chunk)
    }

    /// Clears the lines and keeps the buffers, in total at most a few passes large.
    pub fn clear(&mut self) {
        let share = 2 * limits::FILE_PASS_BYTES / self.slots.len().max(1);
        for at in self.active.drain(..) {
            let slot = &mut self.slots[at];
            slot.active = false;
            slot.chunk.cuts.clear();
            slot.chunk.bytes.clear();
            slot.chunk.bytes.shrink_to(share);
        }
        self.waiting_bytes = 0;
        for at in self.diverted.drain(..) {
            self.slots[at].instead = None;
        }
        if self.by_key.len() >= limits::REMEMBERED_PATHS {
            self.slots.clear();
            self.by_path.clear();
            self.by_key.clear();
            self.last = None;
        }
    }

    fn slot(&mut self, record: Record<'_>) -> usize {
        match &self.last {
            // A fixed path depends on nothing, so the record is not read.
            Some((_, at)) if self.is_fixed => return *at,
            _ => {}
        }
        self.key.clear();
        self.path.push_key(record, &mut self.key);
        if let Some((key, at)) = &self.last
            && *key == self.key
        {
            return *at;
        }
        let at = match self.by_key.get(&self.key) {
            Some(at) => *at,
            None => self.make_slot(&self.path.render(record)),
        };
        let (key, last) = self.last.get_or_insert_default();
        key.clone_from(&self.key);
        *last = at;
        at
    }

    fn make_slot(&mut self, path: &Path) -> usize {
        let at = self.slot_of(path, self.path.depends_on_records());
        self.by_key.insert(self.key.clone(), at);
        at
    }

    fn slot_of(&mut self, path: &Path, by_value: bool) -> usize {
        let at = *self.by_path.entry(path.to_path_buf()).or_insert(self.slots.len());
        if at == self.slots.len() {
            let chunk = Chunk { path: path.to_path_buf(), by_value, ..Chunk::default() };
            self.slots.push(Slot { chunk, length: 0, active: false, instead: None });
        }
        at
    }

    /// The slot that takes the lines of this one in this pass: itself, if the store grants the file.
    fn admitted(&mut self, mut at: usize, record: Record<'_>, store: &mut Store) -> Result<usize, PathError> {
        // The longest chain: neighbour, overflow file, and the neighbour of that.
        for _ in 0..4 {
            let slot = &mut self.slots[at];
            if slot.active {
                return Ok(at);
            }
            if let Some(instead) = slot.instead {
                at = instead;
                continue;
            }
            let path = slot.chunk.path.clone();
            let (other, by_value) = match store.admit(&path, slot.chunk.by_value)? {
                Admission::Granted(length) => {
                    (slot.length, slot.active) = (length, true);
                    self.active.push(at);
                    return Ok(at);
                }
                Admission::OwnedByOther(whose)
                    if !self.path.depends_on_records() || is_neighbour_path(&path, store.sink()) =>
                {
                    return Err(PathError::OwnedByOther { path: path.display().to_string(), whose });
                }
                Admission::OwnedByOther(_) => (neighbour_path(&path, store.sink()), slot.chunk.by_value),
                Admission::TooMany => (self.path.render_with(OVERFLOW, record.timestamp()), false),
            };
            let instead = self.slot_of(&other, by_value);
            self.slots[at].instead = Some(instead);
            self.diverted.push(at);
            at = instead;
        }
        let path = self.slots[at].chunk.path.display().to_string();
        Err(PathError::OwnedByOther { path, whose: "another sink".into() })
    }
}

/// True for a path that [`neighbour_path`] made.
fn is_neighbour_path(path: &Path, sink: &str) -> bool {
    let ends = |text: &str| text.strip_suffix(sink).is_some_and(|rest| rest.ends_with('.'));
    [path.file_stem(), path.file_name()].into_iter().flatten().any(|name| ends(&name.to_string_lossy()))
}
