//! From what a request shows to its caller.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use weir_query::Query;
use weir_record::Record;
use weir_record::time::now_ns;

use crate::account::{Account, Accounts};
use crate::certificate::ClientCertificate;
use crate::charge::LastLine;
use crate::failures::Failures;
use crate::grant::{Grant, Role};
use crate::limits;
use crate::passes::Passes;
use crate::quota::{AddressQuotas, Quota, Resource};
use crate::share::Sharing;
use crate::token::{Token, TokenHash};

/// What a request shows.
#[derive(Clone, Copy)]
pub enum Credential<'r> {
    Nothing,
    Token(&'r str),
    /// The page's cookie.
    Session(&'r str),
    /// Good for one stream.
    Ticket(&'r str),
    /// Of the connection.
    Certificate(&'r ClientCertificate),
}

/// Why a request is refused. The texts are for its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this weir needs a token: send the header `authorization: Bearer TOKEN`; `weir token new` makes one")]
    Missing,
    #[error(
        "no token exists yet, and without one nothing is open on this address; `weir token new NAME --role ROLE` makes \
         one"
    )]
    NoTokens,
    #[error("this token is not known, or it was revoked")]
    Unknown,
    #[error(
        "no token is for this client certificate ({0}); an operator adds `certificate = \"…\"` with one of these to a \
         [token.NAME]"
    )]
    Certificate(String),
    #[error("the client certificate has expired; connect with a new one")]
    ExpiredCertificate,
    #[error("the session or ticket is over; log in again")]
    Over,
    #[error("the token `{0}` has expired; `weir token new` makes another one")]
    Expired(String),
    #[error("too many wrong tokens came from this address; wait {} s", .0.as_secs().max(1))]
    TooMany(Duration),
    #[error("too many wrong keys came from this address; wait {} s", .0.as_secs().max(1))]
    TooManyKeys(Duration),
    #[error("the token `{name}` has the role {has}, and this needs {needs}")]
    Role { name: String, has: Role, needs: Role },
    #[error("the token `{name}` is not for {what}")]
    Scope { name: String, what: String },
    #[error("{who} {}; wait {} s", .resource.limited_to(*.limit), seconds(*.wait))]
    Limited { who: String, resource: Resource, limit: u64, wait: Duration },
}

/// Whole seconds: who waits so long has waited long enough.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Denied {
    /// The status code of HTTP.
    pub fn status(&self) -> u16 {
        match self {
            Denied::Missing
            | Denied::NoTokens
            | Denied::Unknown
            | Denied::Certificate(_)
            | Denied::ExpiredCertificate
            | Denied::Over
            | Denied::Expired(_) => 401,
            Denied::TooMany(_) | Denied::TooManyKeys(_) | Denied::Limited { .. } => 429,
            Denied::Role { .. } | Denied::Scope { .. } => 403,
        }
    }

    /// When to come back, in whole seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Denied::TooMany(wait) | Denied::TooManyKeys(wait) | Denied::Limited { wait, .. } => {
                Some(Duration::from_secs(seconds(*wait)))
            }
            _ => None,
        }
    }
}

/// Where a request comes from, and who sent it, as far as that is known.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// That of the address.
    pub account: Arc<Account>,
    /// Its connection is encrypted.
    pub is_encrypted: bool,
    pub caller: Result<Caller, Denied>,
}

impl Peer {
    /// The caller, who may do what a role is for.
    ///
    /// # Errors
    /// Why not.
    pub fn permitted(&self, role: Role) -> Result<Caller, Denied> {
        let caller = self.caller.clone()?;
        caller.require(role).map(|()| caller)
    }
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub struct Caller {
    pub address: IpAddr,
    /// That of the address.
    pub(crate) account: Arc<Account>,
    /// `None`: nothing is checked.
    grant: Option<Arc<Grant>>,
}

impl Caller {
    /// A caller that may do everything.
    pub fn unchecked(address: IpAddr, account: &Arc<Account>) -> Caller {
        Caller { address, account: account.clone(), grant: None }
    }

