//! What an address or a token uses at present.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::bucket::{Bucket, Ns};
use crate::limits;
use crate::quota::Resource;
use crate::share::Turns;

/// Searches that wait for one to end are counted after those resources that have an index.
const WAITING: usize = Resource::ALL.len();

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Address,
    Token,
    /// All senders of a listener.
    Listener,
}

impl Of {
    /// Its name in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Of::Address => "address",
            Of::Token => "token",
            Of::Listener => "listener",
        }
    }
}

/// What one address, one token or one listener uses. In IPv6, a whole /64 counts as one address.
pub struct Account {
    /// For messages: `10.0.0.7`, or `the token ci`.
    pub(crate) name: String,
    pub(crate) of: Of,
    pub(crate) is_loopback: bool,
    /// Of requests, records and bytes.
    buckets: [Bucket; 3],
    /// Connections, streams, searches, and searches that wait. The places of what has buckets are unused.
    in_use: [AtomicU64; WAITING + 1],
    /// Bytes of its requests in progress.
    held_bytes: AtomicUsize,
    /// A search has ended.
    pub(crate) search_ended: Notify,
    /// The turns of an address, by token.
    turns: Mutex<Vec<(Option<Arc<Account>>, Turns)>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Account").field(&self.name).finish()
    }
}

impl Account {
    fn new(name: String, of: Of, is_loopback: bool) -> Arc<Account> {
        Arc::new(Account {
            name,
            of,
            is_loopback,
            buckets: Default::default(),
            in_use: Default::default(),
            held_bytes: AtomicUsize::new(0),
            search_ended: Notify::new(),
            turns: Mutex::default(),
        })
    }

    pub(crate) fn of_token(name: &str) -> Arc<Account> {
        Account::new(format!("the token {name}"), Of::Token, false)
    }

    pub(crate) fn of_listener(name: &str) -> Arc<Account> {
        Account::new(format!("all senders of {name}"), Of::Listener, false)
    }

    /// One that belongs to no table.
    pub(crate) fn of_address(address: IpAddr) -> Arc<Account> {
        let network = network(address);
        let name = if network.is_ipv6() { format!("{network}/64") } else { network.to_string() };
        Account::new(name, Of::Address, network.is_loopback())
    }

    pub(crate) fn bucket(&self, resource: Resource) -> &Bucket {
        &self.buckets[resource.index()]
    }

    /// Takes a place, unless `limit` are taken.
    pub(crate) fn place(self: &Arc<Account>, resource: Resource, limit: u64) -> Option<Place> {
        self.place_at(resource.index(), limit)
    }

    /// The same among the searches that wait.
    pub(crate) fn waiting_place(self: &Arc<Account>, limit: u64) -> Option<Place> {
        self.place_at(WAITING, limit)
    }

    fn place_at(self: &Arc<Account>, index: usize, limit: u64) -> Option<Place> {
        let free = |taken: u64| (taken < limit).then_some(taken + 1);
        self.in_use[index].fetch_update(Ordering::AcqRel, Ordering::Relaxed, free).ok()?;
        Some(Place { account: self.clone(), index })
    }

    /// Counts bytes of a request in progress, unless there would be more than `most`.
    pub fn hold(&self, bytes: usize, most: usize) -> bool {
        let fits = self.held_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= most;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Counts bytes that [`hold`](Self::hold) counted no longer.
    pub fn release(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are counted now.
    pub fn held(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// The turns of this address with a token, or without one.
    pub(crate) fn turns(&self, token: Option<&Arc<Account>>) -> Turns {
        // A panic can't leave the list inconsistent.
        let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |other: &Option<Arc<Account>>| match (token, other) {
            (Some(token), Some(other)) => Arc::ptr_eq(token, other),
            (token, other) => token.is_none() && other.is_none(),
        };
        if let Some((_, turns)) = all.iter().find(|(other, _)| is_same(other)) {
            return turns.clone();
        }
        if all.len() >= limits::TOKENS_OF_ADDRESS {
            all.retain(|(_, turns)| turns.is_in_use());
        }
        let turns = Turns::default();
        all.push((token.cloned(), turns.clone()));
        turns
    }

    /// Whether forgetting it changes nothing.
    fn is_at_rest(&self, now: Ns) -> bool {
        self.buckets.iter().all(|bucket| bucket.is_full(now))
    }
}

/// A place among those that an account may have at a time, until it is dropped.
pub struct Place {
    account: Arc<Account>,
    index: usize,
}

impl Place {
    /// Whether it is one of this account.
    pub fn is_of(&self, account: &Arc<Account>) -> bool {
        Arc::ptr_eq(&self.account, account)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.account.in_use[self.index].fetch_sub(1, Ordering::AcqRel);
        if self.index == Resource::Searches.index() {
            self.account.search_ended.notify_one();
        }
    }
}

/// The accounts of addresses. An address that has no connection, and nothing to pay off, can be forgotten.
pub struct Accounts {
    by_network: HashMap<IpAddr, Arc<Account>>,
    /// With so many, some are forgotten.
    forget_at: usize,
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts { by_network: HashMap::new(), forget_at: limits::MAX_ADDRESSES }
    }
}

impl Accounts {
    /// The account of an address.
    pub fn of(&mut self, address: IpAddr, now: Ns) -> Arc<Account> {
        let network = network(address);
        if let Some(account) = self.by_network.get(&network) {
            return account.clone();
        }
        if self.by_network.len() >= self.forget_at {
            self.forget(now);
        }
        let account = Account::of_address(address);
        self.by_network.insert(network, account.clone());
        account
    }

    /// Forgets addresses that are at rest; if that isn't enough, all without a connection.
    fn forget(&mut self, now: Ns) {
        let is_used = |account: &Arc<Account>| Arc::strong_count(account) > 1;
        self.by_network.retain(|_, account| is_used(account) || !account.is_at_rest(now));
        if self.by_network.len() > limits::MAX_ADDRESSES / 2 {
            self.by_network.retain(|_, account| is_used(account));
        }
        // If all are in use, the next search for others waits until there are twice as many.
        self.forget_at = limits::MAX_ADDRESSES.max(2 * self.by_network.len());
    }
}

/// In IPv6, one customer has a whole /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bucket::Rate;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn a_hundred_thousand_addresses_take_bounded_memory_and_those_in_use_are_kept() {
        let mut accounts = Accounts::default();
        let connected: Vec<_> = (0..100).map(|n| accounts.of(ip(n), 0)).collect();
        let rate = Rate { per_second: 1, burst: Duration::from_secs(1) };
        for n in 100..100_100 {
            accounts.of(ip(n), 0).bucket(Resource::Requests).take(1, rate, 0).expect("it is full");
            assert!(accounts.by_network.len() <= limits::MAX_ADDRESSES);
        }
        for (n, account) in connected.iter().enumerate() {
            assert!(Arc::ptr_eq(account, &accounts.of(ip(n as u32), 0)), "{n}");
        }
    }

