//! Too many wrong tokens from one address: they are refused without being looked up, for a while.
//!
//! **A right token is accepted all the same.** 256 random bits can't be guessed, so nothing is lost by it, and a
//! misconfigured program can't lock out its neighbours on the same machine or behind the same router.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::account::network;
use crate::limits;

/// Counts by address.
#[derive(Default)]
pub struct Failures {
    windows: HashMap<IpAddr, Window>,
}

struct Window {
    since: Instant,
    count: u32,
}

impl Failures {
    /// Counts a failure. Returns how long the address has to wait if it has had too many.
    pub fn add(&mut self, address: IpAddr, now: Instant) -> Option<Duration> {
        if self.windows.len() >= limits::MAX_FAILING_ADDRESSES {
            self.forget(now);
        }
        let window = self.windows.entry(network(address)).or_insert(Window { since: now, count: 0 });
        if now.duration_since(window.since) >= limits::FAILURES_INTERVAL {
            *window = Window { since: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        let wait = limits::FAILURES_INTERVAL.saturating_sub(now.duration_since(window.since));
        (window.count > limits::MAX_FAILURES).then_some(wait)
    }

    /// How long the address has to wait, if it has had too many.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let window = self.windows.get(&network(address))?;
        let wait = limits::FAILURES_INTERVAL.checked_sub(now.duration_since(window.since))?;
        (window.count > limits::MAX_FAILURES && !wait.is_zero()).then_some(wait)
    }

    /// Removes those that are over, or the oldest.
    fn forget(&mut self, now: Instant) {
        self.windows.retain(|_, window| now.duration_since(window.since) < limits::FAILURES_INTERVAL);
        let oldest = self.windows.iter().min_by_key(|(_, window)| window.since).map(|(address, _)| *address);
        if let Some(oldest) = oldest.filter(|_| self.windows.len() >= limits::MAX_FAILING_ADDRESSES) {
            self.windows.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_many_failures_has_to_wait_and_others_do_not() {
        let mut failures = Failures::default();
        let now = Instant::now();
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        for _ in 0..limits::MAX_FAILURES {
            assert_eq!(failures.add(one, now), None);
        }
        assert_eq!(failures.wait(one, now), None);
        assert_eq!(failures.add(one, now), Some(limits::FAILURES_INTERVAL));
        assert_eq!(failures.wait(one, now), Some(limits::FAILURES_INTERVAL));
        assert_eq!(failures.wait(other, now), None);
        assert_eq!(failures.wait(one, now + limits::FAILURES_INTERVAL), None);
        assert_eq!(failures.add(other, now), None);
        assert_eq!(failures.add(one, now + limits::FAILURES_INTERVAL), None, "later, it begins anew");
    }

    #[test]
    fn neighbours_in_a_64_bit_network_are_one_address_and_memory_is_bounded() {
        let mut failures = Failures::default();
        let now = Instant::now();
        for n in 0..=limits::MAX_FAILURES {
            let wait = failures.add(format!("2001:db8::{n:x}").parse().expect("an address"), now);
            assert_eq!(wait.is_some(), n == limits::MAX_FAILURES);
        }
        for n in 0..2 * limits::MAX_FAILING_ADDRESSES as u32 {
            failures.add(IpAddr::from(n.to_be_bytes()), now + Duration::from_millis(1));
        }
        assert!(failures.windows.len() <= limits::MAX_FAILING_ADDRESSES);
    }
}
