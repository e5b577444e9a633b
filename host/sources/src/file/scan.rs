//! Looks for the files of a source, and for what became of those that it knows.
//!
//! A file is known by its inode. What has none that is known may be a known one all the same (`identify`). What is not
//! found any more was renamed or deleted: it is read to its end if it is open or still in the same folder.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::content::{Compression, head, open, open_inode};
use super::files::{Files, unix_s};
use super::order::log_of;
use super::seen::{HEAD_BYTES, Seen, hash, short};
use super::stored::{Inode, Key};
use super::tracked::{Look, Presence, Tracked};
use crate::limits;

/// In place of the path of files beyond a limit.
const MANY: &str = "…";

/// The files of a log.
#[derive(Default)]
struct Generations {
    begun: Vec<Inode>,
    /// Nothing was read of them yet. With what orders them.
    waiting: Vec<(i128, Reverse<PathBuf>, Inode)>,
}

/// A file that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub path: PathBuf,
    pub inode: Inode,
    pub look: Look,
}

impl Files {
    /// Looks for files.
    pub(super) fn scan(&mut self, now: Instant) {
        self.scans += 1;
        let found = self.find();
        self.meet_known(&found, now);
        self.miss(now);
        let unknown: Vec<Found> =
            found.values().filter(|found| !self.by_inode.contains_key(&found.inode)).cloned().collect();
        self.copies.retain(|inode, _| found.contains_key(inode));
        self.unsettled.retain(|inode, _| found.contains_key(inode));
        for found in &unknown {
            self.identify(found, now);
        }
        self.put_in_order(&unknown);
        self.forget_old();
    }

    /// The files that are there, each once.
    fn find(&mut self) -> BTreeMap<Inode, Found> {
        let walk = self.settings.globs.walk();
        for (folder, error) in &walk.errors {
            self.complaints.add(folder, error);
        }
        if walk.is_cut {
            self.complaints.add(
                Path::new(MANY),
                &format!(
                    "there are more than {} files, or folders deeper than {}",
                    limits::FILES,
                    limits::FOLDER_DEPTH
                ),
            );
        }
        let mut found: BTreeMap<Inode, Found> = BTreeMap::new();
        for path in walk.paths {
            let metadata = match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(_) => continue,
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        self.complaints.add(&path, &error);
                    }
                    continue;
                }
            };
            let inode = Inode::of(&metadata);
            // Of several names, it keeps the one that it has.
            let known = self.by_inode.get(&inode).and_then(|key| self.tracked.get(key));
            if !found.contains_key(&inode) || known.is_some_and(|known| known.path() == path) {
                found.insert(inode, Found { path, inode, look: Look::of(&metadata) });
            }
        }
        found
    }

    /// Notes the path and the size of known files. Those of an earlier run are compared with what was read.
    fn meet_known(&mut self, found: &BTreeMap<Inode, Found>, now: Instant) {
        let mut replaced = Vec::new();
        for (inode, found) in found {
            let Some((key, tracked)) =
                self.by_inode.get(inode).and_then(|key| Some((*key, self.tracked.get_mut(key)?)))
            else {
                continue;
            };
            tracked.found_in = self.scans;
            tracked.is_failing = false;
            tracked.presence = Presence::Here;
            match is_same(tracked, found) {
                Ok(true) => {
                    tracked.looks(found.look, now);
                    if tracked.path() != found.path {
                        tracked.renamed(found.path.clone());
                        self.changed.insert(key);
                    }
                }
                Ok(false) => replaced.push(key),
                Err(error) => {
                    tracked.is_failing = true;
                    self.complaints.add(&found.path, &error);
                }
            }
        }
        // What is there now is unknown.
        for key in replaced {
            self.is_gone(key);
        }
    }

    /// Files that are here no more.
    fn miss(&mut self, now: Instant) {
        let is_missed = |tracked: &Tracked| tracked.presence == Presence::Here && tracked.found_in != self.scans;
        let missed: Vec<Key> =
            self.tracked.iter().filter(|(_, tracked)| is_missed(tracked)).map(|(key, _)| *key).collect();
        for key in missed {
            let is_streamed = self.reader.streams(key);
            let Some(tracked) = self.tracked.get_mut(&key) else { continue };
            if tracked.file.is_none() && !is_streamed && !find_renamed(tracked) {
                self.is_gone(key);
                continue;
            }
            tracked.presence = Presence::Leaving(now);
        }
    }

    /// Notes what is to be read before files of which nothing was read yet: what was begun of the same log, and older
    /// generations. Of those that were written last at the same time, `a.log.1` is older than `a.log`.
    fn put_in_order(&mut self, unknown: &[Found]) {
        let mut logs: HashMap<PathBuf, Generations> = HashMap::new();
        for tracked in self.tracked.values_mut().filter(|tracked| !tracked.is_gone()) {
            tracked.is_new = false;
            tracked.after = None;
            let log = logs.entry(tracked.log().to_owned()).or_default();
            match tracked.mark.offset {
                0 => log.waiting.push((tracked.look.modified_ns, Reverse(tracked.path().to_owned()), tracked.inode)),
                _ => log.begun.push(tracked.inode),
            }
        }
        for found in unknown.iter().filter(|found| !self.by_inode.contains_key(&found.inode)) {
            let log = logs.entry(log_of(&found.path)).or_default();
            log.waiting.push((found.look.modified_ns, Reverse(found.path.clone()), found.inode));
        }
        for Generations { begun, mut waiting } in logs.into_values() {
            waiting.sort_unstable();
            let count = begun.len();
            // All share one list: there may be many thousand.
            let order: Arc<[Inode]> = begun.into_iter().chain(waiting.into_iter().map(|(_, _, inode)| inode)).collect();
            for (at, inode) in order.iter().enumerate().skip(count) {
                if let Some(tracked) = self.by_inode.get(inode).and_then(|key| self.tracked.get_mut(key)) {
                    tracked.after = Some((order.clone(), at));
                }
            }
        }
    }

    /// Forgets files that are gone for long, and the oldest if there are too many.
    fn forget_old(&mut self) {
        let since = |tracked: &Tracked| match tracked.presence {
            Presence::Gone(since) => Some(since),
            _ => None,
        };
        let mut gone: Vec<(u64, Key)> =
            self.tracked.iter().filter_map(|(key, tracked)| Some((since(tracked)?, *key))).collect();
        let oldest = unix_s().saturating_sub(limits::GONE.as_secs());
        let excess = gone.len().saturating_sub(limits::GONE_FILES);
        gone.sort_unstable();
        for (at, (since, key)) in gone.into_iter().enumerate() {
            if at < excess || since < oldest {
                self.forget(key);
            }
        }
        self.complaints.keep(|path| path.symlink_metadata().is_ok() || path == Path::new(MANY));
    }
}

