//! The only code that changes the folder while the journal is open: it writes groups, syncs, begins segments, and stops
//! everything after a failed fsync. It runs on the writer's thread and has no thread or clock of its own, so tests can
//! drive it operation by operation.
//!
//! Invariants:
//! - a frame is acknowledged and made visible only once it is as durable as the sync mode promises;
//! - sequence numbers and record counts advance only after a successful write;
//! - after a failed fsync, or a failed write whose remains can't be cut off, nothing is ever written again: the content
//!   of the disk is unknown, and a second fsync would report success for pages that the kernel has dropped.

use crate::cipher::Sealer;
use crate::cursor::{self, Saved};
use crate::error::AppendError;
use crate::failure::{is_full, is_out_of_descriptors};
use crate::format::{SEGMENT_HEADER_BYTES, SEGMENT_UNSYNCED, SegmentHeader, segment_name};
use crate::group::{Group, Prepared, Queued, Stamp};
use crate::ledger::Ledger;
use crate::limits::{MAX_GROUP_BYTES, MAX_UNSYNCED_BYTES};
use crate::options::SyncMode;
use crate::recovery::{Recovered, Tail};
use crate::salvage::{new_mark, now_ns};
use crate::segment::Segment;
use crate::spare::Spare;
use crate::state::{RecentEntry, Shared};
use crate::storage::StoredFile;
use crate::writer::{AppendCallback, Pending};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The segment being written.
pub(crate) struct Active {
    pub(crate) file: Arc<dyn StoredFile>,
    pub(crate) name: String,
    mark: u32,
    /// Encrypts the frames.
    sealer: Option<Sealer>,
    /// It gets no further frames, because bytes of one that failed may have reached the disk.
    pub(crate) is_spent: bool,
    /// Its length with all written frames, visible or not.
    pub(crate) size_bytes: u64,
    /// Its length as of the last fsync.
    pub(crate) durable_bytes: u64,
}

/// Writes the journal.
pub(crate) struct Appender {
    pub(crate) shared: Arc<Shared>,
    pub(crate) active: Option<Active>,
    /// A segment whose creation failed because the disk was full or no file descriptor was left.
    unfinished_segment: Option<u64>,
    spare: Spare,
    group: Group,
    /// Written but not visible yet: waiting for the next fsync of `sync = "100ms"`.
    unsynced: Vec<(RecentEntry, Ledger, u64)>,
    unsynced_bytes: u64,
    /// The next frame's sequence, and the number of records before it.
    next: u64,
    records: u64,
    /// The last frame written, and the last known to be durable.
    last: u64,
    durable: u64,
    /// The durable sequence that was last stored in `cursors`.
    saved_durable: u64,
    /// Total size of all segments.
    pub(crate) size_bytes: u64,
    /// Bytes of the budget that an append is waiting for. Segments kept only because of `keep` are removed for them.
    pub(crate) wanted_bytes: u64,
}

impl Active {
    /// Cuts off what a failed write may have left.
    pub(crate) fn cut_failed_write(&mut self) -> io::Result<()> {
        self.file.truncate(self.size_bytes)?;
        if self.sealer.is_some() {
            self.is_spent = true;
            // The next segment is begun before this one is synced again.
            self.file.sync()?;
        }
        Ok(())
    }
}

impl Appender {
    /// Continues from the recovered state. Syncs it first, because a killed process may have left it in the page cache
    /// only.
    pub(crate) fn new(shared: Arc<Shared>, recovered: &Recovered) -> io::Result<Appender> {
        let last = recovered.report.last_sequence;
        let mut appender = Appender {
            active: None,
            wanted_bytes: 0,
            unfinished_segment: None,
            spare: Spare::default(),
            group: Group::default(),
            unsynced: Vec::new(),
            unsynced_bytes: 0,
            next: recovered.next,
            records: recovered.segments.last().map_or(0, |segment| segment.records_after),
            last,
            durable: last,
            saved_durable: 0,
            size_bytes: recovered.segments.iter().map(|segment| segment.size_bytes).sum(),
            shared,
        };
        if let (Some(Tail { header, file }), Some(segment)) = (&recovered.tail, recovered.segments.last()) {
            file.sync()?;
            // The segment's name, too: what is appended to it must not be lost with that.
            appender.shared.storage.sync_folder()?;
            let sync_off = appender.shared.options.sync == SyncMode::Off;
            let goes_on = (segment.frames > 0 && recovered.next == last + 1)
                || (segment.frames == 0 && recovered.next == header.first);
            // Only the process that created an encrypted segment writes to it (see `cipher`).
            let is_plain = header.seal.is_none() && !appender.encrypts();
            if goes_on && is_plain && !header.has_gaps() && header.is_unsynced() == sync_off {
                appender.active = Some(Active {
                    file: Arc::clone(file),
                    name: segment.name.clone(),
                    mark: header.mark,
                    sealer: None,
                    is_spent: false,
                    size_bytes: segment.size_bytes,
                    durable_bytes: segment.size_bytes,
                });
            }
        }
        appender.spare.prepare(&*appender.shared.storage);
        appender.shared.meters.size(appender.size_bytes);
        Ok(appender)
    }

