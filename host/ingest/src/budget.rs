//! The budget of bytes in flight: what all requests together hold, from the first byte of a body to the answer.
//!
//! `post` opens one [`HeldBytes`] per request; `body` and `decompress` grow it as bytes arrive. If the budget is
//! exceeded, requests are refused and not queued, because waiting requests need memory too. Once half of the budget is
//! used, the request heads of one connection are limited to its share of the rest, so that connections which open many
//! requests and finish none leave room for others. One address can't use the last eighth of the budget, which keeps
//! room for others until senders take turns. Invariant: dropping a `HeldBytes` always releases its bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use weir_access::{Account, Turn};

use crate::{limits, reply::Refused, traffic::Usage};

/// The budget shared by all requests of a server.
pub(crate) struct ByteBudget {
    bound_bytes: usize,
    /// Limit for the heads of one connection once half of the budget is used.
    share_bytes: usize,
    /// Limit for one address.
    address_bytes: usize,
    held_bytes: AtomicUsize,
}

impl ByteBudget {
    #[cfg(test)]
    pub(crate) fn new(bound_bytes: usize) -> Arc<ByteBudget> {
        ByteBudget::shared(bound_bytes, 1, bound_bytes)
    }

    /// A budget shared by this many connections, for requests of up to this size.
    pub(crate) fn shared(bound_bytes: usize, connections: usize, largest_bytes: usize) -> Arc<ByteBudget> {
        let share_bytes = (bound_bytes / 4 / connections.max(1)).max(2 * limits::REQUEST_OVERHEAD_BYTES);
        let address_bytes = (bound_bytes / 8 * 7).max(largest_bytes);
        Arc::new(ByteBudget { bound_bytes, share_bytes, address_bytes, held_bytes: AtomicUsize::new(0) })
    }

    /// Bytes currently held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Reserves `bytes` for one request.
    pub(crate) fn hold(self: &Arc<ByteBudget>, bytes: usize) -> Result<HeldBytes, Refused> {
        self.hold_of(bytes, None)
    }

    /// Nothing yet, for a sender with this account.
    pub(crate) fn hold_for(self: &Arc<ByteBudget>, account: Arc<Account>) -> Result<HeldBytes, Refused> {
        self.hold_of(0, Some(account))
    }

    fn hold_of(self: &Arc<ByteBudget>, bytes: usize, account: Option<Arc<Account>>) -> Result<HeldBytes, Refused> {
        let flight = Arc::clone(self);
        let mut held = HeldBytes { flight, bytes: 0, base_bytes: bytes, head_of: None, account, turn: None };
        held.grow(bytes)?;
        Ok(held)
    }

    /// Like [`hold`](Self::hold), for a request head on this connection; `account`: that of its address, if it counts.
    pub(crate) fn hold_head(
        self: &Arc<ByteBudget>,
        bytes: usize,
        connection: &Arc<Usage>,
        account: Option<Arc<Account>>,
    ) -> Result<HeldBytes, Refused> {
        let before = connection.head_bytes.load(Ordering::Relaxed);
        if before + bytes > self.share_bytes && self.held_bytes() > self.bound_bytes / 2 {
            return Err(self.full());
        }
        let mut held = self.hold_of(bytes, account)?;
        connection.head_bytes.fetch_add(bytes, Ordering::Relaxed);
        held.head_of = Some(Arc::clone(connection));
        Ok(held)
    }

    fn full(&self) -> Refused {
        Refused::busy(format!(
            "too much in flight: {} of {} bytes are waiting to be stored; retry in a moment",
            self.held_bytes(),
            self.bound_bytes
        ))
    }
}

/// The bytes held by one request. Dropping it releases them.
pub(crate) struct HeldBytes {
    flight: Arc<ByteBudget>,
    bytes: usize,
    /// The part held for the whole request.
    base_bytes: usize,
    /// The connection whose heads include these bytes.
    head_of: Option<Arc<Usage>>,
    /// That of the sender's address.
    account: Option<Arc<Account>>,
    /// Ends with the request.
    pub(crate) turn: Option<Turn>,
}

