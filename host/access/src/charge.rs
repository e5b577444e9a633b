//! Charges a caller for what it uses, and refuses what exceeds its quota.
//!
//! What a token's quota limits is charged to the token, everything else to the address. Refusals are counted, and
//! logged with who it was, one line a second. Invariant: nothing is taken for a request that is refused, but for the
//! request itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::access::{Access, Caller, Denied, locked};
use crate::account::{Account, Place};
use crate::bucket::{Bucket, Ns, Rate};
use crate::limits;
use crate::quota::{AddressQuotas, Quota, Resource};
use crate::share::Turn;

const LIMITED: &str = "weir_limited_total";

/// Describes the metrics. The binary calls it once, after installing a recorder.
pub fn describe_metrics() {
    metrics::describe_counter!(
        LIMITED,
        "Requests and connections refused because of a limit, by what is limited, and whether an address, a token or a \
         listener is."
    );
}

/// When a refusal was last logged, and how many there were since.
#[derive(Default)]
pub(crate) struct LastLine {
    at: Option<Instant>,
    left_out: u64,
}

impl LastLine {
    /// Returns how many lines were left out, if one may be logged now.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.at.is_some_and(|at| now.duration_since(at) < limits::LOG_INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.at = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Access {
    /// Replaces the quotas of addresses.
    pub fn set_quota_of_addresses(&self, quota: &Quota) {
        self.quotas.store(Arc::new(AddressQuotas::new(quota)));
    }

    /// The account of an address. A connection keeps it, so that it isn't forgotten.
    pub fn account(&self, address: IpAddr) -> Arc<Account> {
        locked(&self.accounts).of(address, self.now())
    }

    /// A place for a connection from an address. `None`: it isn't limited.
    ///
    /// # Errors
    /// The address has too many.
    pub fn connection(&self, account: &Arc<Account>) -> Result<Option<Place>, Denied> {
        let quotas = self.quotas.load();
        let limit = quotas.of(account.is_loopback).get(Resource::Connections);
        self.place_of(account, Resource::Connections, limit.unwrap_or_default())
    }

    /// A place for a connection among those of its token. `None`: the token has no limit of its own.
    ///
    /// # Errors
    /// The token has too many.
    pub fn connection_of_token(&self, token: &Arc<Account>, limit: u64) -> Result<Option<Place>, Denied> {
        self.place_of(token, Resource::Connections, limit)
    }

    /// A place for a live stream. `None`: it isn't limited.
    ///
    /// # Errors
    /// The caller has too many.
    pub fn stream(&self, caller: &Caller) -> Result<Option<Place>, Denied> {
        self.place(caller, Resource::Streams)
    }

    /// A place for a search, as soon as the caller has one. `None`: it isn't limited.
    ///
    /// # Errors
    /// That took too long, or too many wait already.
    pub async fn search(&self, caller: &Caller, wait: Duration) -> Result<Option<Place>, Denied> {
        let Some((account, limit)) =
            self.charged(caller, Resource::Searches, |account, _, limit| (account.clone(), limit))
        else {
            return Ok(None);
        };
        if let Some(place) = account.place(Resource::Searches, limit) {
            return Ok(Some(place));
        }
        let refused = || self.refused(&account, Resource::Searches, limit, limits::RETRY_PLACE);
        let _waiting = account.waiting_place(limits::WAITING_SEARCHES).ok_or_else(refused)?;
        let free = async {
            loop {
                let ended = account.search_ended.notified();
                if let Some(place) = account.place(Resource::Searches, limit) {
                    return place;
                }
                ended.await;
            }
        };
        timeout(wait, free).await.map(Some).map_err(|_| refused())
    }

    /// Admits a request that sends records, before its body is read.
    ///
    /// # Errors
    /// The rate of the caller's requests exceeds its limit, or there were too many records or bytes before.
    pub fn admit_request(&self, caller: &Caller) -> Result<(), Denied> {
        if !self.has_rates(caller) {
            return Ok(());
        }
        let now = self.now();
        let left = |bucket: &Bucket, rate| bucket.check(rate, now);
        self.with_bucket(caller, Resource::Bytes, left)?;
        self.with_bucket(caller, Resource::Records, left)?;
        self.with_bucket(caller, Resource::Requests, |bucket, rate| bucket.take(1, rate, now))
    }

