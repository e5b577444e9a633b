//! The open windows: which keys were seen, since when, and how often again.
//!
//! A window opens with the first record of its key and is as long for every
//! key, so windows expire in the order in which they opened: a queue beside the
//! table is all the timing there is.
//!
//! Invariants: table and queue hold the same keys, each once, the one that
//! opened first in front; there are never more than `max_keys` of them, nor
//! more than `MAX_HELD_BYTES`. Where one more would break that, those in front
//! close early.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::rc::Rc;

use crate::limits::{MAX_CLOCK_STEP_SECONDS, MAX_HELD_BYTES, WINDOW_OVERHEAD_BYTES};
use crate::shape::Tally;

pub const NS_PER_SECOND: i64 = 1_000_000_000;

/// One window. What it carries is the caller's, see `shape`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it opened, by the host's clock.
    pub opened_ns: i64,
    pub tally: Tally,
    pub carried: Box<[u8]>,
}

/// A window that is closed, with its key.
pub type Closed = (Rc<[u8]>, Window);

/// All open windows.
#[derive(Debug)]
pub struct Windows {
    length_ns: i64,
    max_keys: usize,
    open: HashMap<Rc<[u8]>, Window, Seeded>,
    order: VecDeque<Rc<[u8]>>,
    held_bytes: usize,
    /// The latest time that the clock showed.
    latest_ns: i64,
}

impl Windows {
    /// `seed` keeps senders from choosing keys that fall on the same place of
    /// the table.
    pub fn new(length_ns: i64, max_keys: usize, seed: u64) -> Self {
        Windows {
            length_ns,
            max_keys,
            open: HashMap::with_hasher(Seeded(seed)),
            order: VecDeque::new(),
            held_bytes: 0,
            latest_ns: i64::MIN,
        }
    }

    /// Counts a record whose key has an open window. False if it has none.
    pub fn count(&mut self, key: &[u8], time_ns: i64) -> bool {
        let Some(window) = self.open.get_mut(key) else {
            return false;
        };
        let tally = &mut window.tally;
        tally.repeated = tally.repeated.saturating_add(1);
        tally.last_ns = tally.last_ns.max(time_ns);
        true
    }

    /// Opens a window; its key must not have one. Returns those that had to
    /// close early to make room.
    pub fn open(&mut self, key: &[u8], window: Window) -> Vec<Closed> {
        let mut early = Vec::new();
        let bytes = held(key, &window);
        while self.order.len() >= self.max_keys || self.held_bytes + bytes > MAX_HELD_BYTES {
            match self.close_first() {
                Some(closed) => early.push(closed),
                None => break,
            }
        }
        let key: Rc<[u8]> = key.into();
        self.held_bytes += bytes;
        let before = self.open.insert(Rc::clone(&key), window);
        debug_assert!(before.is_none(), "a key has one window");
        self.order.push_back(key);
        early
    }

    /// The windows whose time is over. If the clock was set back, nobody knows
    /// how long they have been open, and all of them are closed.
    pub fn expired(&mut self, now_ns: i64) -> Vec<Closed> {
        let step_ns = MAX_CLOCK_STEP_SECONDS * NS_PER_SECOND;
        if now_ns < self.latest_ns.saturating_sub(step_ns) {
            self.latest_ns = now_ns;
            return self.close_all();
        }
        self.latest_ns = self.latest_ns.max(now_ns);
        let mut closed = Vec::new();
        while self.first_is_over() {
            closed.extend(self.close_first());
        }
        closed
    }

    /// Closes every window.
    pub fn close_all(&mut self) -> Vec<Closed> {
        std::iter::from_fn(|| self.close_first()).collect()
    }

    /// All windows, the one that opened first in front.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&Window>)> {
        self.order.iter().map(|key| (&**key, self.open.get(key)))
    }

    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn first_is_over(&self) -> bool {
        let first = self.order.front().and_then(|key| self.open.get(key));
        first.is_some_and(|window| self.latest_ns.saturating_sub(window.opened_ns) >= self.length_ns)
    }

    fn close_first(&mut self) -> Option<Closed> {
        let key = self.order.pop_front()?;
        let window = self.open.remove(&key)?;
        self.held_bytes -= held(&key, &window);
        Some((key, window))
    }
}

fn held(key: &[u8], window: &Window) -> usize {
    key.len() + window.carried.len() + WINDOW_OVERHEAD_BYTES
}

/// The standard hash, begun with a number that senders don't know.
#[derive(Debug, Clone, Copy)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH_NS: i64 = 10 * NS_PER_SECOND;

    fn windows(max_keys: usize) -> Windows {
        Windows::new(LENGTH_NS, max_keys, 7)
    }

    fn window(opened_ns: i64) -> Window {
        let tally = Tally { first_ns: 0, last_ns: 0, repeated: 0 };
        Window { opened_ns, tally, carried: Box::default() }
    }

    fn keys(closed: Vec<Closed>) -> Vec<Vec<u8>> {
        closed.into_iter().map(|(key, _)| key.to_vec()).collect()
    }

    #[test]
    fn windows_expire_in_the_order_in_which_they_opened() {
        let mut windows = windows(10);
        for (key, second) in [(b"a", 0), (b"b", 1), (b"c", 2)] {
            windows.open(key, window(second * NS_PER_SECOND));
        }
        assert_eq!(keys(windows.expired(LENGTH_NS - 1)), Vec::<Vec<u8>>::new());
        assert_eq!(keys(windows.expired(LENGTH_NS + NS_PER_SECOND)), [b"a", b"b"]);
        assert!(!windows.count(b"a", 0));
        assert!(windows.count(b"c", 0));
    }

    #[test]
    fn a_clock_that_is_set_back_closes_all_windows_and_one_that_trembles_none() {
        let mut windows = windows(10);
        let now_ns = 3_600 * NS_PER_SECOND;
        windows.expired(now_ns);
        windows.open(b"a", window(now_ns));
        windows.open(b"b", window(now_ns));
        assert_eq!(keys(windows.expired(now_ns - NS_PER_SECOND)), Vec::<Vec<u8>>::new());
        assert_eq!(keys(windows.expired(now_ns - NS_PER_SECOND - 1)), [b"a", b"b"]);
        windows.open(b"c", window(0));
        assert_eq!(keys(windows.expired(0)), [b"c"], "set back again");
    }

    proptest! {
        #[test]
        fn table_and_queue_hold_the_same_keys_within_the_bounds(
            steps in prop::collection::vec((0..8_u8, 0..4_i64), 0..80),
            max_keys in 1..6_usize,
        ) {
            let mut windows = windows(max_keys);
            let mut now_ns = 0;
            for (key, seconds) in steps {
                now_ns += seconds * NS_PER_SECOND;
                windows.expired(now_ns);
                if !windows.count(&[key], now_ns) {
                    windows.open(&[key], window(now_ns));
                }
                prop_assert!(windows.iter().len() <= max_keys);
                prop_assert_eq!(windows.iter().len(), windows.open.len());
                let held: usize =
                    windows.iter().map(|(key, window)| window.map_or(0, |w| held(key, w))).sum();
                prop_assert_eq!(held, windows.held_bytes());
            }
        }
    }
}
