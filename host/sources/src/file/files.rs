//! The files of a source: which are due, in which order they get their turns, and what is delivered of them.
//!
//! [`Files::step`] makes one delivery. It moves positions in memory at once; whoever calls it delivers before the next step,
//! or drops the files and starts again from the positions that were stored.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use weir_record::{Batch, Composer, Defaults};

use super::complaints::Complaints;
use super::gauges::Gauges;
use super::glob::Globs;
use super::options::Settings;
use super::reader::{Collector, Reader, Turn};
use super::stored::{self, Inode, Key};
use super::tracked::{Look, Presence, Tracked};
use crate::destination::{Delivery, Position};
use crate::limits;

/// All files of a source.
pub(super) struct Files {
    pub(super) settings: Arc<Settings>,
    pub(super) tracked: HashMap<Key, Tracked>,
    /// Those that are here or leaving.
    pub(super) by_inode: HashMap<Inode, Key>,
    /// Files that are not read, since another one has the same content, and how they looked.
    pub(super) copies: HashMap<Inode, (Key, Look)>,
    /// Compressed files that are being written, perhaps: how they looked, and of which logs they are.
    pub(super) unsettled: HashMap<Inode, (Look, PathBuf)>,
    /// The globs of the last run; `None`: there was none.
    pub(super) last_globs: Option<Globs>,
    pub(super) scans: u64,
    pub(super) complaints: Complaints,
    pub(super) reader: Reader,
    /// Positions to store, with or without records.
    pub(super) moved: BTreeSet<Key>,
    pub(super) changed: BTreeSet<Key>,
    pub(super) forgotten: Vec<Key>,
    are_globs_stored: bool,
    /// Files that are due, in the order of their turns.
    queue: VecDeque<Key>,
    next_scan: Option<Instant>,
    next_poll: Option<Instant>,
    gauges: Gauges,
}

/// What a step made.
pub(super) struct Step {
    pub delivery: Delivery,
    /// There is nothing to do before the next poll.
    pub is_idle: bool,
}

impl Files {
    /// The files of a source, as the last run left them.
    pub fn new(name: &str, settings: Arc<Settings>, positions: &[Position], now: Instant) -> Files {
        let tracked: HashMap<Key, Tracked> = positions
            .iter()
            .filter_map(stored::file)
            .map(|(key, stored)| (key, Tracked::restored(stored, now)))
            .collect();
        let here = tracked.iter().filter(|(_, tracked)| !tracked.is_gone());
        let by_inode = here.map(|(key, tracked)| (tracked.inode, *key)).collect();
        let last_globs = stored::last_globs(positions);
        Files {
            are_globs_stored: last_globs.as_deref() == Some(settings.globs.text()),
            // They were globs once.
            last_globs: last_globs.and_then(|text| Globs::from_text(&text).ok()),
            reader: Reader::new(settings.clone()),
            settings,
            tracked,
            by_inode,
            copies: HashMap::new(),
            unsettled: HashMap::new(),
            scans: 0,
            complaints: Complaints::new(name),
            moved: BTreeSet::new(),
            changed: BTreeSet::new(),
            forgotten: Vec::new(),
            queue: VecDeque::new(),
            next_scan: None,
            next_poll: None,
            gauges: Gauges::new(name),
        }
    }

    /// Looks for files and for changes if it is time to, and reads what is due until a delivery is full.
    ///
    /// # Errors
    /// The records of a delivery exceed all limits, which those of this crate prevent.
    pub fn step(&mut self, now: Instant, defaults: &Defaults<'_>) -> Result<Step, String> {
        if self.next_scan.is_none_or(|due| now >= due) {
            self.next_scan = Some(now + self.settings.scan);
            self.scan(now);
            self.next_poll = None;
        }
        if self.next_poll.is_none_or(|due| now >= due) {
            self.next_poll = Some(now + limits::POLL);
            self.poll(now);
        }
        let mut batch = Batch::new();
        let mut to = Collector { composer: Composer::new(defaults, &mut batch), bytes: 0 };
        while let Some(key) = self.queue.pop_front() {
            match self.turn(key, now, &mut to) {
                Some(Turn::More) => self.queue.push_back(key),
                Some(Turn::Full) => {
                    self.queue.push_back(key);
                    break;
                }
                Some(Turn::Stopped(error)) => return Err(error.to_string()),
                _ => {}
            }
        }
        let bad = to.composer.finish();
        let positions = self.positions();
        let is_idle = self.queue.is_empty() && self.changed.is_empty() && self.next_scan > Some(now);
        Ok(Step { delivery: Delivery { batch, bad, positions, ..Delivery::default() }, is_idle })
    }

