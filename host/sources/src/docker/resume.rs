//! How far a container was read.
//!
//! The engine has no positions, only times: it returns what a container wrote at a time or later, in the order in which
//! it keeps it. Some engines return the first entry of that time or later, and then all that follow, whatever their
//! times. That order is not quite the order of the times, for the two streams have a clock reading each, and clocks are
//! set. So a position is a time a little before the newest, and the number of entries from that time on that were
//! delivered: among the entries from a fixed time on, the n-th is always the same.
//!
//! Unless the engine deletes old entries, because it rotates the log: then the first entry from that time on is another
//! one. In that case alone, only what is newer than everything delivered is taken.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::{DOCKER_WINDOW, DOCKER_WINDOW_ENTRIES};
use crate::parts::Entry;

/// A position, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resume {
    /// Entries from this time on are counted.
    since_ns: i64,
    /// How many of them were delivered.
    count: usize,
    /// The first of them.
    first: Mark,
    /// The newest time of all.
    newest_ns: i64,
}

/// What an entry is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    at_ns: i64,
    digest: u64,
}

/// What was delivered of a container, as far as a position needs it.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Those from `since_ns` on, in the engine's order.
    entries: VecDeque<Mark>,
    since_ns: i64,
    newest_ns: i64,
}

/// Decides which entries of a stream that begins again were delivered before.
#[derive(Debug)]
pub(super) enum Skip {
    /// It is decided by the first entry.
    Undecided(Resume),
    /// The next so many of a time or later, and those between them that are earlier.
    Next {
        since_ns: i64,
        count: usize,
    },
    /// Those up to this time.
    UpTo(i64),
    None,
}

impl Resume {
    pub fn since_ns(&self) -> i64 {
        self.since_ns
    }

    pub fn encode(&self) -> Vec<u8> {
        // Numbers can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Resume> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Window {
    /// A window for a stream from this time on.
    pub fn new(since_ns: i64) -> Window {
        Window { entries: VecDeque::new(), since_ns, newest_ns: i64::MIN }
    }

    /// Adds an entry that is delivered, or was before.
    pub fn add(&mut self, entry: &Entry<'_>) {
        self.newest_ns = self.newest_ns.max(entry.at_ns);
        if entry.at_ns >= self.since_ns {
            self.entries.push_back(Mark::of(entry));
        }
    }

    /// The position after all that was added; `None` if that is nothing.
    pub fn resume(&mut self) -> Option<Resume> {
        self.forget_before(self.newest_ns.saturating_sub(DOCKER_WINDOW));
        if self.entries.len() > DOCKER_WINDOW_ENTRIES {
            let half = self.entries[self.entries.len() / 2].at_ns;
            self.forget_before(half);
        }
        let first = *self.entries.front()?;
        Some(Resume { since_ns: self.since_ns, count: self.entries.len(), first, newest_ns: self.newest_ns })
    }

    fn forget_before(&mut self, ns: i64) {
        if ns > self.since_ns {
            self.since_ns = ns;
            self.entries.retain(|mark| mark.at_ns >= ns);
        }
    }
}

impl Skip {
    /// Whether an entry was delivered before.
    pub fn skips(&mut self, entry: &Entry<'_>) -> bool {
        if let Skip::Undecided(resume) = self {
            // An engine whose times are coarser returns some that are not counted.
            if entry.at_ns < resume.since_ns {
                return true;
            }
            *self = match resume.first == Mark::of(entry) {
                true => Skip::Next { since_ns: resume.since_ns, count: resume.count },
                false => Skip::UpTo(resume.newest_ns),
            };
        }
        match self {
            Skip::Next { count: 0, .. } | Skip::None => false,
            Skip::Next { since_ns, count } => {
                *count -= usize::from(entry.at_ns >= *since_ns);
                true
            }
            Skip::UpTo(newest) => entry.at_ns <= *newest,
            // Decided above.
            Skip::Undecided(_) => true,
        }
    }
}

impl Mark {
    /// FNV-1a, which stays the same in later versions.
    fn of(entry: &Entry<'_>) -> Mark {
        let bytes = [entry.stream as u8, u8::from(entry.ends)];
        let digest = bytes
            .iter()
            .chain(entry.text)
            .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Mark { at_ns: entry.at_ns, digest }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::parts::Stream;

    /// What an engine keeps: time and text.
    type Log = Vec<(i64, String)>;

    fn entry((at_ns, text): &(i64, String)) -> Entry<'_> {
        Entry { stream: Stream::Stdout, at_ns: *at_ns, text: text.as_bytes(), ends: true }
    }

