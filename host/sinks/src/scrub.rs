//! Removes the secrets of a sink's or a source's options from its errors, which are logged, stored in quarantine and shown
//! to everyone who may see the state of the router. A server may repeat in an answer what it was sent.
//!
//! Which options are secrets is in the schema (`weir_document::Secret`). Removed are the secret as it is configured, the
//! password and whatever may be a key in a URL or header, and user and password as in HTTP's `Basic`. The same goes for
//! proxies, which come from the environment.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde_json::Value;
use weir_document::secret::{HIDDEN, is_secret};
use weir_query::Query;
use weir_query::search::{By, EntryId, Histogram, Hit, Place, Search, SearchError};

use crate::erasure::{Erased, Erasure};
use crate::limits::{MIN_KEY_BYTES, MIN_SECRET_BYTES, SECRET_START_BYTES};
use crate::sink::{Batching, Delivered, Selected, Sink, SinkError};

/// The variables of the environment that name proxies, in lower case and in upper case.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// The texts that must not be shown.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The secrets in options of that schema.
    #[must_use]
    pub fn of(schema: &Value, options: &Value) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.collect(schema, schema, options);
        if let (Some(user), Some(password)) = (options["user"].as_str(), options["password"].as_str()) {
            secrets.add(STANDARD.encode(format!("{user}:{password}")));
        }
        // The HTTP client takes them from there, too.
        let proxies = PROXIES.iter().flat_map(|name| [std::env::var(name), std::env::var(name.to_uppercase())]);
        proxies.flatten().for_each(|proxy| secrets.add_parts(&proxy));
        // The longest first, because one may be part of another.
        secrets.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        secrets.0.dedup();
        secrets
    }

    fn collect(&mut self, whole: &Value, schema: &Value, value: &Value) {
        if let Some(target) = schema["$ref"].as_str().and_then(|target| whole.pointer(target.strip_prefix('#')?)) {
            self.collect(whole, target, value);
        }
        for choice in ["anyOf", "oneOf", "allOf"].iter().filter_map(|keyword| schema[keyword].as_array()).flatten() {
            self.collect(whole, choice, value);
        }
        match value {
            Value::String(text) if is_secret(schema) => self.add_parts(text),
            Value::Array(items) => items.iter().for_each(|item| self.collect(whole, &schema["items"], item)),
            Value::Object(entries) => {
                for (key, value) in entries {
                    let property = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
                    self.collect(whole, property, value);
                }
            }
            _ => {}
        }
    }

    /// A URL or several, or any other secret.
    fn add_parts(&mut self, text: &str) {
        let urls: Option<Vec<Url>> =
            text.split(',').map(|url| Url::parse(url.trim()).ok().filter(Url::has_host)).collect();
        match urls {
            Some(urls) => urls.iter().for_each(|url| self.add_url(url)),
            None => {
                self.add(text.trim().to_owned());
                text.split_whitespace().for_each(|word| self.add_key(word));
            }
        }
    }

    fn add_url(&mut self, url: &Url) {
        let user = decoded(url.username());
        match url.password() {
            Some(password) => {
                self.add(password.to_owned());
                self.add(STANDARD.encode(format!("{user}:{}", decoded(password))));
                self.add(decoded(password));
            }
            // A token, for some servers.
            None => self.add_key(&user),
        }
        for (_, value) in url.query_pairs().filter(|(_, value)| !value.starts_with('/')) {
            self.add_key(&value);
        }
        if url.scheme().starts_with("http") {
            url.path_segments().into_iter().flatten().for_each(|segment| self.add_key(segment));
        }
    }

    fn add_key(&mut self, text: &str) {
        if text.len() >= MIN_KEY_BYTES {
            self.add(text.to_owned());
        }
    }

    fn add(&mut self, text: String) {
        if text.len() >= MIN_SECRET_BYTES {
            self.0.push(text);
        }
    }

    /// The text without secrets, nor long beginnings of them: a text may end in the middle of one.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            let start = &secret[..secret.floor_char_boundary(SECRET_START_BYTES)];
            let mut from = 0;
            while let Some(at) = text[from..].find(start).map(|at| from + at) {
                let same = text[at..].bytes().zip(secret.bytes()).take_while(|(one, other)| one == other).count();
                let end = text.floor_char_boundary(at + same);
                text.replace_range(at..end, HIDDEN);
                from = at + HIDDEN.len();
            }
        }
        text
    }

    fn scrub_error(&self, error: SinkError) -> SinkError {
        match error {
            SinkError::Retry(text) => SinkError::Retry(self.scrub(&text)),
            SinkError::Later(text, wait) => SinkError::Later(self.scrub(&text), wait),
            SinkError::Reject(text) => SinkError::Reject(self.scrub(&text)),
            SinkError::Fatal(text) => SinkError::Fatal(self.scrub(&text)),
        }
    }

    fn scrub_search_error(&self, error: SearchError) -> SearchError {
        match error {
            SearchError::Unavailable(text) => SearchError::Unavailable(self.scrub(&text)),
            SearchError::Unsupported(text) => SearchError::Unsupported(self.scrub(&text)),
        }
    }
}

