//! Parses addresses in the file and on the command line.

use std::net::{Ipv4Addr, SocketAddr};

/// The only host name that is accepted, since it means the same everywhere.
const LOCALHOST: &str = "localhost:";

/// Parses a local address: an IP address or `localhost` with a port, or either as a URL. The error says what to write.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.trim();
    let bare = bare.strip_prefix("http://").unwrap_or(bare).trim_end_matches('/');
    if let Ok(address) = bare.parse() {
        return Ok(address);
    }
    let port = |text: &str| text.parse::<u16>().ok();
    if let Some(port) = bare.strip_prefix(LOCALHOST).and_then(port) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    if let Some(port) = port(bare.trim_start_matches([':', '*'])) {
        return Err(format!("write `127.0.0.1:{port}` for this machine alone, or `0.0.0.0:{port}` for all"));
    }
    Err("write an IP address and a port: `127.0.0.1:8080` for this machine, `0.0.0.0:8080` for all, \
         `[::1]:8080` for IPv6"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unambiguous_addresses_are_accepted() {
        for text in ["127.0.0.1:8080", "localhost:8080", "http://localhost:8080", " http://127.0.0.1:8080/ "] {
            assert_eq!(address(text), Ok("127.0.0.1:8080".parse().unwrap()), "{text}");
        }
        assert_eq!(address("[::1]:1"), Ok("[::1]:1".parse().unwrap()));
    }

    #[test]
    fn ports_and_host_names_get_a_hint() {
        for text in ["8080", ":8080", "*:8080"] {
            assert!(address(text).unwrap_err().contains("`0.0.0.0:8080` for all"), "{text}");
        }
        for text in ["", "localhost", "logs.example:80", "127.0.0.1:99999", "localhost:x", "127.0.0.1"] {
            assert!(address(text).unwrap_err().starts_with("write an IP address and a port"), "{text}");
        }
    }
}