    /// Looks at the open files, and queues what is due.
    fn poll(&mut self, now: Instant) {
        let queued: BTreeSet<Key> = self.queue.iter().copied().collect();
        let mut due = Vec::new();
        for (key, tracked) in &mut self.tracked {
            if let Some(Ok(metadata)) = tracked.file.as_ref().map(File::metadata) {
                tracked.looks(Look::of(&metadata), now);
            }
            let is_due = tracked.is_due(&self.settings, now) || tracked.has_left(limits::LEAVING, now);
            if is_due && !queued.contains(key) {
                due.push((tracked.look, *key));
            }
        }
        // What was written first is read first.
        due.sort_unstable();
        self.queue.extend(due.into_iter().map(|(_, key)| key));
        self.gauges.set(self.tracked.values());
    }

    /// A file's turn; `None`: it has to wait for others.
    fn turn(&mut self, key: Key, now: Instant, to: &mut Collector<'_, '_>) -> Option<Turn> {
        if !self.may_read(key, now) {
            return None;
        }
        self.make_room(key);
        let tracked = self.tracked.get_mut(&key).filter(|tracked| !tracked.is_gone())?;
        let is_final = tracked.has_left(limits::LEAVING, now);
        let before = tracked.stored();
        let turn = self.reader.turn(key, tracked, is_final, now, to);
        if tracked.stored() != before {
            self.moved.insert(key);
        }
        match &turn {
            Turn::End => {
                self.complaints.withdraw(tracked.path());
                if is_final && tracked.is_caught_up() {
                    self.is_gone(key);
                }
            }
            Turn::Replaced => self.is_replaced(key, now),
            Turn::Failed(error) => {
                tracked.is_failing = true;
                tracked.file = None;
                match error.kind() {
                    // It was renamed or deleted just now.
                    io::ErrorKind::NotFound => self.next_scan = Some(now + limits::POLL),
                    kind => {
                        self.complaints.add(tracked.path(), error);
                        let is_damaged = !matches!(kind, io::ErrorKind::PermissionDenied);
                        // All that can be decompressed was, until the file changes.
                        tracked.read = (tracked.compression.is_some() && is_damaged).then_some(tracked.look);
                    }
                }
                if is_final {
                    self.is_gone(key);
                }
            }
            Turn::More | Turn::Full | Turn::Stopped(_) => {}
        }
        Some(turn)
    }

    /// Whether everything was read that is to be read before a file. Of an older generation that is said to be empty, the
    /// newer one must not have anything yet: so it is looked at after the newer one.
    fn may_read(&mut self, key: Key, now: Instant) -> bool {
        let Some(tracked) = self.tracked.get(&key) else {
            return false;
        };
        let Some((order, mut left)) = tracked.after.clone().filter(|(_, left)| *left > 0) else {
            return true;
        };
        let log = tracked.log().to_owned();
        while left > 0 && self.is_read(order[left - 1], &log, now) {
            // What that one has waited for was read, and need not be looked at again: there may be many thousand.
            let before = self.by_inode.get(&order[left - 1]).and_then(|key| self.tracked.get(key)?.after.as_ref());
            left = before.map_or(left - 1, |(_, before)| (left - 1).min(*before));
        }
        if let Some(tracked) = self.tracked.get_mut(&key) {
            tracked.after = Some((order, left));
        }
        left == 0
    }