    /// Which entries an engine returns from a time on.
    #[derive(Clone, Copy, Debug)]
    enum Returns {
        /// All of that time or later.
        Later,
        /// The first of them, and all that follow.
        Following,
    }

    /// Reads up to `most` further entries, as after a restart, and returns them with the new position.
    fn read(log: &Log, returns: Returns, resume: Option<Resume>, most: usize) -> (Vec<String>, Option<Resume>) {
        let since = resume.as_ref().map_or(0, Resume::since_ns);
        let (mut window, mut skip) = (Window::new(since), resume.clone().map_or(Skip::None, Skip::Undecided));
        let mut texts = Vec::new();
        let following = log.iter().skip_while(|(at_ns, _)| *at_ns < since);
        for kept in following.filter(|(at_ns, _)| matches!(returns, Returns::Following) || *at_ns >= since) {
            if texts.len() == most {
                break;
            }
            if !skip.skips(&entry(kept)) {
                texts.push(kept.1.clone());
            }
            window.add(&entry(kept));
        }
        (texts, window.resume().or(resume))
    }

    #[test]
    fn whatever_the_times_every_entry_is_read_once_in_order() {
        for (seed, returns) in (0..200).flat_map(|seed| [(seed, Returns::Later), (seed, Returns::Following)]) {
            let mut random = Rng::with_seed(seed);
            let (mut log, mut now) = (Log::new(), 1_000_000_000_000_i64);
            let (mut texts, mut resume) = (Vec::new(), None);
            for number in 0..300 {
                // Equal times, steps ahead, and times that are a little late.
                now += [0, 0, 1, 500, DOCKER_WINDOW / 3][random.usize(..5)];
                let late = if random.u8(..4) == 0 { random.i64(0..DOCKER_WINDOW / 2) } else { 0 };
                log.push((now - late, format!("{}", number / random.usize(1..3))));
                if random.u8(..10) == 0 {
                    let (more, after) = read(&log, returns, resume, random.usize(..50));
                    texts.extend(more);
                    resume = after.map(|resume| Resume::decode(&resume.encode()).expect("a position"));
                }
            }
            texts.extend(read(&log, returns, resume, usize::MAX).0);
            assert_eq!(texts, log.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), "seed {seed}, {returns:?}");
        }
    }

    #[test]
    fn after_a_rotation_what_is_left_and_new_is_read() {
        let log: Log = (0..100).map(|number| (1_000_000_000_000 + number, number.to_string())).collect();
        let (_, resume) = read(&log, Returns::Later, None, 50);
        // The engine has deleted some of what was delivered, all of it, or more.
        for kept in [20, 50, 70] {
            let texts = read(&log[kept..].to_vec(), Returns::Later, resume.clone(), usize::MAX).0;
            assert_eq!(texts, log[kept.max(50)..].iter().map(|(_, text)| text.clone()).collect::<Vec<_>>(), "{kept}");
        }
    }

    #[test]
    fn a_window_is_bounded() {
        let mut window = Window::new(0);
        for at_ns in 1..=4 * DOCKER_WINDOW_ENTRIES as i64 {
            window.add(&entry(&(at_ns, String::new())));
            if at_ns % 100 == 0 {
                let resume = window.resume().expect("entries");
                assert!(resume.count <= DOCKER_WINDOW_ENTRIES && resume.newest_ns == at_ns);
            }
        }
    }
}