    /// Writes all the given appends, in as few writes and fsyncs as segments and limits allow, and answers them.
    pub(crate) fn append(&mut self, batch: impl IntoIterator<Item = Pending>) {
        self.follow_jump();
        let time_ns = now_ns();
        for Pending { payload, records, ledger, is_reserved, task, done } in batch {
            if let Some(error) = self.poisoned() {
                done(Err(error));
                continue;
            }
            if let Some(task) = task {
                self.flush();
                done(task(self).map(|()| self.last));
                continue;
            }
            let prepared = self.group.prepare(payload, self.shared.options.compress, self.encrypts());
            match self.place(prepared.frame_bytes(), is_reserved) {
                Ok(mark) => self.enqueue(prepared, mark, time_ns, records, ledger, done),
                Err(error) => {
                    self.shared.meters.refused(&error);
                    done(Err(error));
                }
            }
        }
        self.flush();
    }

    /// Makes room that was requested ahead of an append.
    pub(crate) fn free_room(&mut self, room_bytes: u64) -> Result<(), AppendError> {
        if self.has_room(room_bytes) {
            return Ok(());
        }
        let made = self.make_room(room_bytes + SEGMENT_HEADER_BYTES as u64, room_bytes);
        if let Err(error) = &made {
            self.shared.meters.refused(error);
        }
        made
    }

    /// Copies the records held in frames up to `up_to` into a new frame, so that those frames can be removed. Returns
    /// false if that failed.
    pub(crate) fn copy_held(&mut self, up_to: u64) -> bool {
        // A frame that waits for its fsync may release what those frames hold: a copy after it would hold that again.
        if self.waits_for_sync() {
            self.sync();
        }
        let holds = self.shared.state().held.up_to(up_to);
        if holds.is_empty() {
            return true;
        }
        if self.poisoned().is_some() {
            return false;
        }
        let ledger = Ledger { holds, releases: Vec::new() };
        let mut payload = Vec::new();
        ledger.write(&mut payload);
        // Not compressed: the buffer still contains the compressed payload of the append that needs the room.
        let prepared = self.group.prepare(payload, false, self.encrypts());
        let mark = match &self.active {
            Some(active) if self.fits(prepared.frame_bytes()) => Ok(active.mark),
            _ => self.begin_segment(),
        };
        match mark {
            Ok(mark) => self.enqueue(prepared, mark, now_ns(), 0, ledger, Box::new(|_| {})),
            Err(_) => return false,
        }
        self.flush();
        self.sync();
        self.shared.state().held.up_to(up_to).is_empty()
    }

    fn enqueue(
        &mut self,
        prepared: Prepared,
        mark: u32,
        time_ns: i64,
        records: u32,
        ledger: Ledger,
        done: AppendCallback,
    ) {
        let stamp = Stamp {
            mark,
            sequence: self.next + self.group.frames.len() as u64,
            durable: self.durable,
            time_ns,
            records,
            records_before: self.records + self.group.records,
        };
        let sealer = self.active.as_mut().and_then(|active| active.sealer.as_mut());
        self.group.push(prepared, &stamp, ledger, sealer, done);
    }

    fn encrypts(&self) -> bool {
        self.shared.options.keys.encrypts()
    }

    /// Makes sure that the active segment and the budget have room. Returns the segment's mark.
    fn place(&mut self, frame_bytes: u64, is_reserved: bool) -> Result<u32, AppendError> {
        let header_bytes = if self.fits(frame_bytes) { 0 } else { SEGMENT_HEADER_BYTES as u64 };
        let needed = frame_bytes + header_bytes;
        let is_group_full = self.group.size_bytes + frame_bytes > MAX_GROUP_BYTES as u64;
        let is_over_budget = !self.has_room(self.group.size_bytes + needed);
        if is_group_full || is_over_budget || header_bytes > 0 {
            self.flush();
            if let Some(error) = self.poisoned() {
                return Err(error);
            }
        }
        if is_over_budget {
            // One extra header, because making room may itself begin a segment.
            let made = self.make_room(needed + SEGMENT_HEADER_BYTES as u64, needed);
            if !is_reserved {
                made?;
            }
        }
        match &self.active {
            Some(active) if self.fits(frame_bytes) => Ok(active.mark),
            _ => self.begin_segment(),
        }
    }