    fn is_read(&mut self, inode: Inode, log: &Path, now: Instant) -> bool {
        let Some(tracked) = self.by_inode.get(&inode).and_then(|key| self.tracked.get_mut(key)) else {
            // It is being compressed, perhaps.
            return self.unsettled.values().all(|(_, unsettled)| unsettled != log);
        };
        let metadata = match &tracked.file {
            Some(file) => file.metadata(),
            None => fs::metadata(tracked.path()),
        };
        // If it can't be looked at, or is another one by now, the next scan notices.
        if let Ok(metadata) = metadata
            && Inode::of(&metadata) == inode
        {
            tracked.looks(Look::of(&metadata), now);
        }
        tracked.is_caught_up()
    }

    /// Closes files that didn't change for the longest time if too many are open.
    fn make_room(&mut self, key: Key) {
        let is_open = |tracked: &Tracked| tracked.file.is_some();
        // A compressed one is not kept open.
        if self.tracked.get(&key).is_none_or(|tracked| is_open(tracked) || tracked.compression.is_some())
            || self.tracked.values().filter(|tracked| is_open(tracked)).count() < limits::OPEN_FILES
        {
            return;
        }
        let here = self.tracked.values_mut().filter(|tracked| is_open(tracked) && tracked.presence == Presence::Here);
        let mut open: Vec<&mut Tracked> = here.collect();
        open.sort_unstable_by_key(|tracked| tracked.changed);
        // Some more at once: looking for them takes time.
        for tracked in open.into_iter().take(limits::OPEN_FILES / 8) {
            tracked.file = None;
        }
    }

    /// The file was read to its end, and nobody writes to it any more.
    pub(super) fn is_gone(&mut self, key: Key) {
        let Some(tracked) = self.tracked.get_mut(&key) else { return };
        self.by_inode.remove(&tracked.inode);
        self.reader.close(key);
        tracked.file = None;
        tracked.seen = None;
        tracked.presence = Presence::Gone(unix_s());
        match tracked.mark.offset {
            0 => self.forget(key),
            _ => _ = self.changed.insert(key),
        }
    }

    /// Forgets a file.
    pub(super) fn forget(&mut self, key: Key) {
        self.tracked.remove(&key);
        self.moved.remove(&key);
        self.changed.remove(&key);
        self.forgotten.push(key);
    }

    /// What was read of a file is not in it any more. The next scan finds out what it is now, unless only its descriptor is
    /// left.
    fn is_replaced(&mut self, key: Key, now: Instant) {
        let Some(tracked) = self.tracked.get_mut(&key) else { return };
        let is_here = tracked.presence == Presence::Here;
        let mut new = Tracked::new(tracked.path().to_owned(), tracked.inode, tracked.look, now);
        new.file = tracked.file.take();
        new.presence = tracked.presence;
        tracked.unlike = tracked.compression.map(|_| tracked.inode);
        self.is_gone(key);
        if !is_here {
            self.add(new.inode, new);
        }
        self.next_scan = None;
    }

    /// Follows a file from now on.
    pub(super) fn add(&mut self, inode: Inode, new: Tracked) {
        let key = fastrand::u64(..);
        if new.mark.offset > 0 || new.whole_size > 0 {
            self.changed.insert(key);
        }
        self.by_inode.insert(inode, key);
        self.tracked.insert(key, new);
    }

    /// The positions to store: those of all that was read, and some of the others.
    fn positions(&mut self) -> Vec<Position> {
        let mut positions: Vec<Position> = Vec::new();
        let moved = std::mem::take(&mut self.moved);
        self.changed.retain(|key| !moved.contains(key));
        let some: Vec<Key> = self.changed.iter().copied().take(limits::POSITIONS).collect();
        for key in moved.into_iter().chain(some) {
            self.changed.remove(&key);
            if let Some(tracked) = self.tracked.get(&key) {
                positions.push(stored::position(key, &tracked.stored()));
            }
        }
        let forgotten = self.forgotten.len().min(limits::POSITIONS);
        positions.extend(self.forgotten.drain(..forgotten).map(stored::deletion));
        if self.changed.is_empty() && !self.are_globs_stored {
            // After the positions of all files that were there at first.
            self.are_globs_stored = true;
            positions.push(stored::globs(self.settings.globs.text()));
        }
        positions
    }
}

/// Seconds since 1970.
pub(super) fn unix_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs()).max(1)
}
