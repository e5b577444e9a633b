//! The host names that requests may use for a server on a loopback address.
//!
//! A web page can send requests to its own site without permission, and after it has loaded, the site's name can be
//! made to resolve to 127.0.0.1 (DNS rebinding), so that the browser treats both as one site. The `Host` header still
//! has the site's name, however. So a server on loopback answers only to loopback names and those that its operator
//! lists in `allowed_hosts`, such as the public name that a proxy on this machine passes on.
//!
//! Invariant: a request for another host is refused before anything of it is read. A request without a host (HTTP/1.0)
//! does not come from a browser.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::{StatusCode, header::HOST, http::request::Parts};

use crate::{limits, reply::Refused};

/// The names of a server.
pub(crate) struct Hosts {
    is_loopback: bool,
    allowed: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(address: SocketAddr, allowed: &[String]) -> Hosts {
        Hosts { is_loopback: address.ip().to_canonical().is_loopback(), allowed: allowed.to_vec() }
    }

    /// Refuses a request for another host.
    pub(crate) fn check(&self, parts: &Parts) -> Result<(), Refused> {
        if !self.is_loopback {
            return Ok(());
        }
        let named = parts.headers.get_all(HOST).iter().map(|host| host.as_bytes());
        // In HTTP/2, the host is in the URI.
        let named = named.chain(parts.uri.authority().map(|host| host.as_str().as_bytes()));
        for host in named {
            if !std::str::from_utf8(host).is_ok_and(|host| self.is_own(host)) {
                return Err(foreign(&String::from_utf8_lossy(host)));
            }
        }
        Ok(())
    }

    fn is_own(&self, host: &str) -> bool {
        let name = without_port(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_localhost = name.eq_ignore_ascii_case("localhost");
        is_localhost || is_loopback(name) || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

fn is_loopback(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback()),
        None => name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// The host of `HOST:PORT`. An IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn foreign(host: &str) -> Refused {
    let shown: String = host.chars().take(limits::MAX_HOST_BYTES).collect();
    let name = without_port(&shown);
    let error = format!(
        "this weir listens on a loopback address and its name is not `{name}`; use localhost, or, if a proxy on this \
         machine passes that name on, list it in the configuration: [http] allowed_hosts = [\"{name}\"]"
    );
    Refused::new(StatusCode::FORBIDDEN, error)
}

/// Checks a name for `allowed_hosts`.
///
/// # Errors The reason why it can't be used.
pub(crate) fn check_allowed(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > limits::MAX_HOST_BYTES {
        return Err(format!("it must have 1 to {} bytes", limits::MAX_HOST_BYTES));
    }
    let is_address = name.starts_with('[') && name.ends_with(']');
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !is_address && !name.bytes().all(is_part) {
        return Err("it must be a bare name, such as logs.example.com, without https:// and port".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn asked(hosts: &Hosts, uri: &str, headers: &[&str]) -> Result<(), Refused> {
        let mut request = Request::post(uri);
        for host in headers {
            request = request.header(HOST, *host);
        }
        hosts.check(&request.body(()).expect("a request").into_parts().0)
    }

    fn on(address: &str) -> Hosts {
        Hosts::new(address.parse().expect("an address"), &["logs.example.com".to_owned()])
    }

    #[test]
    fn on_loopback_only_own_and_allowed_names_pass() {
        for hosts in [on("127.0.0.1:8080"), on("[::1]:8080"), on("[::ffff:127.0.0.1]:80")] {
            for own in [
                "localhost",
                "LocalHost:8080",
                "localhost.:1",
                "127.0.0.1",
                "127.9.9.9:65535",
                "[::1]",
                "[::1]:8080",
                "logs.example.com",
                "Logs.Example.COM:443",
            ] {
                assert!(asked(&hosts, "/", &[own]).is_ok(), "{own}");
            }
            for foreign in [
                "evil.example",
                "localhost.evil.example:8080",
                "127.0.0.1.evil.example",
                "10.0.0.1",
                "[fd00::1]:1",
                "",
                "::1",
            ] {
                let refused = asked(&hosts, "/", &[foreign]).expect_err(foreign);
                assert_eq!(refused.status, StatusCode::FORBIDDEN);
                assert!(refused.error.contains("allowed_hosts"), "{}", refused.error);
            }
        }
    }

    #[test]
    fn every_way_of_naming_a_host_counts() {
        let hosts = on("127.0.0.1:8080");
        assert!(asked(&hosts, "/", &[]).is_ok(), "HTTP/1.0 names none");
        assert!(asked(&hosts, "http://localhost:8080/", &[]).is_ok());
        assert!(asked(&hosts, "http://evil.example/", &[]).is_err());
        assert!(asked(&hosts, "http://evil.example/", &["localhost"]).is_err());
        assert!(asked(&hosts, "/", &["localhost", "evil.example"]).is_err());
    }

    #[test]
    fn a_server_on_another_address_answers_to_any_name() {
        for address in ["0.0.0.0:8080", "10.0.0.7:8080", "[::]:8080"] {
            assert!(asked(&on(address), "/", &["weir.internal:8080"]).is_ok());
        }
    }

    #[test]
    fn allowed_hosts_must_be_bare_names() {
        for good in ["logs.example.com", "weir", "my_host", "[fd00::1]", "10.0.0.7"] {
            assert_eq!(check_allowed(good), Ok(()), "{good}");
        }
        for bad in ["", "https://logs.example.com", "logs.example.com:443", "logs.example.com/", "*", "a b"] {
            assert!(check_allowed(bad).is_err(), "{bad}");
        }
    }
}