    /// The name of the token.
    pub fn name(&self) -> Option<&str> {
        self.grant.as_ref().map(|grant| grant.entry.name.as_str())
    }

    /// What the token permits; `None` if nothing is checked.
    pub fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// The records that may be read or sent; `None`: all.
    pub fn scope(&self) -> Option<&Query> {
        self.grant.as_ref().and_then(|grant| grant.scope())
    }

    /// Whether a record may be read or sent.
    pub fn admits(&self, record: Record<'_>) -> bool {
        self.grant.as_ref().is_none_or(|grant| grant.admits(record))
    }

    /// Refuses a caller who may not do what a role is for.
    ///
    /// # Errors
    /// The reason, for the caller.
    pub fn require(&self, role: Role) -> Result<(), Denied> {
        let Some(grant) = &self.grant else { return Ok(()) };
        if grant.entry.role.includes(role) {
            return Ok(());
        }
        Err(Denied::Role { name: grant.entry.name.clone(), has: grant.entry.role, needs: role })
    }

    /// The refusal of something outside the records that the token is for.
    pub fn out_of_scope(&self, what: impl Into<String>) -> Denied {
        Denied::Scope { name: self.name().unwrap_or_default().to_owned(), what: what.into() }
    }
}

/// The tokens of a router.
pub struct Access {
    /// Whether nothing is checked as long as there is no token.
    is_open_without_tokens: bool,
    grants: ArcSwap<HashMap<TokenHash, Arc<Grant>>>,
    /// The key of the data folder: whoever can read that may do everything.
    key: Option<Arc<Grant>>,
    sessions: Mutex<Passes>,
    tickets: Mutex<Passes>,
    failures: Mutex<Failures>,
    /// Wrong keys that people made up. They are counted apart, so that a program with a wrong token doesn't keep others
    /// with the same address from showing a right key.
    guesses: Mutex<Failures>,
    pub(crate) quotas: ArcSwap<AddressQuotas>,
    pub(crate) accounts: Mutex<Accounts>,
    pub(crate) sharing: Sharing,
    /// The moment from which time is counted.
    pub(crate) since: Instant,
    pub(crate) last_line: Mutex<LastLine>,
}

impl Access {
    /// No token. `is_open_without_tokens`: nothing is checked as long as there is none.
    pub fn new(is_open_without_tokens: bool) -> Access {
        Access {
            is_open_without_tokens,
            grants: ArcSwap::default(),
            key: None,
            sessions: Mutex::new(Passes::sessions()),
            tickets: Mutex::new(Passes::tickets()),
            failures: Mutex::default(),
            guesses: Mutex::default(),
            quotas: ArcSwap::from_pointee(AddressQuotas::new(&Quota::default())),
            accounts: Mutex::default(),
            sharing: Sharing::default(),
            since: Instant::now(),
            last_line: Mutex::default(),
        }
    }

    /// With a key that permits everything, and doesn't count as a token.
    #[must_use]
    pub fn with_key(self, key: &str) -> Access {
        Access { key: Some(Arc::new(Grant::of_data_folder(TokenHash::of(key.as_bytes())))), ..self }
    }

    /// Replaces the tokens. What those that stay have in use stays counted.
    pub fn set(&self, grants: impl IntoIterator<Item = Grant>) {
        let before = self.grants.load();
        let by_name: HashMap<&str, &Arc<Grant>> =
            before.values().map(|grant| (grant.entry.name.as_str(), grant)).collect();
        let by_hash = grants.into_iter().map(|grant| {
            let earlier = by_name.get(grant.entry.name.as_str()).copied();
            (grant.entry.hash, Arc::new(grant.continuing(earlier)))
        });
        self.grants.store(Arc::new(by_hash.collect()));
    }

    /// Whether there is no token.
    pub fn has_no_tokens(&self) -> bool {
        self.grants.load().is_empty()
    }

    /// Whether nothing is checked.
    pub fn is_open(&self) -> bool {
        self.is_open_without_tokens && self.has_no_tokens()
    }

