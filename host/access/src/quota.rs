//! What a sender may use: how much in a second, and how much at a time.

use std::time::Duration;

use crate::bucket::Rate;
use crate::limits;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Requests that send records.
    Requests,
    Records,
    /// Bytes of such requests' bodies, as received.
    Bytes,
    Connections,
    /// Clients of the live stream.
    Streams,
    /// Searches that run.
    Searches,
}

impl Resource {
    /// All of them, in the order of their declaration.
    pub const ALL: [Resource; 6] = [
        Resource::Requests,
        Resource::Records,
        Resource::Bytes,
        Resource::Connections,
        Resource::Streams,
        Resource::Searches,
    ];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Resource::Requests => "requests",
            Resource::Records => "records",
            Resource::Bytes => "bytes",
            Resource::Connections => "connections",
            Resource::Streams => "streams",
            Resource::Searches => "searches",
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Its limit in words.
    pub(crate) fn limited_to(self, limit: u64) -> String {
        match self {
            Resource::Requests | Resource::Records | Resource::Bytes => {
                format!("may send {limit} {} per second", self.as_str())
            }
            Resource::Connections | Resource::Searches => format!("may have {limit} {} at a time", self.as_str()),
            Resource::Streams => format!("may have {limit} live streams at a time"),
        }
    }
}

/// The limits of a sender. What isn't set is left to a more general quota; zero is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    limits: [Option<u64>; Resource::ALL.len()],
    /// How much of a rate may be used at once, as the time in which it accrues.
    pub burst: Duration,
}

impl Default for Quota {
    fn default() -> Quota {
        Quota { limits: [None; Resource::ALL.len()], burst: limits::BURST }
    }
}

impl Quota {
    /// The quota of an address of another machine of which nothing is configured. Addresses of this machine have none:
    /// a proxy or an agent there speaks for many.
    pub(crate) fn of_remote_address() -> Quota {
        Quota::default()
            .with(Resource::Connections, Some(limits::ADDRESS_CONNECTIONS))
            .with(Resource::Streams, Some(limits::ADDRESS_STREAMS))
            .with(Resource::Searches, Some(limits::ADDRESS_SEARCHES))
    }

    /// With another limit of this resource.
    #[must_use]
    pub fn with(mut self, resource: Resource, limit: Option<u64>) -> Quota {
        self.limits[resource.index()] = limit;
        self
    }

    /// The limit of a resource; `None`: not set.
    pub fn get(&self, resource: Resource) -> Option<u64> {
        self.limits[resource.index()]
    }

    /// Whether a rate is set.
    pub(crate) fn has_rates(&self) -> bool {
        [Resource::Requests, Resource::Records, Resource::Bytes].iter().any(|rate| self.get(*rate).is_some())
    }

    pub(crate) fn rate(&self, per_second: u64) -> Rate {
        Rate { per_second, burst: self.burst }
    }

    /// The same, where nothing is set with what `other` says.
    pub(crate) fn or(&self, other: &Quota) -> Quota {
        let mut limits = self.limits;
        limits.iter_mut().zip(other.limits).for_each(|(limit, other)| *limit = limit.or(other));
        Quota { limits, burst: self.burst }
    }
}

/// The quotas of addresses.
pub(crate) struct AddressQuotas {
    of_this_machine: Quota,
    of_others: Quota,
}

impl AddressQuotas {
    /// What is configured applies to every address.
    pub(crate) fn new(configured: &Quota) -> AddressQuotas {
        AddressQuotas { of_this_machine: configured.clone(), of_others: configured.or(&Quota::of_remote_address()) }
    }

    pub(crate) fn of(&self, is_loopback: bool) -> &Quota {
        if is_loopback { &self.of_this_machine } else { &self.of_others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_applies_to_every_address_and_defaults_only_to_other_machines() {
        let quotas = AddressQuotas::new(&Quota::default().with(Resource::Searches, Some(1)));
        for (resource, here, elsewhere) in [
            (Resource::Searches, Some(1), Some(1)),
            (Resource::Streams, None, Some(limits::ADDRESS_STREAMS)),
            (Resource::Records, None, None),
        ] {
            assert_eq!(quotas.of(true).get(resource), here);
            assert_eq!(quotas.of(false).get(resource), elsewhere);
        }
        let unlimited = AddressQuotas::new(&Quota::default().with(Resource::Streams, Some(0)));
        assert_eq!(unlimited.of(false).get(Resource::Streams), Some(0));
    }

    #[test]
    fn resources_are_in_order() {
        for (index, resource) in Resource::ALL.into_iter().enumerate() {
            assert_eq!(resource.index(), index);
        }
    }
}
