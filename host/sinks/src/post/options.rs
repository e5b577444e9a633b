//! Options of every sink that posts: connection, compression, authentication.

use std::io::Write;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::Server;
use crate::limits;
use crate::sink::SinkError;
use crate::units::TimeSpan;

/// The authority that signs the server's certificate, and Weir's own certificate.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct Tls {
    /// A PEM file with authorities that are trusted in addition to the system's.
    pub ca: Option<PathBuf>,
    /// A PEM file with Weir's own certificate, for servers that require one.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the key of `certificate`.
    pub key: Option<PathBuf>,
}

/// How a sink connects; part of the options of every sink that posts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Connection {
    /// Time limit for establishing a connection.
    pub connect_timeout: TimeSpan,
    /// Time limit for a request, answer included.
    pub timeout: TimeSpan,
    /// Your own authority, and a certificate for servers that require one.
    pub tls: Tls,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            connect_timeout: TimeSpan::from_duration(limits::CONNECT_TIME),
            timeout: TimeSpan::from_duration(limits::REQUEST_TIME),
            tls: Tls::default(),
        }
    }
}

impl Connection {
    /// The server of a sink. Checks the options and opens nothing; the error names the option.
    pub(crate) fn server(&self, sink: &str, url: &str) -> Result<Server, String> {
        if self.timeout.duration().is_zero() || self.connect_timeout.duration().is_zero() {
            return Err("`timeout` and `connect_timeout` must be more than 0".into());
        }
        Server::new(sink, url, self.clone())
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Encoding {
    /// As it is.
    #[default]
    None,
    /// Supported by most servers.
    Gzip,
    /// Smaller and cheaper, if the server supports it.
    Zstd,
}

impl Encoding {
    /// The name in `Content-Encoding`.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Encoding::None => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Zstd => Some("zstd"),
        }
    }

    /// The body as sent.
    pub fn apply(self, body: Vec<u8>) -> Result<Vec<u8>, SinkError> {
        match self {
            Encoding::None => Ok(body),
            Encoding::Gzip => Ok(gzip(&body)),
            Encoding::Zstd => zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL)
                .map_err(|error| SinkError::Retry(format!("can't compress {} bytes with zstd: {error}", body.len()))),
        }
    }
}

/// The body compressed with gzip.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing into memory doesn't fail.
    encoder.write_all(body).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// The value of `Authorization` for a user and a password.
pub(crate) fn basic_auth(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A secret as a header value that is never logged. The error names the `options` it came from, without the secret.
pub(crate) fn secret_header(secret: &str, options: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_str(secret).map_err(|_| format!("{options}: characters that are not allowed in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_body_decompresses_to_the_original() {
        use std::io::Read;

        let body = b"{\"message\":\"hello\"}\n".repeat(1000);
        let zstd = Encoding::Zstd.apply(body.clone()).expect("compresses");
        assert!(zstd.len() < body.len() / 10);
        assert_eq!(zstd::decode_all(&zstd[..]).expect("zstd"), body);
        let gzip = Encoding::Gzip.apply(body.clone()).expect("compresses");
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut plain).expect("gzip");
        assert_eq!(plain, body);
        assert_eq!(Encoding::None.apply(body.clone()), Ok(body));
    }

    #[test]
    fn user_and_password_are_encoded_as_rfc_7617_says() {
        assert_eq!(basic_auth("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