    /// True if the active segment has room for the group and this frame. An empty segment takes any frame.
    fn fits(&self, frame_bytes: u64) -> bool {
        let Some(active) = &self.active else {
            return false;
        };
        let used = active.size_bytes + self.group.size_bytes;
        !active.is_spent
            && (used == SEGMENT_HEADER_BYTES as u64 || used + frame_bytes <= self.shared.options.roll_bytes())
    }

    pub(crate) fn has_room(&self, more_bytes: u64) -> bool {
        self.size_bytes + more_bytes <= self.shared.options.max_size_bytes
    }

    /// Closes the active segment durably and begins the next one.
    pub(crate) fn begin_segment(&mut self) -> Result<u32, AppendError> {
        debug_assert!(self.group.is_empty(), "frames in the group carry the old segment's mark");
        self.sync();
        if let Some(error) = self.poisoned() {
            return Err(error);
        }
        // A missing segment before the new one would look as if all readers had passed it.
        self.ensure_in_place()?;
        let sync_off = self.shared.options.sync == SyncMode::Off;
        let header = SegmentHeader {
            flags: if sync_off { SEGMENT_UNSYNCED } else { 0 },
            mark: new_mark(),
            first: self.next,
            previous: self.last,
            records_before: self.records,
            created_ns: now_ns(),
            seal: self.shared.options.keys.seal().map_err(|error| self.poison(error.to_string()))?,
        };
        let name = segment_name(header.first);
        let keys = &self.shared.options.keys;
        let (sealer, opener) = match (header.sealer(keys), header.opener(keys)) {
            (Ok(sealer), Ok(opener)) => (sealer, opener),
            (Err(error), _) | (_, Err(error)) => return Err(self.poison(error.to_string())),
        };
        let storage = &*self.shared.storage;
        if let Some(first) = self.unfinished_segment.take_if(|first| *first != header.first) {
            let unfinished_segment = segment_name(first);
            let removed = storage.remove(&unfinished_segment);
            if let Err(error) = removed.and_then(|()| storage.sync_folder())
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(self.poison(format!("can't remove `{unfinished_segment}`: {error}")));
            }
        }
        let file = match self.spare.become_segment(storage, &name, &header) {
            Ok(file) => file,
            Err(error) if is_full(&error) || is_out_of_descriptors(&error) => {
                // The segment, if it was created at all, is empty. The next attempt replaces it. No frame goes into the
                // previous segment, because this name would then be left in the middle of the numbering.
                self.active = None;
                self.unfinished_segment = Some(header.first);
                let way_out = if is_full(&error) { "free disk space" } else { "raise the limit of open files" };
                return Err(AppendError::Full(format!("can't create `{name}`: {error}; {way_out}")));
            }
            Err(error) => return Err(self.poison(format!("can't create `{name}`: {error}"))),
        };
        self.unfinished_segment = None;
        self.spare.prepare(storage);
        let mut state = self.shared.state();
        // An empty segment of the same name was replaced.
        if state.segments.back().is_some_and(|segment| segment.first == header.first) {
            state.segments.pop_back();
        } else {
            self.size_bytes += SEGMENT_HEADER_BYTES as u64;
        }
        state.segments.push_back(Segment::empty(&header, opener));
        drop(state);
        let size_bytes = SEGMENT_HEADER_BYTES as u64;
        let mark = header.mark;
        self.active = Some(Active { file, name, mark, sealer, is_spent: false, size_bytes, durable_bytes: size_bytes });
        Ok(header.mark)
    }

    /// Writes the group, syncs it if the sync mode requires that, and answers.
    fn flush(&mut self) {
        if self.group.is_empty() {
            return;
        }
        let written = match &self.active {
            Some(active) => self.group.write_to(&*active.file),
            None => Err(io::Error::other("no segment is open")),
        };
        let result = match written {
            Ok(()) => self.written().and_then(|()| self.ensure_in_place()),
            Err(error) => Err(self.write_failed(&error)),
        };
        let (bytes, records) = (self.group.size_bytes, self.group.records);
        let frames = self.group.take();
        match result {
            Ok(()) => {
                self.shared.meters.appended(frames.len(), records, bytes, self.size_bytes);
                self.acknowledge(frames);
            }
            Err(error) => {
                self.shared.meters.refused(&error);
                frames.into_iter().for_each(|frame| (frame.done)(Err(error.clone())));
            }
        }
    }

    /// Updates sizes and numbers after the group was written.
    fn written(&mut self) -> Result<(), AppendError> {
        let group_bytes = self.group.size_bytes;
        if let Some(active) = &mut self.active {
            active.size_bytes += group_bytes;
        }
        self.size_bytes += group_bytes;
        let frames = self.group.frames.len() as u64;
        self.last = self.next + frames - 1;
        self.next += frames;
        self.records += self.group.records;
        match self.shared.options.sync {
            SyncMode::Always => self.sync_file(),
            SyncMode::Every(_) | SyncMode::Off => Ok(()),
        }
    }

    /// Makes the frames visible, now or after the next fsync, and answers their appends.
    fn acknowledge(&mut self, frames: Vec<Queued>) {
        let mut answers = Vec::with_capacity(frames.len());
        for Queued { recent, ledger, frame_bytes, done } in frames {
            answers.push((recent.entry.sequence, done));
            self.unsynced_bytes += frame_bytes;
            self.unsynced.push((recent, ledger, frame_bytes));
        }
        let waits = matches!(self.shared.options.sync, SyncMode::Every(_));
        if !waits {
            self.publish();
        }
        for (sequence, done) in answers {
            done(Ok(sequence));
        }
        if waits && self.unsynced_bytes >= MAX_UNSYNCED_BYTES {
            self.sync();
        }
    }

    fn publish(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let recent_bytes = self.shared.options.recent_bytes;
        let mut state = self.shared.state();
        for (recent, ledger, frame_bytes) in self.unsynced.drain(..) {
            state.publish(recent, ledger, frame_bytes, recent_bytes);
        }
        let visible = state.visible;
        drop(state);
        self.unsynced_bytes = 0;
        self.shared.news.send_replace(visible);
    }

    /// True while something acknowledged is waiting for the next fsync.
    pub(crate) fn waits_for_sync(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Makes everything written durable and visible.
    pub(crate) fn sync(&mut self) {
        // A failure poisons the journal, so every later append reports it.
        if self.poisoned().is_none() && self.sync_file().is_ok() {
            self.publish();
        }
    }

    fn sync_file(&mut self) -> Result<(), AppendError> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        if active.durable_bytes == active.size_bytes {
            return Ok(());
        }
        let began = Instant::now();
        match active.file.sync() {
            Ok(()) => {
                active.durable_bytes = active.size_bytes;
                self.durable = self.last;
                self.shared.meters.synced(began.elapsed());
                Ok(())
            }
            Err(error) => Err(self.poison(format!("fsync failed: {error}"))),
        }
    }

    /// Closes a segment that is durable under its name. It gets no further frames.
    pub(crate) fn end_segment(&mut self) {
        self.active = None;
        self.durable = self.last;
    }

    /// True while the durable sequence is ahead of the stored one.
    pub(crate) fn is_saved_durable_behind(&self) -> bool {
        self.durable > self.saved_durable
    }

    /// Continues the numbering after the position of a reader that is beyond the end (its sink outlived the journal's
    /// folder). Otherwise that sink would mistake new frames for ones it already has.
    fn follow_jump(&mut self) {
        let not_before = self.shared.state().not_before;
        if self.next < not_before {
            self.sync();
            self.next = not_before;
            self.active = None;
        }
    }

    /// Saves all cursors, then removes the segments that every reader has passed.
    pub(crate) fn save_cursors(&mut self) {
        let cursors = {
            let state = self.shared.state();
            state.cursors.iter().map(|(name, cursor)| (name.clone(), cursor.stored())).collect()
        };
        // Numbers of frames that were written but are not durable may be reused; numbers that were jumped over may not.
        let has_jumped = self.next > self.last + 1;
        let next = if has_jumped { self.next } else { self.durable + 1 };
        let saved = Saved { cursors, durable: self.durable, next };
        self.saved_durable = saved.durable;
        match cursor::save(&*self.shared.storage, &saved) {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                // Without this, a full disk could never be freed. The price, if a crash follows now: readers count as
                // skipped some records that they had in fact delivered.
                tracing::warn!(%error, "can't save the journal's cursors; removing segments that were read all the same");
            }
            Err(error) => {
                tracing::warn!(%error, "can't save the journal's cursors; will try again");
                self.shared.queue.mark_cursors_dirty();
                return;
            }
        }
        let slowest = saved.cursors.values().map(|stored| stored.committed).min();
        self.remove_up_to(slowest.unwrap_or(0));
        self.shared.meters.size(self.size_bytes);
        self.shared.meters.readers(&self.shared.state());
    }

    /// Makes everything durable and visible and saves the cursors.
    pub(crate) fn close(&mut self) {
        self.sync();
        if self.poisoned().is_none() && self.ensure_in_place().is_ok() {
            self.save_cursors();
        }
    }
}
