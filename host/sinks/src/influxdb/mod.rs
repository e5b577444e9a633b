//! The `influxdb` sink: writes records as points, through the write API of InfluxDB 2 (token, org, bucket) or 1 (database,
//! user, password), or of compatible servers such as VictoriaMetrics.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options and requests |
//! | `answer.rs` | what the answers mean |
//! | `point.rs` | points from records: from measurements, and from ordinary logs by a mapping |
//! | `line.rs` | the line protocol: names, values, escaping |
//!
//! Guarantee: at least once, and a repetition changes nothing. A delivery is one request, or several if it is large, and
//! complete when the server has answered all of them with 2xx. A request without an answer is sent again, and so are the
//! deliveries of about the last second before Weir was killed. The repeated points are identical byte for byte, and
//! InfluxDB keeps one point per series and time. (VictoriaMetrics keeps both unless it runs with
//! `-dedup.minScrapeInterval`; and it answers before it has written anything, so `kill -9` of *it* loses what it
//! accepted in its last seconds.)
//!
//! # Points of the same series and time
//! InfluxDB treats them as one point and keeps the one written last. For measurements that is intended: a value that is
//! sent again replaces the first. For logs it would lose data, since many fall into one millisecond. So the times of
//! logs are kept apart (`keep_apart`): they are sent in nanoseconds, cut to `precision`, and the digits below contain a
//! number derived from the record's position in the journal, which is the same on every repetition. Two records collide
//! only if series, tick *and* that number are equal; within a frame of up to a million records this never happens at a
//! precision of milliseconds. With microseconds there is room for a thousand, with nanoseconds for none: the time is
//! sent unchanged.
//!
//! # Answers of servers
//! InfluxDB writes the valid points and answers 400 for the others, so halving to find the invalid ones sends valid
//! points again, which is harmless. VictoriaMetrics answers 204 for any line, and stores only numbers, in milliseconds.

mod answer;
mod line;
mod point;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use weir_document::Secret;

use self::point::Points;
pub(crate) use self::point::describe_metrics;
use crate::limits;
use crate::post::{Connection, Encoding, Server, basic_auth, secret_header};
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Batching, Delivered, Selected, Sink, SinkError};

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "influxdb",
    summary: "writes measurements, and numbers in ordinary logs, as points to InfluxDB 2 or 1 or VictoriaMetrics",
    guarantee: Guarantee::AtLeastOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.metrics]
type = "influxdb"
url = "http://localhost:8086"
org = "acme"                          # InfluxDB 2; for 1: database, user, password
bucket = "logs"
token = "my-token"                    # or INFLUX_TOKEN
measurement = "source"                # of ordinary logs: the value at this path
tags = ["level", "context.region"]
fields = ["context.duration_ms"]      # absent: every number
count = "count"                       # and a field that is always 1
"#,
    schema: schema_of::<InfluxOptions>,
    variables: &[
        Variable { name: "INFLUXDB_URL", option: "url" },
        Variable { name: "INFLUX_HOST", option: "url" },
        Variable { name: "INFLUX_TOKEN", option: "token" },
        Variable { name: "INFLUX_ORG", option: "org" },
        Variable { name: "INFLUX_BUCKET", option: "bucket" },
        Variable { name: "INFLUX_BUCKET_NAME", option: "bucket" },
        Variable { name: "INFLUX_DATABASE", option: "database" },
        Variable { name: "INFLUX_USERNAME", option: "user" },
        Variable { name: "INFLUX_PASSWORD", option: "password" },
    ],
    min_level: None,
    build,
    search: None,
};

/// The server if none is configured.
const DEFAULT_URL: &str = "http://localhost:8086";

