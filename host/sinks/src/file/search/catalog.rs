//! The files of a sink, each with a number that it keeps.
//!
//! The lines don't contain the place of their records in the journal, so an id is the place in the files: the number of
//! the file and the offset of the line. The number is made of the first line, its time and a hash, so it stays the same
//! when the file is rotated, compressed or copied, and files are in the order of their first records. If two files begin
//! with the same line, the later one in the order of names takes the next number.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use weir_query::EntryId;
use weir_record::Record;

use super::blocks::{Blocks, Source};
use super::line::Parser;
use super::saved::Saved;
use crate::disk::DiskError;
use crate::file::Rewrites;
use crate::file::file_list::{FileEntry, FileList};
use crate::file::path::{PathTemplate, may_be_cut, neighbour_path};
use crate::file::rotate::{COMPRESSED, with_ending};
use crate::limits;

/// Bits of a number, from the lowest: the size of the offset beyond an id's index, the hash, and the time in
/// milliseconds.
const OFFSET_BITS: u32 = 7;
const HASH_BITS: u32 = 15;
const TIME_BITS: u32 = 41;

/// A file with at least one line.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Its number, in the upper bits of its ids' sequences.
    pub number: u64,
    pub path: PathBuf,
    pub is_compressed: bool,
    /// The range of times that its path allows: from the first, up to but not including the second.
    pub range: Option<(i64, i64)>,
    /// Another file begins with the same line, so nothing is remembered of it: the other may take its number.
    pub is_ambiguous: bool,
    inode: (u64, u64),
    /// What is known of it holds unless files were rewritten since.
    pub changes: u64,
}

impl LogFile {
    /// Whether another file, or none, has its name now.
    fn has_moved(&self) -> bool {
        fs::metadata(&self.path).map_or(true, |found| (found.dev(), found.ino()) != self.inode)
    }
}

/// What the first line says.
#[derive(Clone, Debug)]
struct First {
    number: u64,
    range: Option<(i64, i64)>,
}

/// Identifies a file even if another one later gets its inode.
type Identity = (u64, u64, SystemTime, PathBuf);

/// The files of a sink.
pub struct Catalog {
    sink: String,
    list: FileList,
    template: PathTemplate,
    saved: Saved,
    rewrites: Rewrites,
    known: Mutex<Known>,
    #[cfg(test)]
    pub blocks_read: std::sync::atomic::AtomicUsize,
}

#[derive(Default)]
struct Known {
    changes: u64,
    firsts: HashMap<Identity, First>,
    /// By the number of a file.
    blocks: HashMap<u64, Arc<Blocks>>,
}

impl Catalog {
    /// Opens nothing.
    pub fn new(sink: &str, list: FileList, template: PathTemplate, saved: Saved, rewrites: Rewrites) -> Catalog {
        Catalog {
            sink: sink.into(),
            list,
            template,
            saved,
            rewrites,
            known: Mutex::default(),
            #[cfg(test)]
            blocks_read: Default::default(),
        }
    }

    /// The summaries of the files.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// When files were rewritten.
    pub fn rewrites(&self) -> &Rewrites {
        &self.rewrites
    }