    /// Admits the content of such a request, before any of it is stored. `listener`: what it was received by, if that
    /// has limits of its own.
    ///
    /// # Errors
    /// The rate of the caller's records or bytes exceeds its limit, or that of all senders of the listener.
    pub fn admit_records(
        &self,
        caller: &Caller,
        listener: Option<&ListenerQuota>,
        records: usize,
        bytes: usize,
    ) -> Result<(), Denied> {
        let now = self.now();
        if let Some(listener) = listener {
            listener.charge(self, Resource::Bytes, |bucket, rate| bucket.check(rate, now))?;
            listener.charge(self, Resource::Records, |bucket, rate| bucket.check(rate, now))?;
        }
        if self.has_rates(caller) {
            self.with_bucket(caller, Resource::Records, |bucket, rate| bucket.check(rate, now))?;
            self.with_bucket(caller, Resource::Bytes, |bucket, rate| bucket.take(bytes as u64, rate, now))?;
            self.with_bucket(caller, Resource::Records, |bucket, rate| bucket.take(records as u64, rate, now))?;
        }
        if let Some(listener) = listener {
            listener.charge(self, Resource::Bytes, |bucket, rate| bucket.take(bytes as u64, rate, now))?;
            listener.charge(self, Resource::Records, |bucket, rate| bucket.take(records as u64, rate, now))?;
        }
        Ok(())
    }

    /// Waits until a request of the caller with a body of this size may be in progress. `None`: that took too long.
    pub async fn turn(&self, caller: &Caller, bytes: usize) -> Option<Turn> {
        let token = caller.grant().map(|grant| grant.account());
        self.sharing.turn(caller.account.turns(token), bytes, self.now()).await
    }

    fn now(&self) -> Ns {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn has_rates(&self, caller: &Caller) -> bool {
        caller.grant().is_some_and(|grant| grant.quota().has_rates())
            || self.quotas.load().of(caller.account.is_loopback).has_rates()
    }

    /// Calls `charge` with the account, the quota and the limit that apply, if there is a limit.
    fn charged<T>(
        &self,
        caller: &Caller,
        resource: Resource,
        charge: impl FnOnce(&Arc<Account>, &Quota, u64) -> T,
    ) -> Option<T> {
        let of_addresses = self.quotas.load();
        let (account, quota) = match caller.grant() {
            Some(grant) if grant.quota().get(resource).is_some() => (grant.account(), grant.quota()),
            _ => (&caller.account, of_addresses.of(caller.account.is_loopback)),
        };
        let limit = quota.get(resource).filter(|limit| *limit > 0)?;
        Some(charge(account, quota, limit))
    }

    fn with_bucket(
        &self,
        caller: &Caller,
        resource: Resource,
        charge: impl FnOnce(&Bucket, Rate) -> Result<(), Duration>,
    ) -> Result<(), Denied> {
        let charged = self.charged(caller, resource, |account, quota, limit| {
            let charged = charge(account.bucket(resource), quota.rate(limit));
            charged.map_err(|wait| self.refused(account, resource, limit, wait))
        });
        charged.unwrap_or(Ok(()))
    }

    fn place(&self, caller: &Caller, resource: Resource) -> Result<Option<Place>, Denied> {
        let placed = self.charged(caller, resource, |account, _, limit| self.place_of(account, resource, limit));
        placed.unwrap_or(Ok(None))
    }

    fn place_of(&self, account: &Arc<Account>, resource: Resource, limit: u64) -> Result<Option<Place>, Denied> {
        if limit == 0 {
            return Ok(None);
        }
        let place = account.place(resource, limit);
        place.map(Some).ok_or_else(|| self.refused(account, resource, limit, limits::RETRY_PLACE))
    }

    /// Counts and logs a refusal.
    fn refused(&self, account: &Account, resource: Resource, limit: u64, wait: Duration) -> Denied {
        metrics::counter!(LIMITED, "limit" => resource.as_str(), "by" => account.of.as_str()).increment(1);
        let denied = Denied::Limited { who: account.name.clone(), resource, limit, wait };
        if let Some(others) = locked(&self.last_line).next(Instant::now()) {
            tracing::warn!("refused: {denied} ({others} other refusals before it)");
        }
        denied
    }
}

/// What all senders of a listener may send together: the rates of a quota.
#[derive(Clone, Debug)]
pub struct ListenerQuota {
    account: Arc<Account>,
    quota: Quota,
}

impl ListenerQuota {
    /// `name` is for messages.
    pub fn new(name: &str, quota: Quota) -> ListenerQuota {
        ListenerQuota { account: Account::of_listener(name), quota }
    }

    fn charge(
        &self,
        access: &Access,
        resource: Resource,
        charge: impl FnOnce(&Bucket, Rate) -> Result<(), Duration>,
    ) -> Result<(), Denied> {
        let Some(limit) = self.quota.get(resource).filter(|limit| *limit > 0) else { return Ok(()) };
        charge(self.account.bucket(resource), self.quota.rate(limit))
            .map_err(|wait| access.refused(&self.account, resource, limit, wait))
    }
}

#[cfg(test)]
#[path = "charge_tests.rs"]
mod tests;