/// Options of an `influxdb` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfluxOptions {
    /// The server; the path of the write API is appended. Default: `http://localhost:8086`.
    #[serde(default)]
    pub url: Option<Secret>,
    /// InfluxDB 2: the bucket.
    #[serde(default)]
    pub bucket: Option<String>,
    /// InfluxDB 2: the bucket's organisation.
    #[serde(default)]
    pub org: Option<String>,
    /// InfluxDB 2: a token that may write to the bucket.
    #[serde(default)]
    pub token: Option<Secret>,
    /// InfluxDB 1: the database, which must exist.
    #[serde(default)]
    pub database: Option<String>,
    /// InfluxDB 1: the user.
    #[serde(default)]
    pub user: Option<String>,
    /// InfluxDB 1: the user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// InfluxDB 1: the retention policy; absent: the database's default.
    #[serde(default)]
    pub retention_policy: Option<String>,
    /// The precision of times: `ns`, `us`, `ms` or `s`.
    #[serde(default)]
    pub precision: Precision,
    /// Which records of the same series and tick must not overwrite each other: `logs`, `all` or `none`.
    #[serde(default)]
    pub keep_apart: KeepApart,
    /// Ordinary logs: the path of the measurement's name.
    #[serde(default = "default_measurement")]
    pub measurement: String,
    /// Ordinary logs: paths of tags, named by their last key, or names with paths.
    #[serde(default = "default_tags")]
    pub tags: Named,
    /// Ordinary logs: paths of fields, named by their last key, or names with paths; absent: every number, named by its
    /// path.
    #[serde(default)]
    pub fields: Option<Named>,
    /// Ordinary logs: the name of a field that is always 1, for counting.
    #[serde(default)]
    pub count: Option<String>,
    /// Writes integers as floats, for fields that contain both.
    #[serde(default)]
    pub integers_as_floats: bool,
    /// Compresses requests.
    #[serde(default = "default_gzip")]
    pub gzip: bool,
    /// Timeouts and TLS.
    #[serde(flatten)]
    pub(crate) connection: Connection,
}

/// Paths, with the names of their values.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Named {
    /// Named by the last key of each path.
    Paths(Vec<String>),
    /// Names with their paths.
    Names(BTreeMap<String, String>),
}

/// The precision of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Precision {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    #[default]
    Ms,
    /// Seconds.
    S,
}

/// Which records of the same series and tick must not overwrite each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum KeepApart {
    /// Ordinary logs; measurements replace each other.
    #[default]
    Logs,
    /// All.
    All,
    /// None.
    None,
}

fn default_measurement() -> String {
    "source".into()
}

fn default_tags() -> Named {
    Named::Paths(vec!["level".into()])
}

fn default_gzip() -> bool {
    true
}

impl Precision {
    /// Nanoseconds in one tick.
    pub(crate) fn tick_ns(self) -> i64 {
        match self {
            Precision::Ns => 1,
            Precision::Us => 1_000,
            Precision::Ms => 1_000_000,
            Precision::S => 1_000_000_000,
        }
    }