    /// What is known, and nothing of it if files were rewritten.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.rewrites.changes();
        if known.changes != changes {
            *known = Known { changes, ..Known::default() };
        }
        known
    }

    /// True once the sink has started.
    pub fn exists(&self) -> bool {
        self.list.exists()
    }

    /// What is known of the blocks of an open file.
    pub fn blocks(&self, file: &LogFile, source: &Source) -> io::Result<Arc<Blocks>> {
        if file.is_ambiguous {
            return Ok(Arc::default());
        }
        let is_same = |known: &MutexGuard<'_, Known>| known.changes == file.changes;
        let known = Some(self.known()).filter(is_same).and_then(|known| known.blocks.get(&file.number).cloned());
        match known {
            Some(known) => Ok(known),
            None => self.reload(file, source),
        }
    }

    /// Remembers what the summaries say of a file's blocks.
    pub fn reload(&self, file: &LogFile, source: &Source) -> io::Result<Arc<Blocks>> {
        let blocks = Arc::new(self.saved.blocks(file.number, source)?);
        self.remember(file, blocks.clone());
        Ok(blocks)
    }

    /// How many blocks of a file are known.
    #[cfg(test)]
    pub fn known_blocks(&self, file: &LogFile) -> usize {
        self.known().blocks.get(&file.number).map_or(0, |blocks| blocks.all.len())
    }

    /// Remembers a file's blocks.
    pub fn remember(&self, file: &LogFile, blocks: Arc<Blocks>) {
        if !file.is_ambiguous {
            let mut known = self.known();
            self.rewrites.unless_since(file.changes, || known.blocks.insert(file.number, blocks));
        }
    }

    /// The files that are there now, in the order of their numbers.
    pub fn files(&self, parser: &mut Parser) -> Result<Vec<LogFile>, DiskError> {
        let changes = self.rewrites.changes();
        let mut firsts = HashMap::new();
        let mut files = Vec::new();
        // A file is listed under its new name before it is rotated. So a rotation in between is found twice, or once,
        // but never missed.
        for is_rotated in [false, true] {
            for entry in self.list.entries()?.iter().filter(|entry| entry.live.is_some() == is_rotated) {
                files.extend(self.file(entry, changes, &mut firsts, parser)?);
            }
        }
        files.sort_by(|one, other| (one.number, &one.path).cmp(&(other.number, &other.path)));
        files.dedup_by(|next, file| next.number == file.number && (next.inode == file.inode || next.has_moved()));
        for at in 1..files.len() {
            let next = files[at - 1].number + (1 << OFFSET_BITS);
            if files[at].number < next {
                files[at].number = next;
                files[at - 1].is_ambiguous = true;
                files[at].is_ambiguous = true;
            }
        }
        let mut known = self.known();
        if known.changes == changes {
            known.firsts = firsts;
        }
        known.blocks.retain(|number, _| {
            let file = files.binary_search_by_key(number, |file| file.number);
            file.is_ok_and(|file| !files[file].is_ambiguous)
        });
        Ok(files)
    }

    fn file(
        &self,
        entry: &FileEntry,
        changes: u64,
        firsts: &mut HashMap<Identity, First>,
        parser: &mut Parser,
    ) -> Result<Option<LogFile>, DiskError> {
        let live = entry.live.as_deref().unwrap_or(&entry.path);
        let names = [Some((entry.path.clone(), false)), entry.live.as_ref().map(|_| (compressed(&entry.path), true))];
        for (path, is_compressed) in names.into_iter().flatten() {
            let failed = |error| DiskError::new("read", &path, error);
            let Some(found) = present(fs::metadata(&path)).map_err(failed)?.filter(Metadata::is_file) else { continue };
            let inode = (found.dev(), found.ino());
            let identity = found.created().ok().map(|created| (inode.0, inode.1, created, path.clone()));
            let remembered = identity.as_ref().and_then(|identity| self.known().firsts.get(identity).cloned());
            let first = match remembered {
                Some(first) => Some(first),
                None => {
                    let Some(file) = present(File::open(&path)).map_err(failed)? else { continue };
                    self.first(live, &Source { file, is_compressed }, parser).map_err(failed)?
                }
            };
            // Nothing was written yet.
            let Some(first) = first else { continue };
            if let Some(identity) = identity {
                firsts.insert(identity, first.clone());
            }
            let First { number, range } = first;
            return Ok(Some(LogFile { number, path, is_compressed, range, is_ambiguous: false, inode, changes }));
        }
        Ok(None)
    }

    /// What the first line says. `None` if it is not whole yet.
    fn first(&self, live: &Path, source: &Source, parser: &mut Parser) -> io::Result<Option<First>> {
        let mut line = Vec::new();
        let mut reader = BufReader::new(source.reader(0)?).take(limits::FILE_LINE_BYTES as u64);
        match reader.read_until(b'\n', &mut line) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        };
        if line.pop_if(|last| *last == b'\n').is_none() && line.len() < limits::FILE_LINE_BYTES {
            return Ok(None);
        }
        let hash = hash(&line) >> (64 - HASH_BITS);
        let record = parser.record(&line).map(Record::new);
        let ms = record.map_or(0, |record| record.timestamp().max(0) / 1_000_000).unsigned_abs();
        let time = ms.min((1 << TIME_BITS) - 1);
        let number = (time << (HASH_BITS + OFFSET_BITS)) | (hash << OFFSET_BITS);
        let dated = record.filter(|_| !may_be_cut(live));
        let range = dated.and_then(|record| self.template.range(record, |path| self.is_written_to(path, live)));
        Ok(Some(First { number, range }))
    }

    /// Whether lines for a path are written to this file.
    fn is_written_to(&self, path: &Path, live: &Path) -> bool {
        path == live || neighbour_path(path, &self.sink) == live
    }

    /// Opens a file. If another has its name meanwhile, looks for it once more. `None` if it was removed.
    pub fn open(&self, wanted: &LogFile, parser: &mut Parser) -> Result<Option<Source>, DiskError> {
        let open = |wanted: &LogFile| -> Result<Option<Source>, DiskError> {
            let failed = |error| DiskError::new("read", &wanted.path, error);
            let Some(file) = present(File::open(&wanted.path)).map_err(failed)? else { return Ok(None) };
            let found = file.metadata().map_err(failed)?;
            let is_same = (found.dev(), found.ino()) == wanted.inode;
            Ok(is_same.then_some(Source { file, is_compressed: wanted.is_compressed }))
        };
        if let Some(source) = open(wanted)? {
            return Ok(Some(source));
        }
        match self.files(parser)?.into_iter().find(|file| file.number == wanted.number) {
            Some(moved) => open(&moved),
            None => Ok(None),
        }
    }
}

/// The id of a line.
pub fn id_of(file: u64, offset: u64) -> EntryId {
    EntryId { sequence: file | (offset >> 32), index: offset as u32 }
}

/// The number of the file in an id, and the offset in it.
pub fn place_of(id: EntryId) -> (u64, u64) {
    let high = id.sequence & ((1 << OFFSET_BITS) - 1);
    (id.sequence - high, (high << 32) | u64::from(id.index))
}

/// FNV-1a, which always stays the same.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn compressed(path: &Path) -> PathBuf {
    with_ending(path, COMPRESSED)
}

/// Something that may be gone.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_line() {
        let file = ((1_795_514_400_000_u64 << HASH_BITS) | 0x7fff) << OFFSET_BITS;
        for offset in [0, 1, u64::from(u32::MAX), 1 << 32, (1 << 39) - 1] {
            assert_eq!(place_of(id_of(file, offset)), (file, offset));
        }
        assert!(id_of(file, 1 << 32) > id_of(file, u64::from(u32::MAX)));
    }
}
