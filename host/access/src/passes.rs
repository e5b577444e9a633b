//! Sessions and tickets: secrets that stand for a token for a while, so that the token itself is neither kept by a
//! browser nor part of an address.
//!
//! A session is a cookie of the page; it lasts for days. A ticket opens one stream, within seconds. Both are kept by
//! their hash, like tokens, and hold the hash of their token: whoever uses one is looked up again, so a revoked token
//! ends them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::limits;
use crate::token::{Token, TokenHash};

/// The name of the page's cookie.
pub const SESSION_COOKIE: &str = "weir_session";

/// Secrets that are valid now.
pub struct Passes {
    by_hash: HashMap<TokenHash, Pass>,
    idle: Duration,
    lifetime: Duration,
    most: usize,
}

struct Pass {
    token: TokenHash,
    made: Instant,
    used: Instant,
}

impl Passes {
    /// No session.
    pub fn sessions() -> Passes {
        Passes::new(limits::SESSION_IDLE, limits::SESSION_LIFETIME, limits::MAX_SESSIONS)
    }

    /// No ticket.
    pub fn tickets() -> Passes {
        Passes::new(limits::TICKET_LIFETIME, limits::TICKET_LIFETIME, limits::MAX_TICKETS)
    }

    fn new(idle: Duration, lifetime: Duration, most: usize) -> Passes {
        Passes { by_hash: HashMap::new(), idle, lifetime, most }
    }

    /// Makes one for a token.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn make(&mut self, token: TokenHash, now: Instant) -> Result<Token, getrandom::Error> {
        let secret = Token::random()?;
        let (idle, lifetime) = (self.idle, self.lifetime);
        self.by_hash.retain(|_, pass| pass.is_valid(idle, lifetime, now));
        if self.by_hash.len() >= self.most {
            let oldest = self.by_hash.iter().min_by_key(|(_, pass)| pass.used).map(|(hash, _)| *hash);
            oldest.map(|oldest| self.by_hash.remove(&oldest));
        }
        self.by_hash.insert(secret.hash(), Pass { token, made: now, used: now });
        Ok(secret)
    }

    /// The token of one that is valid, which counts as a use.
    pub fn find(&mut self, secret: &str, now: Instant) -> Option<TokenHash> {
        let (idle, lifetime) = (self.idle, self.lifetime);
        let pass = self.by_hash.get_mut(&TokenHash::of(secret.as_bytes()))?;
        if !pass.is_valid(idle, lifetime, now) {
            return None;
        }
        pass.used = now;
        Some(pass.token)
    }

    /// The token of one that is valid, for the last time.
    pub fn take(&mut self, secret: &str, now: Instant) -> Option<TokenHash> {
        let token = self.find(secret, now);
        self.by_hash.remove(&TokenHash::of(secret.as_bytes()));
        token
    }
}

impl Pass {
    fn is_valid(&self, idle: Duration, lifetime: Duration, now: Instant) -> bool {
        now.duration_since(self.used) < idle && now.duration_since(self.made) < lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let mut sessions = Passes::sessions();
        let token = TokenHash::of(b"token");
        let mut now = Instant::now();
        let cookie = sessions.make(token, now).expect("random");
        assert_eq!(sessions.find("another", now), None);
        let end = now + limits::SESSION_LIFETIME;
        while now < end {
            assert_eq!(sessions.find(cookie.reveal(), now), Some(token));
            now += limits::SESSION_IDLE / 2;
        }
        assert_eq!(sessions.find(cookie.reveal(), now), None);
        let unused = sessions.make(token, now).expect("random");
        assert_eq!(sessions.find(unused.reveal(), now + limits::SESSION_IDLE), None);
    }

    #[test]
    fn a_ticket_is_good_once_and_for_seconds() {
        let mut tickets = Passes::tickets();
        let token = TokenHash::of(b"token");
        let now = Instant::now();
        let ticket = tickets.make(token, now).expect("random");
        assert_eq!(tickets.take(ticket.reveal(), now), Some(token));
        assert_eq!(tickets.take(ticket.reveal(), now), None);
        let late = tickets.make(token, now).expect("random");
        assert_eq!(tickets.take(late.reveal(), now + limits::TICKET_LIFETIME), None);
        for _ in 0..limits::MAX_TICKETS + 10 {
            tickets.make(token, now).expect("random");
        }
        assert_eq!(tickets.by_hash.len(), limits::MAX_TICKETS);
    }
}
