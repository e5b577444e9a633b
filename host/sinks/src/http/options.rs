//! Options of an `http` sink, and what they imply for all requests.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_document::Secret;

use crate::limits;
use crate::post::{Connection, Encoding, basic_auth, secret_header};
use crate::units::{Size, TimeSpan};

/// The format of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// A JSON array of objects.
    #[default]
    Json,
    /// A JSON object per line.
    Ndjson,
    /// A MessagePack array of maps, with time in nanoseconds.
    Msgpack,
}

/// Options of an `http` sink.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    /// The URL that records are posted to.
    #[serde(default)]
    pub url: Option<Secret>,
    /// `json` for an array, `ndjson` for one object per line, `msgpack` for an array with time in nanoseconds.
    #[serde(default)]
    pub format: Format,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: Encoding,
    /// Further headers. `{sink}`, `{journal}`, `{first_id}`, `{last_id}` and `{count}` are filled for each request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// Sent with `password` as `Authorization: Basic …`.
    #[serde(default)]
    pub user: Option<String>,
    /// The password of `user`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The header for the idempotency key, which is the same when a request is repeated; empty: none.
    #[serde(default = "default_idempotency_header")]
    pub idempotency_header: String,
    /// The field for each record's id, the same in every repetition; empty: none. A record with this field keeps its
    /// own.
    #[serde(default)]
    pub record_id: String,
    /// Maximum number of records per request.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// How long records wait for more.
    #[serde(default = "default_linger")]
    pub linger: TimeSpan,
    /// Maximum body size before compression; longer deliveries are split, and a single longer record goes to
    /// quarantine.
    #[serde(default = "default_max_body")]
    pub max_body: Size,
    /// Statuses after which a request is sent again. Default: all that are not in `reject_statuses`.
    #[serde(default)]
    pub retry_statuses: Option<Vec<u16>>,
    /// Statuses that mean a bad record: it is searched for and goes to quarantine. 413 always does.
    #[serde(default = "default_reject_statuses")]
    pub reject_statuses: Vec<u16>,
    /// Timeouts and TLS.
    #[serde(flatten)]
    pub(crate) connection: Connection,
}

fn default_idempotency_header() -> String {
    "Idempotency-Key".into()
}

fn default_batch() -> usize {
    limits::POST_RECORDS
}

fn default_linger() -> TimeSpan {
    TimeSpan::from_duration(limits::POST_LINGER)
}

fn default_max_body() -> Size {
    Size::from_bytes(limits::POST_BYTES)
}

fn default_reject_statuses() -> Vec<u16> {
    vec![400, 413, 422]
}

/// Refuses combinations that can't work.
pub(super) fn check_bounds(options: &HttpOptions) -> Result<(), String> {
    if !(1..=limits::MAX_POST_RECORDS).contains(&options.batch) {
        return Err(format!("`batch` must be 1 to {}", limits::MAX_POST_RECORDS));
    }
    if !(1024..=limits::MAX_POST_BYTES).contains(&options.max_body.bytes()) {
        return Err(format!("`max_body` must be 1KiB to {}", Size::from_bytes(limits::MAX_POST_BYTES)));
    }
    if options.linger.duration() > Duration::from_secs(3600) {
        return Err("`linger` must be an hour or less".into());
    }
    let retried = options.retry_statuses.iter().flatten();
    for status in retried.chain(&options.reject_statuses) {
        if !(300..600).contains(status) {
            return Err(format!(
                "{status} in `retry_statuses` or `reject_statuses` is not the status of a failure (300 to 599)"
            ));
        }
    }
    Ok(())
}

/// Headers that are the same for all requests.
pub(super) fn fixed_headers(options: &HttpOptions) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let content_type = match options.format {
        Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
        Format::Msgpack => "application/msgpack",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(encoding) = options.compression.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    let authorization = match (&options.token, &options.user, &options.password) {
        (Some(token), None, None) => Some(format!("Bearer {}", token.expose())),
        (None, Some(user), password) => {
            if user.contains(':') {
                return Err("`user` must not contain a `:`".into());
            }
            Some(basic_auth(user, password.as_ref().map_or("", Secret::expose)))
        }
        (None, None, None) => None,
        (None, None, Some(_)) => return Err("`password` needs `user`".into()),
        (Some(_), ..) => return Err("`token` and `user` can't be used together".into()),
    };
    if let Some(text) = authorization {
        headers.insert(AUTHORIZATION, secret_header(&text, "`token`, `user` or `password`")?);
    }
    Ok(headers)
}
