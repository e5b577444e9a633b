//! Recognises a known file in one that has another inode: a copy, a compressed one, or the same on a file system whose
//! inodes change.
//!
//! What is the same is decided by what was read (`seen`). A file of which less than [`HEAD_BYTES`] were read is recognised
//! only by an additional reason, since short files are often alike: the copy has a name that rotation makes of the
//! original's (`app.log.1` of `app.log`), or the inode is the same.
//!
//! While the original is there, a copy is not read. When the original is gone or has been truncated, the copy takes its
//! place: what was not read of the original is read from it. If more was read of the original than the copy has, all of
//! the copy was read.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::content::{Compression, head, open_inode};
use super::files::Files;
use super::options::Start;
use super::order::log_of;
use super::scan::Found;
use super::seen::{HEAD_BYTES, Seen, hash, read_at, short};
use super::stored::Key;
use super::tracked::{Presence, Tracked};

/// What an unknown file is compared by.
struct Unknown<'f> {
    found: &'f Found,
    /// The log of which it is a generation, by its name.
    log: PathBuf,
    head: Vec<u8>,
    /// `None`: it is compressed.
    file: Option<File>,
}

impl Files {
    /// Decides what an unknown file is.
    pub(super) fn identify(&mut self, found: &Found, now: Instant) {
        if found.look.size == 0 {
            // There is nothing to recognise it by.
            return;
        }
        if self.is_known_copy(found) {
            return;
        }
        let compression = Compression::of(&found.path);
        if compression.is_some() && !self.is_skipped(found) && !self.is_settled(found) {
            // It is being written, perhaps.
            return;
        }
        let unknown = match Unknown::open(found, compression) {
            Ok(unknown) => unknown,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.complaints.add(&found.path, &error);
                }
                return;
            }
        };
        self.complaints.withdraw(&found.path);
        self.copies.remove(&found.inode);
        let same = self.tracked.iter().filter(|(_, known)| unknown.is_copy_of(known));
        // A copy with all that was read comes before one that lacks the end of it.
        let mut same: Vec<(bool, u64, Key)> =
            same.map(|(key, known)| (!unknown.lacks_end_of(known), known.mark.offset, *key)).collect();
        same.sort_unstable();
        match same.pop() {
            None => self.begin(&unknown, now),
            Some((_, _, key)) => self.recognise(key, same.is_empty(), &unknown, now),
        }
        self.unsettled.remove(&found.inode);
    }

    /// Whether there is nothing in a copy that is not read from its original. As long as the original was not read so far,
    /// it may be truncated before.
    fn is_known_copy(&self, found: &Found) -> bool {
        let Some((original, look)) = self.copies.get(&found.inode) else {
            return false;
        };
        let least = if Compression::of(&found.path).is_some() { 1 } else { found.look.size };
        let is_read = |original: &Tracked| !original.is_gone() && original.mark.offset >= least;
        *look == found.look && self.tracked.get(original).is_some_and(is_read)
    }

    /// A file that is new.
    fn begin(&mut self, unknown: &Unknown<'_>, now: Instant) {
        let found = unknown.found;
        let mut new = Tracked::new(found.path.clone(), found.inode, found.look, now);
        new.found_in = self.scans;
        if self.is_skipped(found) {
            match &unknown.file {
                None => new.whole_size = found.look.size,
                Some(file) => match Seen::of(file, found.look.size) {
                    Ok(Some(seen)) => {
                        new.read = Some(found.look);
                        new.mark = seen.mark();
                        new.seen = Some(seen);
                    }
                    // It was truncated just now.
                    Ok(None) => {}
                    Err(error) => self.complaints.add(&found.path, &error),
                },
            }
        }
        self.add(found.inode, new);
    }

    /// Whether a compressed file looks as in the last scan: it is complete.
    fn is_settled(&mut self, found: &Found) -> bool {
        let last = self.unsettled.insert(found.inode, (found.look, log_of(&found.path)));
        last.is_some_and(|(look, _)| look == found.look)
    }

    /// Whether a file was there before the source, and its lines are not wanted.
    fn is_skipped(&self, found: &Found) -> bool {
        self.scans == 1
            && self.settings.start == Start::End
            && self.last_globs.as_ref().is_none_or(|last| !last.matches(&found.path))
    }

    /// A file that is, or has the content of, one that is known. `is_only`: it may be no other.
    fn recognise(&mut self, key: Key, is_only: bool, unknown: &Unknown<'_>, now: Instant) {
        let found = unknown.found;
        let Some(known) = self.tracked.get_mut(&key) else { return };
        let is_moved = match known.presence {
            Presence::Gone(_) => true,
            // The inodes of this file system change.
            Presence::Leaving(_) => unknown.file.is_some() && known.path() == found.path,
            Presence::Here => false,
        };
        if !is_moved {
            if let Some(seen) = unknown.has_outgrown(known) {
                // They have the beginning in common, which was read once.
                let mut fork = Tracked::new(found.path.clone(), found.inode, found.look, now);
                fork.found_in = self.scans;
                fork.mark = seen.mark();
                fork.seen = Some(seen);
                self.add(found.inode, fork);
                return;
            }
            self.copies.insert(found.inode, (key, found.look));
            return;
        }
        // The inode may be that of another file by now.
        if self.by_inode.get(&known.inode) == Some(&key) {
            self.by_inode.remove(&known.inode);
        }
        let offset = if unknown.lacks_end_of(known) { found.look.size } else { known.mark.offset };
        let seen = unknown.file.as_ref().and_then(|file| Seen::of(file, offset).ok().flatten());
        let may_lack_end = is_only && unknown.file.is_none() && unknown.may_lack_end_of(known);
        let old = std::mem::replace(known, Tracked::new(found.path.clone(), found.inode, found.look, now));
        known.mark = seen.as_ref().map_or(old.mark, Seen::mark);
        known.piece = if known.mark.offset == old.mark.offset { old.piece } else { 0 };
        known.seen = seen;
        known.may_lack_end = may_lack_end;
        known.found_in = self.scans;
        self.by_inode.insert(found.inode, key);
        self.changed.insert(key);
    }
}

