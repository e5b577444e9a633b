//! The limits of addresses and tokens.

use weir_access::{Quota, Resource};
use weir_document::units::Size;

use super::{Location, Reader};
use crate::config::limits;
use crate::config::raw;

impl Reader<'_> {
    pub(super) fn quota(&mut self, at: &Location<'_>, raw: &raw::Limits) -> Quota {
        let mut quota = Quota::default()
            .with(Resource::Requests, raw.requests_per_second)
            .with(Resource::Records, raw.records_per_second)
            .with(Resource::Bytes, raw.bytes_per_second.map(Size::bytes))
            .with(Resource::Connections, raw.connections)
            .with(Resource::Streams, raw.streams)
            .with(Resource::Searches, raw.searches);
        if let Some(burst) = raw.burst {
            quota.burst = self.time(&at.key("burst"), burst, limits::BURST);
        }
        quota
    }
}