/// Whether a file with a known inode is the known file: inodes are used again. What was read of it is compared if that may
/// be, and before the first read of a run.
fn is_same(tracked: &mut Tracked, found: &Found) -> io::Result<bool> {
    let is_unchanged = tracked.path() == found.path && tracked.look == found.look;
    if let (Some(file), Some(seen)) = (&tracked.file, &tracked.seen) {
        return Ok(is_unchanged || seen.is_in(file)?);
    }
    if tracked.compression != Compression::of(&found.path) {
        return Ok(false);
    }
    let offset = tracked.mark.offset;
    if let Some(compression) = tracked.compression {
        if is_unchanged || offset == 0 {
            return Ok(true);
        }
        let length = short(offset, HEAD_BYTES);
        let head = head(open_inode(&found.path, found.inode)?, compression, length)?;
        return Ok(head.len() == length && hash(&head) == tracked.mark.head);
    }
    if found.look.size < offset {
        return Ok(false);
    }
    if is_unchanged && tracked.seen.is_some() {
        return Ok(true);
    }
    let seen = Seen::of(&open_inode(&found.path, found.inode)?, offset)?.filter(|seen| seen.mark() == tracked.mark);
    let is_same = seen.is_some();
    if tracked.seen.is_none() && offset == found.look.size {
        // Nothing new: it need not be opened.
        tracked.read = Some(found.look);
    }
    tracked.seen = seen;
    Ok(is_same)
}

/// Looks for a file under another name in its folder, and opens it: it was renamed while it was not open, or Weir not
/// running. Returns whether it is open.
fn find_renamed(tracked: &mut Tracked) -> bool {
    if tracked.compression.is_some() {
        return false;
    }
    let Some(Ok(entries)) = tracked.path().parent().map(fs::read_dir) else {
        return false;
    };
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.ino() == tracked.inode.number) {
        let Ok(file) = open(&entry.path()) else { continue };
        if !file.metadata().is_ok_and(|metadata| Inode::of(&metadata) == tracked.inode) {
            continue;
        }
        let seen = Seen::of(&file, tracked.mark.offset);
        // If nothing of it was read, the name has to do.
        if let Ok(Some(seen)) = seen
            && seen.mark() == tracked.mark
            && (seen.offset() > 0 || log_of(&entry.path()) == tracked.log())
        {
            tracked.renamed(entry.path());
            tracked.seen = Some(seen);
            tracked.file = Some(file);
            return true;
        }
    }
    false
}
