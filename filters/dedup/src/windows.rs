//! The open windows: which keys were seen, since when, and how many times more.
//!
//! All windows have the same length, so they expire in the order in which they
//! opened. A queue next to the table is enough; no timers are needed.
//!
//! Invariants: the table and the queue contain the same keys, each once, oldest
//! first; there are at most `max_keys` of them with at most `MAX_HELD_BYTES`. To
//! make room for another window, the oldest ones close early.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use weir_guest::hash::Seeded;

use crate::limits::{MAX_CLOCK_STEP_SECONDS, MAX_HELD_BYTES, WINDOW_OVERHEAD_BYTES};
use crate::shape::Tally;

pub const NS_PER_SECOND: i64 = 1_000_000_000;

/// One window. The carried values belong to the caller, see `shape`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When the window opened, by the host's clock.
    pub opened_ns: i64,
    pub tally: Tally,
    pub carried: Box<[u8]>,
    /// The id of the latest counted record, under which the summary is held.
    pub summary: Option<u64>,
    /// Whether something was counted since `summaries` was last called.
    pub is_counted: bool,
}

impl Window {
    /// A window without carried values and without a held summary.
    pub fn open(opened_ns: i64, tally: Tally) -> Self {
        Window { opened_ns, tally, carried: Box::default(), summary: None, is_counted: false }
    }
}

/// The result of counting a record.
#[derive(Debug, PartialEq, Eq)]
pub struct Counted {
    /// The id under which the previous summary was held.
    pub released: Option<u64>,
}

/// A closed window with its key.
pub type Closed = (Rc<[u8]>, Window);

/// All open windows.
#[derive(Debug)]
pub struct Windows {
    length_ns: i64,
    max_keys: usize,
    /// Overhead of a window in bytes, besides its key and carried values.
    overhead_bytes: usize,
    open: HashMap<Rc<[u8]>, Window, Seeded>,
    order: VecDeque<Rc<[u8]>>,
    /// The keys of windows with a count since `summaries` was last called. Some
    /// may have closed since.
    counted: Vec<Rc<[u8]>>,
    held_bytes: usize,
    /// The latest time of the clock.
    latest_ns: i64,
}

impl Windows {
    /// `names_bytes` is the size of the field names, which each summary contains.
    /// `seed` keeps senders from choosing colliding keys.
    pub fn new(length_ns: i64, max_keys: usize, names_bytes: usize, seed: u64) -> Self {
        Windows {
            length_ns,
            max_keys,
            overhead_bytes: WINDOW_OVERHEAD_BYTES + names_bytes,
            open: HashMap::with_hasher(Seeded(seed)),
            order: VecDeque::new(),
            counted: Vec::new(),
            held_bytes: 0,
            latest_ns: i64::MIN,
        }
    }

    /// Counts a record if its key has an open window; otherwise returns `None`.
    pub fn count(&mut self, key: &[u8], time_ns: i64, id: u64) -> Option<Counted> {
        let window = self.open.get_mut(key)?;
        let tally = &mut window.tally;
        tally.repeated = tally.repeated.saturating_add(1);
        tally.last_ns = tally.last_ns.max(time_ns);
        let before = window.summary.replace(id);
        if std::mem::replace(&mut window.is_counted, true) {
            // Nothing is held yet under an id of this batch.
            return Some(Counted { released: None });
        }
        if let Some((key, _)) = self.open.get_key_value(key) {
            self.counted.push(Rc::clone(key));
        }
        Some(Counted { released: before })
    }

    /// The open windows with a count since the last call, each with its key and
    /// the id of the latest record.
    pub fn take_counted<T>(&mut self, mut each: impl FnMut(u64, &[u8], &Window) -> T) -> Vec<T> {
        let mut all = Vec::with_capacity(self.counted.len());
        for key in self.counted.drain(..) {
            if let Some(window) = self.open.get_mut(&key).filter(|window| window.is_counted) {
                window.is_counted = false;
                all.extend(window.summary.map(|id| each(id, &key, window)));
            }
        }
        all
    }

    /// Whether a key has an open window.
    pub fn has(&self, key: &[u8]) -> bool {
        self.open.contains_key(key)
    }

    /// Sorts restored windows by the time at which they first opened.
    pub fn sort(&mut self) {
        let open = &self.open;
        let opened_ns = |key: &Rc<[u8]>| open.get(key).map(|window| window.opened_ns);
        self.order.make_contiguous().sort_by_cached_key(opened_ns);
    }

    /// Opens a window; its key must not have one. Returns the windows that were
    /// closed early to make room.
    pub fn open(&mut self, key: &[u8], window: Window) -> Vec<Closed> {
        let mut early = Vec::new();
        let bytes = self.bytes(key, &window);
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

    /// Removes the windows that have ended. If the clock was set back, their age
    /// is unknown and all of them are closed.
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

    /// Closes all windows.
    pub fn close_all(&mut self) -> Vec<Closed> {
        std::iter::from_fn(|| self.close_first()).collect()
    }

    /// All windows, oldest first.
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
        self.held_bytes -= self.bytes(&key, &window);
        Some((key, window))
    }

    fn bytes(&self, key: &[u8], window: &Window) -> usize {
        key.len() + window.carried.len() + self.overhead_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH_NS: i64 = 10 * NS_PER_SECOND;

    fn windows(max_keys: usize) -> Windows {
        Windows::new(LENGTH_NS, max_keys, 0, 7)
    }

    fn window(opened_ns: i64) -> Window {
        Window::open(opened_ns, Tally { first_ns: 0, last_ns: 0, repeated: 0 })
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
        assert_eq!(windows.count(b"a", 0, 1), None);
        assert!(windows.count(b"c", 0, 2).is_some());
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

    #[test]
    fn a_summary_is_asked_for_once_a_batch_and_releases_the_one_before() {
        let mut windows = windows(10);
        windows.open(b"a", window(0));
        windows.open(b"b", window(0));
        let released = |windows: &mut Windows, key: &[u8], id| windows.count(key, 0, id).map(|it| it.released);
        let summaries =
            |windows: &mut Windows| windows.take_counted(|id, key, window| (id, key.to_vec(), window.tally.repeated));
        assert_eq!([1, 2, 3].map(|id| released(&mut windows, b"a", id)), [Some(None); 3]);
        assert_eq!(summaries(&mut windows), [(3, b"a".to_vec(), 3)]);
        assert_eq!(summaries(&mut windows), []);
        assert_eq!([4, 5].map(|id| released(&mut windows, b"a", id)), [Some(Some(3)), Some(None)]);
        assert_eq!(released(&mut windows, b"b", 6), Some(None));
        windows.close_first();
        windows.open(b"a", window(0));
        assert_eq!(summaries(&mut windows), [(6, b"b".to_vec(), 1)], "one closed and opened anew");
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
                if windows.count(&[key], now_ns, 1).is_none() {
                    windows.open(&[key], window(now_ns));
                }
                prop_assert!(windows.iter().len() <= max_keys);
                prop_assert_eq!(windows.iter().len(), windows.open.len());
                let held: usize =
                    windows.iter().map(|(key, window)| window.map_or(0, |w| windows.bytes(key, w))).sum();
                prop_assert_eq!(held, windows.held_bytes());
            }
        }
    }
}
