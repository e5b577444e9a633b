//! Which segments may be removed: those that the slowest reader has passed, once `keep` has elapsed since their end or
//! their space is needed, and, with `when_full = "drop_oldest"`, the oldest ones.
//!
//! Records that filters hold in a segment are copied into a new frame before it is removed.
//!
//! Segments are removed one by one from the front, each removal durable before the next, so that a crash never leaves a
//! gap. The segment being written is never removed; if every reader has passed it, it is closed first when its space is
//! needed. A reader that is known but not open keeps its segments until it is forgotten.

use crate::appender::Appender;
use crate::error::AppendError;
use crate::options::WhenFull;
use crate::salvage::now_ns;
use std::io;

impl Appender {
    /// Removes the segments that end at or before `position` and need not be kept, except the last.
    pub(crate) fn remove_up_to(&mut self, position: u64) {
        let keep_ns = i64::try_from(self.shared.options.keep.as_nanos()).unwrap_or(i64::MAX);
        loop {
            let is_wanted = !self.has_room(self.wanted_bytes);
            let goes = {
                let state = self.shared.state();
                let oldest = state.segments.front();
                // A segment ended when the next one began.
                let ended_ns = state.segments.get(1).map(|next| next.created_ns);
                let is_old = keep_ns == 0 || ended_ns.is_some_and(|ended| ended.saturating_add(keep_ns) <= now_ns());
                (is_old || is_wanted) && ended_ns.is_some() && oldest.is_some_and(|segment| segment.last <= position)
            };
            if !goes || !self.remove_oldest() {
                return;
            }
        }
    }

    /// Removes the oldest segment, unless it is the last. Returns false if that failed.
    fn remove_oldest(&mut self) -> bool {
        let oldest = {
            let state = self.shared.state();
            if state.segments.len() < 2 {
                return false;
            }
            state.segments.front().map(|segment| (segment.name.clone(), segment.size_bytes, segment.last))
        };
        let Some((name, size_bytes, last)) = oldest else {
            return false;
        };
        if !self.copy_held(last) {
            return false;
        }
        let storage = &*self.shared.storage;
        // If it is not there, someone has removed it already.
        if let Err(error) = storage.remove(&name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(segment = %name, %error, "can't remove a journal segment that is no longer needed");
            return false;
        }
        self.size_bytes -= size_bytes;
        self.shared.state().segments.pop_front();
        if let Err(error) = storage.sync_folder() {
            tracing::warn!(%error, "can't sync the journal's folder after removing a segment");
            return false;
        }
        true
    }

    /// Frees `wanted` bytes of the budget if possible, at least `needed`, or returns why not.
    pub(crate) fn make_room(&mut self, wanted: u64, needed: u64) -> Result<(), AppendError> {
        self.free_read_segments(wanted);
        while self.shared.options.when_full == WhenFull::DropOldest && !self.has_room(wanted) {
            let before = self.size_bytes;
            if self.is_down_to_one_segment() && (self.is_last_segment_empty() || self.begin_segment().is_err()) {
                break;
            }
            if !self.remove_oldest() {
                break;
            }
            // The removed segment may have contained nothing but held records.
            if self.size_bytes >= before {
                break;
            }
            self.shared.meters.dropped_segment();
        }
        if self.has_room(needed) { Ok(()) } else { Err(self.full()) }
    }

    fn free_read_segments(&mut self, wanted: u64) {
        let (slowest, oldest_last, newest_last) = {
            let state = self.shared.state();
            let slowest = state.slowest().map_or(0, |(_, cursor)| cursor.committed);
            let oldest = state.segments.front().map_or(u64::MAX, |segment| segment.last);
            (slowest, oldest, state.visible)
        };
        // Checked before anything is saved, so that a full journal costs no fsync for each refused append.
        if slowest < oldest_last {
            return;
        }
        if slowest >= newest_last && !self.is_last_segment_empty() && self.begin_segment().is_err() {
            return;
        }
        if !self.has_room(wanted) && !self.is_down_to_one_segment() {
            self.wanted_bytes = wanted;
            self.save_cursors();
            self.wanted_bytes = 0;
        }
    }

    fn is_down_to_one_segment(&self) -> bool {
        self.shared.state().segments.len() < 2
    }

    fn is_last_segment_empty(&self) -> bool {
        self.shared.state().segments.back().is_none_or(|segment| segment.frames == 0)
    }

    fn full(&self) -> AppendError {
        let max = self.shared.options.max_size_bytes;
        let state = self.shared.state();
        let reader = match state.slowest() {
            Some((name, cursor)) => {
                let records = state.visible_records.saturating_sub(cursor.records);
                format!("reader `{name}` is {records} records behind")
            }
            None => "it has no reader".to_string(),
        };
        AppendError::Full(format!("its {max} bytes (`max_size`) are used up; {reader}"))
    }
}
