//! `[[listen]]`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_document::Secret;
use weir_document::units::Size;

use super::mib;

/// Another address to listen on, and what its senders speak. Changes apply without a restart, and only to the listeners
/// that are changed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["protocol", "address"]))]
pub(in crate::config) struct Listen {
    /// `forward` (Fluent Forward), `syslog`, `gelf`, `lines` (of JSON or text); `http`, for everything that is received
    /// over HTTP, and the page; or one protocol of those over HTTP, such as `otlp` (also over gRPC), which takes nothing
    /// else.
    #[schemars(length(min = 1), example = &"syslog")]
    pub protocol: Option<String>,
    /// `tcp://`, `tls://` or `udp://` with an IP address and a port, or `unix:` or `unixgram:` with a path relative to
    /// this file. An address alone is for what is usual: `udp` for `syslog` and `gelf`, `tls` for what is over HTTP if
    /// there is `[tls]`, otherwise `tcp`.
    #[schemars(length(min = 1), example = &"udp://127.0.0.1:514", example = &"unix:/run/weir.sock")]
    pub address: Option<String>,
    /// `source` of records that have none. Default: the name of the protocol.
    #[schemars(length(min = 1))]
    pub source: Option<String>,
    /// Routes that its records get, in addition to what filters assign. Default: none.
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)), extend("examples" = [["audit"]]))]
    pub routes: Vec<String>,
    /// Records per second of all its senders together. Beyond it, senders over HTTP get a 429, connections are not read,
    /// and datagrams wait. Default: no limit.
    pub records_per_second: Option<u64>,
    /// Bytes per second of all its senders together, as received. Default: no limit.
    #[schemars(example = &"10MiB")]
    pub bytes_per_second: Option<Size>,
    /// Maximum size of a message, for what is not over HTTP. Longer ones are set aside, or their connection is closed.
    pub max_message: Size,
    /// Maximum number of connections, for what is not over HTTP.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_connections: u64,
    /// Whether everybody who reaches this address from other machines may send records. Without it, such an address
    /// needs a `shared_key`, or `tls://` with `require_client_certificate`. What is over HTTP needs tokens.
    pub open: bool,
    /// The key that senders must know, for `forward`.
    #[schemars(length(min = 1))]
    pub shared_key: Option<Secret>,
    /// Names and passwords of senders, for `forward` with a shared key. Default: senders need none.
    pub users: BTreeMap<String, Secret>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            protocol: None,
            address: None,
            source: None,
            routes: Vec::new(),
            records_per_second: None,
            bytes_per_second: None,
            max_message: mib(16),
            max_connections: 512,
            open: false,
            shared_key: None,
            users: BTreeMap::new(),
        }
    }
}