    #[test]
    fn an_address_that_has_something_to_pay_off_is_forgotten_last() {
        let mut accounts = Accounts::default();
        let rate = Rate { per_second: 1, burst: Duration::from_secs(1) };
        accounts.of(ip(0), 0).bucket(Resource::Records).take(100, rate, 0).expect("it is full");
        for n in 1..100_000 {
            accounts.of(ip(n), 0);
        }
        assert!(accounts.of(ip(0), 0).bucket(Resource::Records).check(rate, 0).is_err());
    }

    #[test]
    fn more_addresses_in_use_than_are_remembered_are_counted_all_the_same() {
        let mut accounts = Accounts::default();
        let used: Vec<_> = (0..3 * limits::MAX_ADDRESSES as u32).map(|n| accounts.of(ip(n), 0)).collect();
        assert_eq!(accounts.by_network.len(), used.len());
        drop(used);
        for n in 0..200_000 {
            accounts.of(ip(1 << 24 | n), 0);
        }
        assert!(accounts.by_network.len() <= limits::MAX_ADDRESSES, "{}", accounts.by_network.len());
    }

    #[test]
    fn neighbours_in_a_64_bit_network_share_an_account() {
        let mut accounts = Accounts::default();
        let mut of = |text: &str| accounts.of(text.parse().expect("an address"), 0);
        assert!(Arc::ptr_eq(&of("2001:db8::1"), &of("2001:db8::ffff:1")));
        assert!(!Arc::ptr_eq(&of("2001:db8::1"), &of("2001:db8:0:1::1")));
        assert!(Arc::ptr_eq(&of("10.0.0.7"), &of("::ffff:10.0.0.7")));
        assert!(!Arc::ptr_eq(&of("10.0.0.7"), &of("10.0.0.8")));
        assert!(of("::1").is_loopback && of("127.0.0.2").is_loopback && !of("10.0.0.7").is_loopback);
    }

    #[test]
    fn each_token_of_an_address_has_its_turns_and_unused_ones_are_forgotten() {
        let address = Account::of_address(ip(1));
        let (one, other) = (Account::of_token("one"), Account::of_token("other"));
        let held = [None, Some(&one), Some(&other)].map(|token| address.turns(token));
        assert!(held[0] == address.turns(None) && held[1] == address.turns(Some(&one)));
        assert!(held[0] != held[1] && held[1] != held[2]);
        for n in 0..10_000 {
            address.turns(Some(&Account::of_token(&n.to_string())));
            assert!(address.turns.lock().unwrap().len() <= limits::TOKENS_OF_ADDRESS);
        }
        assert!(held[2] == address.turns(Some(&other)));
    }

    #[test]
    fn places_are_limited_and_free_once_dropped() {
        let account = Account::of_address(ip(1));
        let places: Vec<_> = (0..3).map(|_| account.place(Resource::Streams, 3).expect("it is free")).collect();
        assert!(account.place(Resource::Streams, 3).is_none());
        assert!(account.place(Resource::Searches, 3).is_some(), "others are counted by themselves");
        drop(places);
        assert!(account.place(Resource::Streams, 1).is_some());
    }
}