    /// Who shows this. `account`: that of the address.
    ///
    /// # Errors
    /// The reason why nobody is known by it.
    pub fn caller(&self, shown: Credential<'_>, address: IpAddr, account: &Arc<Account>) -> Result<Caller, Denied> {
        if self.is_open() {
            return Ok(Caller::unchecked(address, account));
        }
        let now = Instant::now();
        let found = match shown {
            Credential::Nothing if self.has_no_tokens() => return Err(Denied::NoTokens),
            Credential::Nothing => return Err(Denied::Missing),
            Credential::Token(token) if token.len() > limits::MAX_SHOWN_BYTES => None,
            Credential::Token(token) => Some(TokenHash::of(token.as_bytes())),
            Credential::Session(cookie) => Some(locked(&self.sessions).find(cookie, now).ok_or(Denied::Over)?),
            Credential::Ticket(ticket) => locked(&self.tickets).take(ticket, now),
            Credential::Certificate(certificate) if certificate.has_expired() => {
                return Err(Denied::ExpiredCertificate);
            }
            Credential::Certificate(certificate) => {
                let known = certificate.hashes().iter().find(|hash| self.grants.load().contains_key(hash)).copied();
                Some(known.ok_or_else(|| Denied::Certificate(certificate.shown().to_owned()))?)
            }
        };
        match found.and_then(|hash| self.grant(hash)) {
            Some(grant) if grant.has_expired(now_ns()) => Err(Denied::Expired(grant.entry.name.clone())),
            Some(grant) => Ok(Caller { address, account: account.clone(), grant: Some(grant) }),
            None => Err(match locked(&self.failures).add(address, now) {
                Some(wait) => Denied::TooMany(wait),
                None if matches!(shown, Credential::Ticket(_)) => Denied::Over,
                None => Denied::Unknown,
            }),
        }
    }

    fn grant(&self, hash: TokenHash) -> Option<Arc<Grant>> {
        let key = self.key.as_ref().filter(|key| key.entry.hash == hash);
        key.cloned().or_else(|| self.grants.load().get(&hash).cloned())
    }

    /// Counts something else that was refused, like a wrong token. Returns false if the address has had too much refused.
    pub fn note_refusal(&self, address: IpAddr) -> bool {
        locked(&self.failures).add(address, Instant::now()).is_none()
    }

    /// Counts a wrong key or password. People make them up, so they could be guessed: see
    /// [`admit_guess`](Self::admit_guess).
    pub fn note_wrong_guess(&self, address: IpAddr) {
        locked(&self.guesses).add(address, Instant::now());
    }

    /// Refuses an address that has shown too many wrong keys. Unlike a token, not even the right one is then accepted.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn admit_guess(&self, address: IpAddr) -> Result<(), Denied> {
        locked(&self.guesses).wait(address, Instant::now()).map_or(Ok(()), |wait| Err(Denied::TooManyKeys(wait)))
    }

    /// Whether a caller's token is still valid.
    pub fn is_current(&self, caller: &Caller) -> bool {
        match &caller.grant {
            None => self.is_open(),
            Some(grant) => {
                let current = self.grant(grant.entry.hash);
                current.is_some_and(|current| current.entry == grant.entry && !grant.has_expired(now_ns()))
            }
        }
    }

    /// Starts a session. `None` if nothing is checked.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn open_session(&self, caller: &Caller) -> Result<Option<Token>, getrandom::Error> {
        make(&self.sessions, caller)
    }

    /// Ends a session.
    pub fn close_session(&self, cookie: &str) {
        locked(&self.sessions).take(cookie, Instant::now());
    }

    /// Makes a ticket. `None` if nothing is checked.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn ticket(&self, caller: &Caller) -> Result<Option<Token>, getrandom::Error> {
        make(&self.tickets, caller)
    }
}

fn make(passes: &Mutex<Passes>, caller: &Caller) -> Result<Option<Token>, getrandom::Error> {
    let Some(grant) = &caller.grant else { return Ok(None) };
    locked(passes).make(grant.entry.hash, Instant::now()).map(Some)
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
