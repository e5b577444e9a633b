//! `[http]` and `[tls]`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_document::units::{Size, TimeSpan};

use super::{mib, seconds};

/// The HTTP server that receives records, and its limits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Http {
    /// Address and port to listen on; `0.0.0.0:8080` is reachable from other machines, and needs a token.
    #[schemars(example = &"127.0.0.1:8080")]
    pub listen: String,
    /// Host names besides `localhost` that requests may use when Weir listens on a loopback address, such as the public
    /// name that a local proxy passes on. Requests for other hosts get a 403, because a web page could have sent them.
    /// On other addresses, any name is accepted.
    #[schemars(inner(length(min = 1)), extend("examples" = [["logs.example.com"]]))]
    pub allowed_hosts: Vec<String>,
    /// Other origins whose web pages may send records, as browsers write them: scheme, host, and the port if it isn't
    /// the usual one. `"*"` lets every page anywhere send, so use it only if everybody may. Pages of other origins never
    /// read anything but the answers.
    #[schemars(inner(length(min = 1)), extend("examples" = [["https://app.example.com"]]))]
    pub allowed_origins: Vec<String>,
    /// Maximum size of a request body, as received.
    pub max_body: Size,
    /// Maximum size of a request body after decompression; at least `max_body`.
    pub max_decompressed: Size,
    /// Maximum total size of all unanswered requests; beyond it, senders get a 503.
    pub max_in_flight: Size,
    /// Maximum number of connections; beyond it, clients get a 503 and are disconnected. Lowered, with a warning, if
    /// the limit on open files doesn't allow as many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u64,
    /// How long a client may take to send the headers of a request, and before that for a TLS handshake.
    pub header_timeout: TimeSpan,
    /// Time limit for receiving the body of a request.
    pub body_timeout: TimeSpan,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_body: mib(16),
            max_decompressed: mib(64),
            max_in_flight: mib(256),
            max_connections: 1024,
            header_timeout: seconds(10),
            body_timeout: seconds(30),
        }
    }
}

/// Encryption of all connections with TLS 1.2 or 1.3. Changed files are taken up while the router runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificate", "key"]))]
pub(in crate::config) struct Tls {
    /// PEM file with the server's certificate, and after it those between it and its authority; relative to this file.
    #[schemars(length(min = 1), example = &"/etc/weir/certificate.pem")]
    pub certificate: Option<String>,
    /// PEM file with its key, without a password; relative to this file.
    #[schemars(length(min = 1), example = &"/etc/weir/key.pem")]
    pub key: Option<String>,
    /// PEM file with the authorities of clients' certificates, which tokens can name; relative to this file. Default:
    /// clients are not asked for a certificate.
    #[schemars(length(min = 1), example = &"/etc/weir/clients.pem")]
    pub client_certificates: Option<String>,
    /// Whether clients without a certificate can't connect.
    pub require_client_certificate: bool,
}
