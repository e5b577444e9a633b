//! The `datadog` sink: posts records to Datadog's logs intake, version 2.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, headers, what answers mean |
//! | `entry.rs` | a record as an entry, within Datadog's limits |
//!
//! Guarantee: at least once, in order, one request at a time. A record counts as delivered after a 2xx (202). Datadog
//! has no idempotency key: records appear twice if the answer to an accepted request was lost, and so do those of about
//! the last half second before a `kill -9`. Both copies have the same `weir_id`, the permanent id of the record;
//! `record_id` renames the attribute.
//!
//! Datadog's limits apply: 1,000 entries and 5 MB per request before compression, 1 MB per entry. A longer delivery
//! becomes several requests; a longer entry is cut with a mark (`entry.rs`). If Datadog answers 413 nevertheless, the
//! delivery is halved, and later ones are limited to that length. On 400 the bad record is found and goes to
//! quarantine. 408, 429 and 5xx are retried, and so is 403, which means a wrong key: nothing is lost until it is
//! corrected.

mod entry;
#[cfg(test)]
mod tests;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use weir_document::Secret;
use weir_record::Record;

use self::entry::Labels;
use crate::limits;
use crate::post::{
    Answer, Body, BodyOptions, Connection, Encoding, Origin, PostSink, Protocol, Server, Shape, record_id,
    secret_header,
};
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Batching, Position, Sink, SinkError};
use crate::units::TimeSpan;

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "datadog",
    summary: "sends records to Datadog's logs intake, within its limits, with service, status and tags",
    guarantee: Guarantee::AtLeastOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.datadog]
type = "datadog"
api_key = "0123456789abcdef0123456789abcdef"    # or the variable DD_API_KEY
site = "datadoghq.eu"                           # or DD_SITE
env = "production"                              # or DD_ENV
tags = "team:payments,region:eu"                # or DD_TAGS
"#,
    schema: schema_of::<DatadogOptions>,
    variables: &[
        Variable { name: "DD_API_KEY", option: "api_key" },
        Variable { name: "DD_SITE", option: "site" },
        Variable { name: "DD_SERVICE", option: "service" },
        Variable { name: "DD_ENV", option: "env" },
        Variable { name: "DD_VERSION", option: "version" },
        Variable { name: "DD_TAGS", option: "tags" },
        Variable { name: "DD_HOSTNAME", option: "hostname" },
    ],
    min_level: None,
    build,
    search: None,
};

/// Options of a `datadog` sink.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatadogOptions {
    /// The API key.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Datadog's site: `datadoghq.com`, `datadoghq.eu`, `us5.datadoghq.com` …
    #[serde(default = "default_site")]
    pub site: String,
    /// The complete URL of the intake, instead of the site's: a proxy, for example.
    #[serde(default)]
    pub url: Option<Secret>,
    /// `service` of every record; its source is then in `logger.name`. Default: the record's source.
    #[serde(default)]
    pub service: Option<String>,
    /// Tag `env`.
    #[serde(default)]
    pub env: Option<String>,
    /// Tag `version`.
    #[serde(default)]
    pub version: Option<String>,
    /// Further tags, separated by commas or spaces: `team:payments,region:eu`.
    #[serde(default)]
    pub tags: String,
    /// `ddsource` of records without one; it selects the Datadog integration.
    #[serde(default = "default_source")]
    pub ddsource: String,
    /// Host of records without `hostname` or `host`.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The attribute that contains each record's id, which identifies duplicates; empty: none.
    #[serde(default = "default_record_id")]
    pub record_id: String,
    /// Maximum number of records per request; Datadog's limit is 1000.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1, max = 1000))]
    pub batch: usize,
    /// How long records wait for more.
    #[serde(default = "default_linger")]
    pub linger: TimeSpan,
    /// Timeouts and TLS.
    #[serde(flatten)]
    pub(crate) connection: Connection,
}

fn default_site() -> String {
    "datadoghq.com".into()
}

fn default_source() -> String {
    "weir".into()
}

fn default_record_id() -> String {
    "weir_id".into()
}

fn default_batch() -> usize {
    limits::DATADOG_ENTRIES
}

fn default_linger() -> TimeSpan {
    TimeSpan::from_duration(limits::POST_LINGER)
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: DatadogOptions = options(name, given)?;
    let wrong = |error: String| format!("sink `{name}`: {error}");
    let key = options.api_key.as_ref().map(|key| key.expose().trim()).filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| wrong("`api_key` is missing: give it, or set DD_API_KEY".into()))?;
    if !(1..=limits::DATADOG_ENTRIES).contains(&options.batch) {
        return Err(wrong(format!("`batch` must be 1 to {}, Datadog's limit", limits::DATADOG_ENTRIES)));
    }
    let url = match &options.url {
        Some(url) => url.expose().to_owned(),
        None if options.site.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-')) => {
            return Err(wrong(format!(
                "`site` must be one of Datadog's sites, such as `datadoghq.eu`, not `{}`",
                options.site
            )));
        }
        None => format!("https://http-intake.logs.{}/api/v2/logs", options.site),
    };
    let server = options.connection.server(name, &url).map_err(wrong)?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("dd-api-key"), secret_header(key, "`api_key`").map_err(wrong)?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let bodies = BodyOptions {
        shape: Shape::JsonArray,
        encoding: Encoding::Gzip,
        max_bytes: limits::DATADOG_BYTES,
        max_records: options.batch,
    };
    let batching = Batching { records: options.batch, linger: options.linger.duration() };
    let protocol = DatadogProtocol { journal: context.journal_id.clone(), labels: labels(&options), headers };
    Ok(Box::new(PostSink::new(batching, protocol, server, bodies)))
}

fn labels(options: &DatadogOptions) -> Labels {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut tags: Vec<String> =
        options.tags.split([',', ' ']).filter(|tag| !tag.is_empty()).map(str::to_string).collect();
    tags.extend(given(&options.env).map(|env| format!("env:{env}")));
    tags.extend(given(&options.version).map(|version| format!("version:{version}")));
    Labels {
        service: given(&options.service),
        ddsource: options.ddsource.clone(),
        tags: tags.join(","),
        hostname: given(&options.hostname),
        record_id: options.record_id.clone(),
    }
}

struct DatadogProtocol {
    journal: String,
    labels: Labels,
    headers: HeaderMap,
}

impl Protocol for DatadogProtocol {
    fn encode(&self, at: Position, record: Record<'_>, out: &mut Vec<u8>) {
        self.labels.push_entry(record, &record_id(&self.journal, at), out);
    }

    fn headers(&self, _: &str, _: &Body, _: Origin) -> Result<HeaderMap, SinkError> {
        Ok(self.headers.clone())
    }

    fn refused(&self, server: &Server, answer: &Answer) -> SinkError {
        match answer.status {
            401 | 403 => {
                server.retry_with_advice(answer, "check that `api_key` (DD_API_KEY) is a key of this `site` (DD_SITE)")
            }
            _ => server.refused(answer),
        }
    }
}