impl<'f> Unknown<'f> {
    fn open(found: &'f Found, compression: Option<Compression>) -> io::Result<Unknown<'f>> {
        let file = open_inode(&found.path, found.inode)?;
        let (head, file) = match compression {
            Some(compression) => (head(file, compression, HEAD_BYTES)?, None),
            None => (read_at(&file, 0, HEAD_BYTES)?, Some(file)),
        };
        Ok(Unknown { found, log: log_of(&found.path), head, file })
    }

    /// Whether this has the content of a known file, as far as that was read; or is becoming a copy of it.
    fn is_copy_of(&self, known: &Tracked) -> bool {
        let offset = known.mark.offset;
        let is_related = self.is_named_as_copy_of(known) || self.found.inode == known.inode;
        if !is_related && offset < HEAD_BYTES as u64 {
            return false;
        }
        let length = short(offset, HEAD_BYTES);
        if offset > 0 && self.head.len() >= length && hash(&self.head[..length]) == known.mark.head {
            return match &self.file {
                // The rest is compared when it is decompressed.
                None => known.unlike != Some(self.found.inode),
                Some(file) if self.found.look.size >= offset => {
                    Seen::of(file, offset).is_ok_and(|seen| seen.is_some_and(|seen| seen.mark() == known.mark))
                }
                Some(_) => self.lacks_end_of(known) || self.begins_like(known).unwrap_or(false),
            };
        }
        is_related && self.begins_like(known).unwrap_or(false)
    }

    /// Whether this has less than was read of a known file that is gone, but is its copy nevertheless.
    fn lacks_end_of(&self, known: &Tracked) -> bool {
        self.file.is_some() && self.found.look.size < known.mark.offset && self.may_lack_end_of(known)
    }

    /// Whether rotation may have copied a known file that is gone before its last lines were written. Then only the
    /// first bytes can be compared. So the name has to be that of a copy, and a file that was written later than the
    /// known one is none: of two logs with the same beginning, the newer one must not be taken for read.
    fn may_lack_end_of(&self, known: &Tracked) -> bool {
        known.is_gone()
            && known.compression.is_none()
            && self.found.inode != known.inode
            && self.found.look.modified_ns <= known.look.modified_ns
            && self.is_named_as_copy_of(known)
    }

    /// Whether the name is one that rotation makes of a known file's: it adds to that.
    fn is_named_as_copy_of(&self, known: &Tracked) -> bool {
        let (path, original) = (self.found.path.as_os_str(), known.path().as_os_str());
        // Bytes are compared sooner than components, and this is done for every pair of files.
        path.len() > original.len() && self.log.as_os_str() == known.log().as_os_str()
    }

    /// Whether a known file that is there begins with this one.
    fn begins_like(&self, known: &Tracked) -> io::Result<bool> {
        if known.is_gone() || known.compression.is_some() || self.head.is_empty() {
            return Ok(false);
        }
        let opened;
        let original = match &known.file {
            Some(file) => file,
            None => {
                opened = open_inode(known.path(), known.inode)?;
                &opened
            }
        };
        if read_at(original, 0, self.head.len())? != self.head {
            return Ok(false);
        }
        let Some(file) = &self.file else {
            return Ok(true);
        };
        let seen = Seen::of(file, self.found.look.size)?;
        let of_original = Seen::of(original, self.found.look.size)?;
        Ok(seen.is_some_and(|seen| of_original.is_some_and(|other| other.mark() == seen.mark())))
    }

    /// What was read of a known file, if this has more than the known one: then it is no copy, but goes on differently.
    fn has_outgrown(&self, known: &Tracked) -> Option<Seen> {
        let file = self.file.as_ref()?;
        let size = fs::metadata(known.path()).ok()?.len();
        // A smaller one was truncated just now.
        (size >= known.mark.offset && self.found.look.size > size && known.compression.is_none())
            .then(|| Seen::of(file, known.mark.offset).ok().flatten())?
    }
}
