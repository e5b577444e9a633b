//! The options that locate a running router, for the commands that ask one.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use weir_document::Secret;
use weir_ingest::client::{RunningRouter, Trust};

use crate::certificates;
use crate::config::{Settings, address};
use crate::identity;

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// The options that locate a running router.
#[derive(Args, Debug, Clone)]
pub struct RouterArgs {
    /// Address of the running router, such as 127.0.0.1:8080 or `https://logs.example.com` [default: from the
    /// configuration].
    #[arg(long, visible_alias = "url", global = true, value_name = "ADDR", value_parser = Target::parse)]
    pub address: Option<Target>,
    /// A token of the running router [default: the key in its data folder, for those who can read that, if it is on
    /// this machine].
    #[arg(long, global = true, value_name = "TOKEN", env = "WEIR_TOKEN", hide_env_values = true)]
    pub token: Option<Secret>,
    /// File with the certificates to trust [default: the router's in its data folder, and those that the system trusts].
    #[arg(long, global = true, value_name = "FILE", env = "WEIR_CA")]
    pub ca: Option<PathBuf>,
    /// File with a certificate to show to the router, and its key.
    #[arg(long, global = true, value_name = "FILE", env = "WEIR_CLIENT_CERTIFICATE")]
    pub client_certificate: Option<PathBuf>,
}

/// Where a router is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `None`: as the configuration and the data folder say.
    is_encrypted: Option<bool>,
    /// A name or an address; that of IPv6 in brackets.
    host: String,
    port: u16,
}

impl Target {
    fn parse(text: &str) -> Result<Target, String> {
        let bare = text.trim().trim_end_matches('/');
        let (is_encrypted, bare) = match (bare.strip_prefix("https://"), bare.strip_prefix("http://")) {
            (Some(bare), _) => (Some(true), bare),
            (_, Some(bare)) => (Some(false), bare),
            _ => (None, bare),
        };
        // In an address of IPv6, the last part is no port.
        let (host, port) = match bare.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && !port.ends_with(']') => (host, port.parse().ok()),
            _ => (bare, is_encrypted.map(|is_encrypted| if is_encrypted { HTTPS_PORT } else { HTTP_PORT })),
        };
        match port {
            Some(port) if weir_ingest::check_allowed_host(host).is_ok() => {
                Ok(Target { is_encrypted, host: host.to_owned(), port })
            }
            // Its error says what to write.
            _ => address(bare).map(|address| address.into()),
        }
    }
}

impl From<std::net::SocketAddr> for Target {
    fn from(address: std::net::SocketAddr) -> Target {
        let RunningRouter { host, port, .. } = address.into();
        Target { is_encrypted: None, host, port }
    }
}

impl RouterArgs {
    /// The running router.
    pub fn router(&self, settings: &Settings) -> anyhow::Result<RunningRouter> {
        let Target { is_encrypted, host, port } = self.address.clone().unwrap_or_else(|| settings.http.listen.into());
        let known = certificates::in_data_folder(&settings.data);
        let tls = match is_encrypted.unwrap_or_else(|| settings.tls.is_some() || known.exists()) {
            true => {
                let trust = Trust {
                    known: self.ca.is_none().then_some(&*known),
                    authorities: self.ca.as_deref(),
                    own: self.client_certificate.as_deref(),
                };
                Some(trust.load().context("can't connect with TLS")?)
            }
            false => None,
        };
        // An empty variable is like none.
        let token = self.token.as_ref().map(|token| token.expose().to_owned()).filter(|token| !token.is_empty());
        let own_key = || self.is_here(settings).then(|| identity::existing_key(&settings.data)).flatten();
        Ok(RunningRouter { host, port, token: token.or_else(own_key), tls })
    }

    /// Whether the address is one of this machine. Others are not shown the key of the data folder: whoever has it may
    /// do everything.
    pub fn is_here(&self, settings: &Settings) -> bool {
        let Some(Target { host, .. }) = &self.address else { return true };
        let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        host.eq_ignore_ascii_case("localhost")
            || ip.is_some_and(|ip| ip.is_loopback() || ip == settings.http.listen.ip())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The token that is shown to the router at this address, if this one is given.
    fn shown(settings: &Settings, address: Option<&str>, token: Option<&str>) -> Option<String> {
        let address = address.map(|address| Target::parse(address).expect("an address"));
        let args = RouterArgs { address, token: token.map(Secret::from), ca: None, client_certificate: None };
        args.router(settings).expect("a router").token
    }

    #[test]
    fn the_key_of_the_data_folder_is_shown_only_to_routers_on_this_machine() {
        let data = tempfile::tempdir().expect("a folder");
        let key = identity::replay_key(data.path()).expect("a key");
        let mut settings = Settings::default_for(Path::new(""), &|_| None).expect("the defaults");
        settings.data = data.path().to_owned();
        settings.http.listen = "192.0.2.1:8080".parse().expect("an address");
        for here in ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "192.0.2.1:8080"] {
            assert_eq!(shown(&settings, Some(here), None).as_ref(), Some(&key), "{here}");
        }
        assert_eq!(shown(&settings, None, None).as_ref(), Some(&key));
        assert_eq!(shown(&settings, None, Some("")), Some(key), "an empty token is none");
        for elsewhere in ["http://logs.example.com", "192.0.2.2:8080", "http://localhost.example.com"] {
            assert_eq!(shown(&settings, Some(elsewhere), None), None, "{elsewhere}");
            assert_eq!(shown(&settings, Some(elsewhere), Some("t")).as_deref(), Some("t"), "{elsewhere}");
        }
    }

    #[test]
    fn a_router_has_an_address_or_a_name_with_or_without_a_scheme() {
        let of = |is_encrypted, host: &str, port| Ok(Target { is_encrypted, host: host.to_owned(), port });
        for (text, target) in [
            ("127.0.0.1:8080", of(None, "127.0.0.1", 8080)),
            ("[::1]:8080", of(None, "[::1]", 8080)),
            ("localhost:8080", of(None, "localhost", 8080)),
            ("http://127.0.0.1:8080/", of(Some(false), "127.0.0.1", 8080)),
            ("https://logs.example.com", of(Some(true), "logs.example.com", 443)),
            ("https://logs.example.com:8443/", of(Some(true), "logs.example.com", 8443)),
            ("https://[fd00::1]", of(Some(true), "[fd00::1]", 443)),
        ] {
            assert_eq!(Target::parse(text), target, "{text}");
        }
        for text in ["", "8080", ":8080", "localhost", "127.0.0.1:x", "ftp://a:1", "https://", "https://a/b"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }
}
