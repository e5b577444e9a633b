//! Checks `[[listen]]`.

use std::collections::HashSet;
use std::path::Path;

use weir_access::{Quota, Resource};
use weir_document::units::Size;
use weir_ingest::{ListenAddress, SOCKET_PROTOCOLS, SocketProtocol, TlsFiles, Transport};

use super::{Location, Reader};
use crate::config::settings::{ListenSettings, Spoken};
use crate::config::{limits, raw};

/// What everything that is received over HTTP is called here.
const HTTP: &str = "http";

impl Reader<'_> {
    pub(super) fn listeners(
        &mut self,
        at: &Location<'_>,
        raw: Vec<raw::Listen>,
        folder: &Path,
        tls: Option<&TlsFiles>,
    ) -> Vec<ListenSettings> {
        if raw.len() > limits::MAX_LISTENERS {
            self.report(at, format!("{} listeners, at most {}", raw.len(), limits::MAX_LISTENERS));
        }
        let mut known = HashSet::new();
        let places = at.items();
        let mut all = Vec::new();
        for (place, raw) in places.iter().zip(raw) {
            let Some(listener) = self.listener(place, raw, folder, tls) else { continue };
            let has_port = listener.address.ip().is_none_or(|address| address.port() != 0);
            if has_port && !known.insert(listener.address.clone()) {
                self.report(&place.key("address"), "another [[listen]] has the same address");
            }
            all.push(listener);
        }
        all
    }

    fn listener(
        &mut self,
        at: &Location<'_>,
        raw: raw::Listen,
        folder: &Path,
        tls: Option<&TlsFiles>,
    ) -> Option<ListenSettings> {
        // Without one of these, the schema has refused the table.
        let (name, address) = (raw.protocol?, raw.address?);
        let protocol = self.protocol(&at.key("protocol"), &name)?;
        let place = at.key("address");
        let usual = match protocol {
            Spoken::Http(_) if tls.is_some() => Transport::Tls,
            other => other.transports()[0],
        };
        let address = match ListenAddress::parse(&address, usual, folder) {
            Ok(address) => address,
            Err(help) => {
                self.report_with(&place, format!("{} is not an address to listen on", place.shown(&address)), help);
                return None;
            }
        };
        if !protocol.transports().contains(&address.transport) {
            let usual: Vec<&str> = protocol.transports().iter().map(|transport| transport.name()).collect();
            let message = format!("`{name}` is not spoken over {}", address.transport.name());
            self.report_with(&place, message, format!("it is over {}", usual.join(", ")));
        }
        if address.transport == Transport::Tls && tls.is_none() {
            self.report_with(&place, "there is no certificate", "[tls] names the files with certificate and key");
        }
        let has_key = matches!(protocol, Spoken::Socket(protocol) if protocol.has_key);
        if raw.shared_key.is_some() && !has_key {
            self.report(&at.key("shared_key"), format!("`{name}` has no shared key"));
        }
        if !raw.users.is_empty() && raw.shared_key.is_none() {
            self.report(&at.key("users"), "users are asked for with a `shared_key` only");
        }
        let is_certain = address.transport == Transport::Tls && tls.is_some_and(|tls| tls.requires_client_certificate);
        let is_open = raw.open || is_certain || raw.shared_key.is_some() || matches!(protocol, Spoken::Http(_));
        if address.is_reachable() && !is_open {
            let help = "write `open = true` if that is meant, listen on 127.0.0.1, or use `tls://` with \
                        `require_client_certificate` under [tls]; `forward` can have a `shared_key`";
            self.report_with(&place, "everybody who reaches this address could send records", help);
        }
        Some(ListenSettings {
            protocol,
            address,
            source: raw.source,
            routes: raw.routes,
            quota: rates(raw.records_per_second, raw.bytes_per_second),
            max_message_bytes: self.bytes(&at.key("max_message"), raw.max_message, limits::MESSAGE_BYTES),
            max_connections: usize::try_from(raw.max_connections).unwrap_or(usize::MAX),
            shared_key: raw.shared_key,
            users: raw.users.into_iter().collect(),
        })
    }

    fn protocol(&mut self, at: &Location<'_>, name: &str) -> Option<Spoken> {
        let found = match SocketProtocol::named(name) {
            Some(protocol) => Some(Spoken::Socket(protocol)),
            None if name == HTTP => Some(Spoken::Http(None)),
            None => weir_ingest::protocol_names().find(|known| *known == name).map(|only| Spoken::Http(Some(only))),
        };
        if found.is_none() {
            let known: Vec<&str> = SOCKET_PROTOCOLS.iter().map(|protocol| protocol.name).chain([HTTP]).collect();
            self.report_with(
                at,
                format!("{} is not a protocol", at.shown(name)),
                format!("choose one of {}", known.join(", ")),
            );
        }
        found
    }
}

/// The quota of a listener, if it has one.
fn rates(records: Option<u64>, bytes: Option<Size>) -> Option<Quota> {
    let bytes = bytes.map(Size::bytes);
    let quota = Quota::default().with(Resource::Records, records).with(Resource::Bytes, bytes);
    (records.is_some() || bytes.is_some()).then_some(quota)
}
