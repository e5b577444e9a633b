//! A connection to a server that a URL names: TCP, with TLS if its scheme says so. For sources that speak a protocol
//! themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;
use weir_document::Secret;

/// Files for TLS.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Tls {
    /// A PEM file with authorities.
    pub ca: Option<PathBuf>,
    /// A PEM file with Weir's own certificate, for servers that require one.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the key of `certificate`.
    pub key: Option<PathBuf>,
}

/// The schemes of a protocol's URLs, with their ports.
pub(crate) struct Schemes {
    pub plain: (&'static str, u16),
    pub tls: (&'static str, u16),
}

/// What a URL says.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    host: String,
    port: u16,
    has_tls: bool,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Without the slash at its beginning.
    pub path: String,
}

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl Server {
    /// Reads a URL; `None` if it is not one of these schemes. Nothing says why, because the text may include a password.
    pub fn parse(url: &Secret, schemes: &Schemes) -> Option<Server> {
        let url = Url::parse(url.expose().trim()).ok()?;
        let has_tls = url.scheme() == schemes.tls.0;
        if !has_tls && url.scheme() != schemes.plain.0 {
            return None;
        }
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        Some(Server {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(if has_tls { schemes.tls.1 } else { schemes.plain.1 }),
            has_tls,
            user: Some(decoded(url.username())?).filter(|user| !user.is_empty()),
            password: url.password().map(decoded).map_or(Some(None), |text| text.map(Some))?.map(Secret::from),
            path: decoded(url.path().trim_start_matches('/'))?,
        })
    }

    /// The server, without secrets.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// Connects, within this time. With files for TLS, it is used whatever the URL says.
    ///
    /// # Errors
    /// Why that failed. It may succeed later.
    pub async fn connect(&self, tls: Option<&Tls>, time: Duration) -> Result<Box<dyn Stream>, String> {
        let otherwise = self.has_tls.then(Tls::default);
        open(&self.host, self.port, tls.or(otherwise.as_ref()), time).await
    }
}

/// Connects to a server, within this time.
///
/// # Errors
/// Why that failed. It may succeed later.
pub(crate) async fn open(host: &str, port: u16, tls: Option<&Tls>, time: Duration) -> Result<Box<dyn Stream>, String> {
    let connecting = timeout(time, TcpStream::connect((host, port))).await;
    let stream = connecting.map_err(|_| format!("no answer within {time:?}"))?.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let config = tls.load()?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connecting = timeout(time, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let stream = connecting.map_err(|_| format!("TLS: no answer within {time:?}; is it the port for TLS?"))?;
    stream.map(|stream| Box::new(stream) as Box<dyn Stream>).map_err(|error| format!("TLS: {error}"))
}

impl Tls {
    /// Whether there is a key for each certificate.
    pub fn is_complete(&self) -> bool {
        self.certificate.is_some() == self.key.is_some()
    }

    /// Reads the files, and the system's authorities if there are no others.
    fn load(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for authority in certificates(path)? {
                    roots.add(authority).map_err(|error| unusable(path, &error))?;
                }
            }
            None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let own = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
        builder.with_client_auth_cert(certificates(certificate)?, own).map_err(|error| unusable(certificate, &error))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("can't use `{}`: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: Schemes = Schemes { plain: ("redis", 6379), tls: ("rediss", 6380) };

    fn parse(url: &str) -> Option<Server> {
        Server::parse(&url.into(), &SCHEMES)
    }

    #[test]
    fn a_url_names_server_user_password_and_path() {
        let server = parse("redis://me:p%40ss@[::1]:7000/2").expect("a URL");
        assert_eq!((server.place().as_str(), server.path.as_str()), ("[::1]:7000", "2"));
        assert_eq!(server.user.as_deref(), Some("me"));
        assert_eq!(server.password.as_ref().map(Secret::expose), Some("p@ss"));
        let server = parse("rediss://cache").expect("a URL");
        assert_eq!((server.place().as_str(), server.has_tls), ("cache:6380", true));
        assert!(server.user.is_none() && server.password.is_none());
        for wrong in ["", "cache", "redis:", "redis://", "http://cache", "redis://cache:x", "redis://a:%ff@b"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}
