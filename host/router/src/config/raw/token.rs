//! `[token.NAME]` and `[limits]`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_document::Secret;
use weir_document::units::{Size, TimeSpan};

/// Limits of a sender; beyond one, requests get a 429 with `Retry-After`. What is configured applies to every address;
/// the defaults only to those of other machines, since on this one, a proxy speaks for many. 0 is no limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Requests that send records, per second. Default: no limit.
    pub requests_per_second: Option<u64>,
    /// Records per second. Default: no limit.
    pub records_per_second: Option<u64>,
    /// Bytes of request bodies per second, as received. Default: no limit.
    #[schemars(example = &"10MiB")]
    pub bytes_per_second: Option<Size>,
    /// How much of these rates may be used at once, as the time in which it accrues; from 100 ms to an hour. Default:
    /// 1s.
    pub burst: Option<TimeSpan>,
    /// Connections at a time. Default: 256.
    pub connections: Option<u64>,
    /// Clients of the live stream at a time. Default: 128.
    pub streams: Option<u64>,
    /// Searches at a time; others wait up to 10 s. Default: 3, of 4 for everybody.
    pub searches: Option<u64>,
}

/// A token: who may send, read or change what. It has one of `hash`, `env`, `file` and `certificate`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["role"]))]
pub(in crate::config) struct Token {
    /// What it permits: to send records (`ingest`), to read them and the state of the router (`read`), or everything
    /// (`admin`).
    pub role: Option<TokenRole>,
    /// Only records of these sources, in any case; `*` is any text, `?` one character. Default: all.
    #[schemars(inner(length(min = 1)), extend("examples" = [["shop*", "checkout"]]))]
    pub sources: Vec<String>,
    /// Only records with one of these routes, for `read`. Default: all.
    #[schemars(inner(length(min = 1)), extend("examples" = [["audit"]]))]
    pub routes: Vec<String>,
    /// Its hash, as `weir token new --hash` prints it. No report shows it, because it could be the token by mistake.
    pub hash: Option<Secret>,
    /// The environment variable that contains it.
    #[schemars(length(min = 1), example = &"CI_TOKEN")]
    pub env: Option<String>,
    /// The file that contains it; relative to this file.
    #[schemars(length(min = 1), example = &"/run/secrets/ci-token")]
    pub file: Option<String>,
    /// Its own limits, which replace those of the addresses that use it, one by one. Default: those of the address.
    pub limits: Limits,
    /// In place of a token, a client certificate: its common name, one of its alternative names (DNS, email or URI), or
    /// its fingerprint, `sha256:` and 64 hexadecimal digits. Needs `client_certificates` in `[tls]`.
    #[schemars(length(min = 1), example = &"ci.example.com")]
    pub certificate: Option<String>,
}

/// What a token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum TokenRole {
    Ingest,
    Read,
    Admin,
}