    /// The unit in the write API. Version 1 treats `us` and `ns` as nanoseconds, which is undocumented.
    fn parameter(self, version: Version) -> &'static str {
        match (self, version) {
            (Precision::Ns, Version::One) => "n",
            (Precision::Ns, Version::Two) => "ns",
            (Precision::Us, Version::One) => "u",
            (Precision::Us, Version::Two) => "us",
            (Precision::Ms, _) => "ms",
            (Precision::S, _) => "s",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

fn build(name: &str, given: serde_json::Value, _: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: InfluxOptions = options(name, given)?;
    let refuse = |error: &str| format!("sink `{name}`: {error}");
    let (version, url) = write_url(&options).map_err(|error| refuse(&error))?;
    let points = Points::new(name, &options).map_err(|error| refuse(&error))?;
    Ok(Box::new(InfluxSink {
        server: options.connection.server(name, &url).map_err(|error| refuse(&error))?,
        headers: headers(version, &options).map_err(|error| refuse(&error))?,
        points,
        version,
        names_org: not_empty(&options.org).is_some(),
        encoding: encoding(&options),
    }))
}

/// An option with a value; an empty text, as from an empty variable, counts as absent.
fn not_empty(option: &Option<String>) -> Option<&str> {
    option.as_deref().filter(|text| !text.is_empty())
}

/// The same for a secret.
fn exposed(option: &Option<Secret>) -> Option<&str> {
    option.as_ref().map(Secret::expose).filter(|text| !text.is_empty())
}

/// The complete URL of the write API, with the version that the options imply.
fn write_url(options: &InfluxOptions) -> Result<(Version, String), String> {
    let two =
        [not_empty(&options.bucket), not_empty(&options.org), exposed(&options.token)].iter().any(Option::is_some);
    let one = [&options.database, &options.user, &options.retention_policy].into_iter().map(not_empty);
    let one = one.chain([exposed(&options.password)]).any(|option| option.is_some());
    let (version, path) = match (two, one) {
        (true, false) => (Version::Two, "api/v2/write"),
        (false, true) => (Version::One, "write"),
        (true, true) => {
            return Err("give `bucket`, `org` and `token` (InfluxDB 2) or `database`, `user` and `password` \
                        (InfluxDB 1), not both"
                .into());
        }
        (false, false) => {
            return Err(
                "no destination is configured: set `bucket` with `org` and `token` (InfluxDB 2; or INFLUX_BUCKET, INFLUX_ORG, \
                        INFLUX_TOKEN) or `database` (InfluxDB 1; or INFLUX_DATABASE)"
                    .into(),
            );
        }
    };
    let mut url = Url::parse(options.url.as_ref().map_or(DEFAULT_URL, Secret::expose))
        .map_err(|error| format!("`url` is not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("`url` must contain only a server and a path; use options for `user`, `password` and so on".into());
    }
    url.path_segments_mut()
        .map_err(|()| "`url` must begin with `http://` or `https://`".to_string())?
        .pop_if_empty()
        .extend(path.split('/'));
    // If kept apart, times are sent in nanoseconds whatever their precision.
    let sent = if options.keep_apart == KeepApart::None { options.precision } else { Precision::Ns };
    let mut query = url.query_pairs_mut();
    match version {
        Version::Two => {
            let Some(bucket) = not_empty(&options.bucket) else {
                return Err("`bucket` is missing (or INFLUX_BUCKET)".into());
            };
            query.append_pair("bucket", bucket);
            if let Some(org) = not_empty(&options.org) {
                query.append_pair("org", org);
            }
        }
        Version::One => {
            let Some(database) = not_empty(&options.database) else {
                return Err("`database` is missing (or INFLUX_DATABASE)".into());
            };
            query.append_pair("db", database);
            if let Some(policy) = not_empty(&options.retention_policy) {
                query.append_pair("rp", policy);
            }
        }
    }
    query.append_pair("precision", sent.parameter(version));
    drop(query);
    Ok((version, url.into()))
}

fn headers(version: Version, options: &InfluxOptions) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(encoding) = encoding(options).name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    let secret = match (version, exposed(&options.token), not_empty(&options.user), exposed(&options.password)) {
        (Version::Two, Some(token), ..) => format!("Token {token}"),
        (Version::One, _, Some(user), Some(password)) => basic_auth(user, password),
        (Version::One, _, Some(_), None) | (Version::One, _, None, Some(_)) => {
            return Err("`user` and `password` must be given together".into());
        }
        _ => return Ok(headers),
    };
    headers.insert(AUTHORIZATION, secret_header(&secret, "`token`, `user` or `password`")?);
    Ok(headers)
}

fn encoding(options: &InfluxOptions) -> Encoding {
    if options.gzip { Encoding::Gzip } else { Encoding::None }
}

struct InfluxSink {
    server: Server,
    headers: HeaderMap,
    points: Points,
    encoding: Encoding,
    version: Version,
    names_org: bool,
}

impl InfluxSink {
    async fn post(&mut self, lines: Vec<u8>) -> Result<(), SinkError> {
        let answer = self.server.post(self.headers.clone(), self.encoding.apply(lines)?).await?;
        match answer.is_success() {
            true => Ok(()),
            false => Err(answer::refused(&self.server, self.version, self.names_org, &answer)),
        }
    }
}

#[async_trait]
impl Sink for InfluxSink {
    async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }

    fn batching(&self) -> Batching {
        Batching { records: limits::INFLUX_POINTS, linger: limits::INFLUX_LINGER }
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut body = Vec::with_capacity(batches.iter().map(|frame| frame.batch.byte_len() / 2).sum());
        let mut rejected = Vec::new();
        for frame in batches {
            for n in 0..frame.len() {
                let (at, record) = frame.nth(n);
                if !self.points.push(at, record, &mut body) {
                    let most = limits::INFLUX_LINE_BYTES >> 20;
                    rejected.push((at, format!("its point would take more than {most} MiB; set `fields`")));
                }
                // If a later request fails, these points are sent again, which changes nothing.
                if body.len() >= limits::INFLUX_BODY_BYTES {
                    self.post(std::mem::take(&mut body)).await?;
                }
            }
        }
        if !body.is_empty() {
            self.post(body).await?;
        }
        Ok(Delivered { rejected, durable: None })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
