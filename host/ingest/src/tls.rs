//! TLS: the handshake of a connection, and replacing what it uses.
//!
//! | file | purpose |
//! |---|---|
//! | `tls/files` | from PEM files to what a handshake needs |
//! | `tls/certificate` | what a certificate says: names, end, fingerprint |
//! | `tls/self_signed` | a certificate that is signed with its own key |
//! | `tls/der` | the encoding of certificates |
//!
//! A handshake is part of its connection's task, so it occupies one of the places and delays nobody else. A connection
//! keeps what it began with; [`Tls::replace`] is for those that come after it. Bytes are counted below TLS, so frames of
//! TLS without requests are a flood, too.

mod certificate;
mod der;
pub(crate) mod files;
mod self_signed;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::counter;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use weir_access::ClientCertificate;

use crate::log_limit::LogLimit;
use crate::traffic::CountingStream;
use crate::{limits, metrics::FAILED_HANDSHAKES};
pub use certificate::Certificate;
pub use files::{Loaded, TlsError, TlsFiles};
pub use self_signed::SelfSigned;

/// The first byte of a TLS record with a handshake.
const HANDSHAKE: u8 = 0x16;

/// The answer to plain HTTP.
const USE_TLS: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 74\r\nconnection: \
                       close\r\n\r\n{\"error\":\"this address speaks TLS only: use https:// instead of http://\"}\n";

/// What the TLS connections of a server use.
pub struct Tls {
    current: ArcSwap<ServerConfig>,
    failed: LogLimit,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("it sent plain HTTP")]
    PlainHttp,
    #[error("it did not finish in {0:?}")]
    TooLate(Duration),
    #[error("{0}")]
    Certificate(io::Error),
    #[error("{0}")]
    Other(io::Error),
}

impl Tls {
    /// Uses these files.
    #[must_use]
    pub fn new(loaded: &Loaded) -> Tls {
        Tls { current: ArcSwap::new(Arc::clone(&loaded.config)), failed: LogLimit::default() }
    }

    /// Uses other files for new connections.
    pub fn replace(&self, loaded: &Loaded) {
        self.current.store(Arc::clone(&loaded.config));
    }

    /// Shakes hands. Returns the connection and the client's certificate; `None` if it failed or there was nothing.
    pub(crate) async fn accept(
        &self,
        stream: CountingStream,
        most: Duration,
    ) -> Option<(TlsStream<CountingStream>, Option<ClientCertificate>)> {
        let peer = stream.peer();
        let shaken = timeout(most, self.shake_hands(stream)).await;
        match shaken.unwrap_or(Err(HandshakeError::TooLate(most))) {
            Ok(None) => None,
            Ok(Some(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                // rustls has checked it, so it can be read.
                let certificate = shown.and_then(|der| Some(Certificate::read(der)?.of_client()));
                Some((stream, certificate))
            }
            Err(error) => {
                counter!(FAILED_HANDSHAKES, "reason" => error.label()).increment(1);
                if let Some(others) = self.failed.line() {
                    tracing::info!("a TLS handshake with {peer} failed: {error} ({others} others before it)");
                }
                None
            }
        }
    }

    async fn shake_hands(&self, stream: CountingStream) -> Result<Option<TlsStream<CountingStream>>, HandshakeError> {
        match stream.first_byte().await {
            Ok(Some(HANDSHAKE)) => {}
            // Somebody has looked whether the port is open.
            Ok(None) | Err(_) => return Ok(None),
            Ok(Some(b'A'..=b'Z')) => {
                _ = timeout(limits::REFUSE_TIMEOUT, refer_to_tls(stream)).await;
                return Err(HandshakeError::PlainHttp);
            }
            Ok(Some(_)) => return Err(HandshakeError::Other(io::Error::other("it sent something that is not TLS"))),
        }
        let acceptor = TlsAcceptor::from(self.current.load_full());
        acceptor.accept(stream).await.map(Some).map_err(HandshakeError::of)
    }
}

impl HandshakeError {
    fn of(error: io::Error) -> HandshakeError {
        use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
        let about = error.get_ref().and_then(|error| error.downcast_ref());
        match about {
            Some(NoCertificatesPresented | InvalidCertificate(_)) => HandshakeError::Certificate(error),
            _ => HandshakeError::Other(error),
        }
    }

    fn label(&self) -> &'static str {
        match self {
            HandshakeError::PlainHttp => "plain_http",
            HandshakeError::TooLate(_) => "timeout",
            HandshakeError::Certificate(_) => "client_certificate",
            HandshakeError::Other(_) => "other",
        }
    }
}

/// Tells a client that speaks plain HTTP to use TLS.
async fn refer_to_tls(mut stream: CountingStream) -> io::Result<()> {
    stream.write_all(USE_TLS.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection and lose the answer.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_is_complete() {
        let (head, body) = USE_TLS.split_once("\r\n\r\n").expect("a head");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        assert_eq!(length.parse(), Ok(body.len()));
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
