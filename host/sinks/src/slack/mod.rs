//! The `slack` sink: posts messages to a Slack channel through a webhook.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, rate limit, what answers mean |
//! | `digest.rs` | groups repeated records, the most severe first |
//! | `message.rs` | the digest as blocks, within Slack's limits |
//!
//! Guarantee: every record is shown or counted, at least once. Slack has no idempotency key: a message appears twice if
//! Slack accepted it and the answer was lost, and the last one may appear twice after a `kill -9`.
//!
//! A message summarises all waiting records, up to `batch` (and the 4 to 8 MiB that a runner reads at a time), and
//! shows at most `groups` groups of repeats; the rest is counted. At most one message is sent per `interval`. So a
//! flood of 10,000 errors is a message or two, and an endless flood one message a second, each with 20 sections. After
//! 429 the sink waits as long as `Retry-After` says. If Slack rejects a message as malformed, its records are halved
//! until the bad one is alone, which goes to quarantine.
//!
//! The webhook's URL is a secret: everyone who knows it can post. It appears in no error and no log line.

mod digest;
mod message;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use weir_document::Secret;
use weir_record::Level;

use self::digest::Digest;
use crate::limits;
use crate::post::{Answer, Connection, Server};
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Batching, Delivered, Selected, Sink, SinkError};
use crate::units::TimeSpan;

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "slack",
    summary: "posts errors to a Slack channel, with repeats combined, at most one message a second",
    guarantee: Guarantee::AtLeastOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.alerts]
type = "slack"
url = "https://hooks.slack.com/services/T0000/B0000/XXXX"    # or the variable SLACK_WEBHOOK_URL
min_level = "ERROR"     # the default
interval = "30s"        # at most two messages a minute
groups = 20
"#,
    schema: schema_of::<SlackOptions>,
    variables: &[Variable { name: "SLACK_WEBHOOK_URL", option: "url" }],
    min_level: Some(Level::Error),
    build,
    search: None,
};

/// Options of a `slack` sink.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackOptions {
    /// The webhook's URL, which is a secret.
    #[serde(default)]
    pub url: Option<Secret>,
    /// Minimum time between two messages; Slack accepts one per second.
    #[serde(default = "default_interval")]
    pub interval: TimeSpan,
    /// How long the first record waits for more.
    #[serde(default = "default_linger")]
    pub linger: TimeSpan,
    /// Maximum number of records per message.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Maximum number of groups of repeated records that one message shows; the rest is counted.
    #[serde(default = "default_groups")]
    #[schemars(range(min = 1, max = 48))]
    pub groups: usize,
    /// Also shows a record's other fields.
    #[serde(default = "default_fields")]
    pub fields: bool,
    /// Timeouts and TLS.
    #[serde(flatten)]
    pub(crate) connection: Connection,
}

fn default_interval() -> TimeSpan {
    TimeSpan::from_duration(limits::SLACK_INTERVAL)
}

fn default_linger() -> TimeSpan {
    TimeSpan::from_duration(limits::POST_LINGER)
}

fn default_batch() -> usize {
    limits::SLACK_RECORDS
}

fn default_groups() -> usize {
    limits::SLACK_GROUPS
}

fn default_fields() -> bool {
    true
}

fn build(name: &str, given: serde_json::Value, _: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: SlackOptions = options(name, given)?;
    let wrong = |error: String| format!("sink `{name}`: {error}");
    let url = options.url.as_ref().map(|url| url.expose().trim()).filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| wrong("`url` is missing: give it, or set SLACK_WEBHOOK_URL".into()))?;
    if !(1..=limits::MAX_SLACK_GROUPS).contains(&options.groups) {
        return Err(wrong(format!("`groups` must be 1 to {}", limits::MAX_SLACK_GROUPS)));
    }
    if !(1..=limits::MAX_POST_RECORDS).contains(&options.batch) {
        return Err(wrong(format!("`batch` must be 1 to {}", limits::MAX_POST_RECORDS)));
    }
    if options.interval.duration().max(options.linger.duration()) > limits::MAX_SLACK_INTERVAL {
        return Err(wrong("`interval` and `linger` must be an hour or less".into()));
    }
    let server = options.connection.server(name, url).map_err(wrong)?;
    Ok(Box::new(SlackSink { name: name.into(), server, options, next_at: None }))
}

struct SlackSink {
    name: String,
    server: Server,
    options: SlackOptions,
    /// When the next message may be sent.
    next_at: Option<Instant>,
}

impl SlackSink {
    fn judge(&self, answer: &Answer) -> SinkError {
        match answer.status {
            401 | 403 | 404 | 410 => self.server.retry_with_advice(
                answer,
                "check that the webhook (`url`, SLACK_WEBHOOK_URL) exists and its channel is not archived",
            ),
            429 => {
                // Slack always sends `Retry-After`; a proxy may not.
                let wait = answer.retry_after.unwrap_or(Duration::from_secs(1));
                SinkError::Later(self.server.describe(answer), wait)
            }
            _ => self.server.refused(answer),
        }
    }
}

#[async_trait]
impl Sink for SlackSink {
    async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }

    fn batching(&self) -> Batching {
        Batching { records: self.options.batch, linger: self.options.linger.duration() }
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let records = batches.iter().flat_map(Selected::iter).map(|(_, record)| record);
        let digest = Digest::of(records, self.options.groups);
        let body = message::message(&digest, &self.name, self.options.fields).to_string().into_bytes();
        drop(digest);
        if let Some(at) = self.next_at {
            sleep_until(at).await;
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.server.post(headers, body).await;
        // Counted from the answer, also after a failure, so that a slow connection never makes two messages arrive
        // closer together.
        self.next_at = Some(Instant::now() + self.options.interval.duration());
        match answer? {
            answer if answer.is_success() => Ok(Delivered::default()),
            answer => Err(self.judge(&answer)),
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
