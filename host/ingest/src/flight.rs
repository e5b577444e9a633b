//! The bound on bytes in flight: what all requests together hold, from the first byte of a body until its answer.
//!
//! `post` opens one [`Held`] per request, `body` and `decompress` grow it as bytes come in. Over the bound a request is
//! refused rather than made to wait: waiting requests hold memory too. Invariant: what a `Held` counts is given back
//! when it is dropped, on every path.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::reply::Refused;

/// The account of all requests of one server.
pub(crate) struct Flight {
    bound_bytes: usize,
    held_bytes: AtomicUsize,
}

impl Flight {
    pub(crate) fn new(bound_bytes: usize) -> Arc<Flight> {
        Arc::new(Flight { bound_bytes, held_bytes: AtomicUsize::new(0) })
    }

    /// Bytes held now.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Opens an account for one request, holding `bytes` at once.
    pub(crate) fn hold(self: &Arc<Flight>, bytes: usize) -> Result<Held, Refused> {
        let mut held = Held { flight: Arc::clone(self), bytes: 0 };
        held.grow(bytes)?;
        Ok(held)
    }
}

/// What one request holds; gives it back on drop.
pub(crate) struct Held {
    flight: Arc<Flight>,
    bytes: usize,
}

impl Held {
    /// Holds `more` bytes, or refuses because all requests together would be over the bound.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Refused> {
        let before = self.flight.held_bytes.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.flight.bound_bytes {
            self.flight.held_bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(Refused::busy(format!(
                "too much in flight: {before} of {} bytes are waiting to be stored; send again in a moment",
                self.flight.bound_bytes
            )));
        }
        self.bytes += more;
        Ok(())
    }

    /// Gives `less` bytes back early.
    pub(crate) fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.flight.held_bytes.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }

    /// Bytes held by this request.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds `bytes` in all from now on: another form of the same content took its place.
    pub(crate) fn become_bytes(&mut self, bytes: usize) -> Result<(), Refused> {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.shrink(self.bytes - bytes);
        Ok(())
    }

    /// Whether `more` bytes would fit now; a hint that lets a long body be refused before it is read.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.flight.held_bytes().saturating_add(more) <= self.flight.bound_bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.flight.held_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_the_bound_a_request_is_refused_and_nothing_stays_counted() {
        let flight = Flight::new(100);
        let mut first = flight.hold(60).unwrap();
        assert_eq!(flight.hold(41).err().unwrap().status.as_u16(), 503);
        assert_eq!(flight.held_bytes(), 60);
        first.grow(40).unwrap();
        assert!(first.grow(1).is_err());
        assert_eq!(flight.held_bytes(), 100);
    }

    #[test]
    fn what_a_request_held_is_free_again_when_it_ends() {
        let flight = Flight::new(100);
        let mut held = flight.hold(80).unwrap();
        held.shrink(30);
        assert_eq!(flight.held_bytes(), 50);
        held.shrink(1000);
        assert_eq!(flight.held_bytes(), 0);
        held.grow(100).unwrap();
        drop(held);
        assert_eq!(flight.held_bytes(), 0);
    }
}
