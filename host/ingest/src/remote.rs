//! The other end of a connection: its address, its certificate, and among whose connections it is counted.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::{
    Request,
    header::{HOST, HeaderValue, STRICT_TRANSPORT_SECURITY},
    http::HeaderMap,
};
use tokio::net::TcpStream;
use weir_access::{Access, Account, Caller, ClientCertificate, Denied, Place, Resource};

/// How long a browser must use TLS with this host name, even if a link says `http:`: a year, as usual.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The other end of a connection. Dropping it frees the places that the connection occupies.
pub(crate) struct Remote {
    pub(crate) address: IpAddr,
    pub(crate) account: Arc<Account>,
    /// `None`: the connection is not encrypted.
    encryption: Option<Encryption>,
    /// Among the connections of its address.
    _place: Option<Place>,
    /// Among those of tokens that limit theirs: at most one for each.
    of_tokens: Mutex<Vec<Place>>,
}

/// What is known from a TLS handshake.
struct Encryption {
    certificate: Option<ClientCertificate>,
}

impl Remote {
    /// Counts a connection, unless its address has too many.
    pub(crate) fn of(stream: &TcpStream, access: &Access) -> Result<Remote, Denied> {
        // A connection whose address can't be read any more is over.
        let address = stream.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical());
        Remote::of_address(address, access)
    }

    pub(crate) fn of_address(address: IpAddr, access: &Access) -> Result<Remote, Denied> {
        let account = access.account(address);
        let place = access.connection(&account)?;
        Ok(Remote { address, account, encryption: None, _place: place, of_tokens: Mutex::default() })
    }

    /// The same after a TLS handshake.
    pub(crate) fn encrypted(self, certificate: Option<ClientCertificate>) -> Remote {
        Remote { encryption: Some(Encryption { certificate }), ..self }
    }

    /// Counts the connection among those of its caller's token, if that limits them.
    pub(crate) fn count_for(&self, caller: &Caller, access: &Access) -> Result<(), Denied> {
        let Some(grant) = caller.grant() else { return Ok(()) };
        let Some(limit) = grant.quota().get(Resource::Connections) else { return Ok(()) };
        // A panic can't leave the list inconsistent.
        let mut places = self.of_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if !places.iter().any(|place| place.is_of(grant.account())) {
            places.extend(access.connection_of_token(grant.account(), limit)?);
        }
        Ok(())
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }

    /// The certificate that the client has shown.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        self.encryption.as_ref()?.certificate.as_ref()
    }

    /// Whether answers to this request tell browsers to stay with TLS. Not for `localhost`: browsers would use TLS for
    /// everything on that name, also for the programs on other ports.
    pub(crate) fn is_strict<T>(&self, request: &Request<T>) -> bool {
        if !self.is_encrypted() {
            return false;
        }
        let is_localhost = |host: &[u8]| {
            let name = host.split(|byte| *byte == b':').next().unwrap_or_default();
            name.eq_ignore_ascii_case(b"localhost")
        };
        let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
        // In HTTP/2, the host is in the URI.
        let host = host.or_else(|| request.uri().authority().map(|host| host.as_str().as_bytes()));
        !host.is_some_and(is_localhost)
    }
}

/// Tells browsers to stay with TLS.
pub(crate) fn set_strict(headers: &mut HeaderMap) {
    headers.insert(STRICT_TRANSPORT_SECURITY, STRICT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_stay_with_tls_on_a_host_of_its_own() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let asked = |remote: &Remote, host: &str| {
            remote.is_strict(&Request::get("/").header(HOST, host).body(()).expect("a request"))
        };
        let access = Access::new(true);
        let plain = || Remote::of_address(address, &access).expect("there is room");
        let encrypted = plain().encrypted(None);
        assert!(asked(&encrypted, "logs.example.com"));
        assert!(encrypted.is_strict(&Request::get("https://logs.example.com/").body(()).expect("a request")));
        assert!(!asked(&encrypted, "LocalHost:8080"));
        assert!(!encrypted.is_strict(&Request::get("https://localhost:8080/").body(()).expect("a request")));
        assert!(!asked(&plain(), "logs.example.com"));
    }
}