impl HeldBytes {
    /// Reserves `more` bytes, or refuses if that exceeds the budget.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refused> {
        let before = self.flight.held_bytes.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.flight.bound_bytes {
            self.flight.held_bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(self.flight.full());
        }
        if let Some(account) = &self.account
            && !account.hold(more, self.flight.address_bytes)
        {
            self.flight.held_bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(self.flight.full());
        }
        self.bytes += more;
        Ok(())
    }

    /// Releases `less` bytes early.
    pub(crate) fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.release(less);
        self.bytes -= less;
    }

    fn release(&self, bytes: usize) {
        self.flight.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(account) = &self.account {
            account.release(bytes);
        }
    }

    /// Changes the held bytes to the initial ones plus `bytes`, because another form of the same content replaces it.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), Refused> {
        let bytes = self.base_bytes + bytes;
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.shrink(self.bytes - bytes);
        Ok(())
    }

    /// Keeps `bytes` of what is held, for an answer, and ends the sender's turn.
    pub(crate) fn for_answer(mut self, bytes: usize) -> HeldBytes {
        self.shrink(self.bytes.saturating_sub(self.base_bytes + bytes));
        self.turn = None;
        self
    }

    /// Whether `more` bytes would fit now. A hint, to refuse a long body before reading it.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        let is_own = |account: &Arc<Account>| account.held().saturating_add(more) <= self.flight.address_bytes;
        self.account.as_ref().is_none_or(is_own)
            && self.flight.held_bytes().saturating_add(more) <= self.flight.bound_bytes
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.release(self.bytes);
        if let Some(connection) = &self.head_of {
            connection.head_bytes.fetch_sub(self.base_bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use weir_access::Access;

    use super::*;

    #[test]
    fn a_request_over_the_budget_is_refused_and_holds_nothing() {
        let flight = ByteBudget::new(100);
        let mut first = flight.hold(60).unwrap();
        assert_eq!(flight.hold(41).err().unwrap().status.as_u16(), 503);
        assert_eq!(flight.held_bytes(), 60);
        first.grow(40).unwrap();
        assert!(first.grow(1).is_err());
        assert_eq!(flight.held_bytes(), 100);
    }

    #[test]
    fn bytes_are_released_when_a_request_ends() {
        let flight = ByteBudget::new(100);
        let mut held = flight.hold(80).unwrap();
        held.shrink(30);
        assert_eq!(flight.held_bytes(), 50);
        held.shrink(1000);
        assert_eq!(flight.held_bytes(), 0);
        held.grow(100).unwrap();
        drop(held);
        assert_eq!(flight.held_bytes(), 0);
    }

    #[test]
    fn a_connection_is_limited_to_its_share_once_half_is_used() {
        // A quarter of 800 KiB shared by 10 connections: 20 KiB each.
        let flight = ByteBudget::shared(800 << 10, 10, 0);
        let (greedy, modest) = (Usage::begin(), Usage::begin());
        let account = |n| Access::new(true).account(IpAddr::from([10, 0, 0, n]));
        let (theirs, own) = (account(1), account(2));
        let mut heads = Vec::new();
        while let Ok(held) = flight.hold_head(8 << 10, &greedy, Some(theirs.clone())) {
            heads.push(held);
        }
        assert_eq!(flight.held_bytes(), 408 << 10);
        let two = [
            flight.hold_head(8 << 10, &modest, Some(own.clone())).unwrap(),
            flight.hold_head(8 << 10, &modest, Some(own.clone())).unwrap(),
        ];
        assert!(flight.hold_head(8 << 10, &modest, Some(own.clone())).is_err());
        drop(two);
        assert!(flight.hold_head(8 << 10, &modest, Some(own.clone())).is_ok());
        drop(heads);
        assert!(flight.hold_head(8 << 10, &greedy, Some(theirs.clone())).is_ok());
    }

    #[test]
    fn one_address_leaves_an_eighth_to_others_if_the_largest_request_fits() {
        let access = Access::new(true);
        let [greedy, other] = [1, 2].map(|n| access.account(IpAddr::from([10, 0, 0, n])));
        let flight = ByteBudget::shared(400 << 10, 1, 100 << 10);
        let mut held = flight.hold_head(1 << 10, &Usage::begin(), Some(greedy.clone())).unwrap();
        held.grow(349 << 10).unwrap();
        assert!(!held.has_room(1));
        assert!(flight.hold_head(1 << 10, &Usage::begin(), Some(greedy.clone())).is_err());
        let mut small = flight.hold_head(1 << 10, &Usage::begin(), Some(other.clone())).unwrap();
        assert!(small.has_room(49 << 10) && small.grow(49 << 10).is_ok());
        drop((held, small));
        assert_eq!((greedy.held(), other.held(), flight.held_bytes()), (0, 0, 0));
        let flight = ByteBudget::shared(400 << 10, 1, 390 << 10);
        assert!(flight.hold_head(390 << 10, &Usage::begin(), Some(greedy)).is_ok());
    }

    #[test]
    fn resizing_keeps_the_initial_bytes() {
        let flight = ByteBudget::new(100);
        let mut held = flight.hold(10).unwrap();
        held.grow(50).unwrap();
        held.resize(20).unwrap();
        assert_eq!(flight.held_bytes(), 30);
        assert!(held.resize(91).is_err());
        held.resize(90).unwrap();
        assert_eq!(flight.held_bytes(), 100);
    }

    #[test]
    fn what_an_answer_needs_stays_held_until_it_is_sent() {
        let flight = ByteBudget::new(100);
        let mut held = flight.hold(10).unwrap();
        held.grow(80).unwrap();
        let held = held.for_answer(30);
        assert_eq!(flight.held_bytes(), 40);
        drop(held);
        assert_eq!(flight.held_bytes(), 0);
    }
}