/// Decodes `%41`.
fn decoded(text: &str) -> String {
    // The values of a query are the only part that `Url` decodes.
    let url = Url::parse(&format!("x:?v={}", text.replace('+', "%2B"))).ok();
    let value = url.and_then(|url| Some(url.query_pairs().next()?.1.into_owned()));
    value.unwrap_or_else(|| text.to_owned())
}

/// A sink, or its search, whose errors contain no secrets.
pub(crate) struct Scrubbed<T> {
    inner: T,
    secrets: Arc<Secrets>,
}

impl<T> Scrubbed<T> {
    pub fn new(inner: T, secrets: Arc<Secrets>) -> Scrubbed<T> {
        Scrubbed { inner, secrets }
    }

    fn delivered(&self, delivered: Result<Delivered, SinkError>) -> Result<Delivered, SinkError> {
        let mut delivered = delivered.map_err(|error| self.secrets.scrub_error(error))?;
        delivered.rejected.iter_mut().for_each(|(_, reason)| *reason = self.secrets.scrub(reason));
        Ok(delivered)
    }
}

#[async_trait]
impl Sink for Scrubbed<Box<dyn Sink>> {
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        self.inner.start(last_sequence).await.map_err(|error| self.secrets.scrub_error(error))
    }

    fn batching(&self) -> Batching {
        self.inner.batching()
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let delivered = self.inner.deliver(batches).await;
        self.delivered(delivered)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.inner.flush().await.map_err(|error| self.secrets.scrub_error(error))
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let delivered = self.inner.stand_in(batches).await;
        self.delivered(delivered)
    }

    async fn maintain(&mut self) -> Result<bool, SinkError> {
        self.inner.maintain().await.map_err(|error| self.secrets.scrub_error(error))
    }

    async fn erase(&mut self, erasure: &Erasure, last_sequence: u64) -> Result<Erased, SinkError> {
        self.inner.erase(erasure, last_sequence).await.map_err(|error| self.secrets.scrub_error(error))
    }
}

#[async_trait]
impl Search for Scrubbed<Arc<dyn Search>> {
    async fn newest(&self, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, SearchError> {
        self.inner.newest(query, before, limit).await.map_err(|error| self.secrets.scrub_search_error(error))
    }

    async fn get(&self, id: EntryId) -> Result<Option<Hit>, SearchError> {
        self.inner.get(id).await.map_err(|error| self.secrets.scrub_search_error(error))
    }

    async fn around(&self, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, SearchError> {
        self.inner.around(query, id, before, after).await.map_err(|error| self.secrets.scrub_search_error(error))
    }

    async fn explain(&self, query: &Query, limit: usize) -> Result<String, SearchError> {
        self.inner.explain(query, limit).await.map_err(|error| self.secrets.scrub_search_error(error))
    }

    async fn histogram(&self, query: &Query, by: By, buckets: usize) -> Result<Histogram, SearchError> {
        self.inner.histogram(query, by, buckets).await.map_err(|error| self.secrets.scrub_search_error(error))
    }

    async fn prepare(&self) -> Result<(), SearchError> {
        self.inner.prepare().await.map_err(|error| self.secrets.scrub_search_error(error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scrubbed(kind: &str, options: Value, text: &str) -> String {
        Secrets::of(&(crate::registry::kind(kind).expect("known").schema)(), &options).scrub(text)
    }

    #[test]
    fn secrets_are_removed_in_every_form_and_nothing_else() {
        let options = json!({ "url": "postgres://me:p%40ss@db:5433/logs?sslmode=verify-full", "table": "weir_logs" });
        let text = "can't connect to db:5433 as me with p%40ss or p@ss or bWU6cEBzcw== to logs.weir_logs, verify-full";
        let expected =
            "can't connect to db:5433 as me with [secret] or [secret] or [secret] to logs.weir_logs, verify-full";
        assert_eq!(scrubbed("postgres", options, text), expected);
        let hook = "https://hooks.slack.com/services/T0000/B0000/abcdefghijklmnopqrstuvwx";
        let text = format!("hooks.slack.com refused {hook}: abcdefghij");
        let expected = "hooks.slack.com refused https://hooks.slack.com/services/T0000/B0000/[secret]: [secret]";
        assert_eq!(scrubbed("slack", json!({ "url": hook }), &text), expected);
        let options = json!({ "url": "http://a/", "headers": { "X-Key": "Key 0123456789abcdef", "X-Sink": "a" } });
        assert_eq!(scrubbed("http", options, "a: 0123456789abcdef, Key 0123"), "a: [secret], [secret]");
        let options = json!({ "url": "http://a/", "user": "me", "password": "sesame" });
        assert_eq!(scrubbed("http", options, "me: sesame, bWU6c2VzYW1l"), "me: [secret], [secret]");
        let options = json!({ "url": "nats://0123456789abcdef@a:1,nats://b:sesame@c" });
        assert_eq!(scrubbed("nats", options, "a:1: 0123456789abcdef, c: sesame"), "a:1: [secret], c: [secret]");
        assert_eq!(
            scrubbed("http", json!({ "url": "http://a/", "token": "ab" }), "ab"),
            "ab",
            "too short to recognise"
        );
    }
}
