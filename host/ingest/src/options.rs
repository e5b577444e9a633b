//! The configurable options of the HTTP server.
//!
//! They come from the configuration and are checked once when the server starts. Invariant: after
//! [`HttpOptions::check`], all values are consistent (no limit is zero, the limits fit each other).

use std::{sync::Arc, time::Duration};

use weir_access::Access;
use weir_record::{Aliases, Level};

use crate::{ListenRules, Pages, Tls, hosts, limits, origins};

/// Options of one HTTP server. [`Default`] gives the defaults of the configuration.
#[derive(Clone)]
pub struct HttpOptions {
    /// The `source` of records without one, if the request has none either.
    pub source: String,
    /// The `level` of records without one, if the request has none either.
    pub level: Level,
    /// The senders' names for the canonical keys.
    pub aliases: Arc<Aliases>,
    /// Host names, besides those of loopback, for a server on a loopback address.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may send records, as browsers write them, or `*`.
    pub allowed_origins: Vec<String>,
    /// The key that a request must send in [`REPLAY_HEADER`](crate::REPLAY_HEADER) to be treated as a replay of stored
    /// records. Without a key, no request is.
    pub replay_key: Option<String>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// Connections are encrypted.
    pub tls: Option<Arc<Tls>>,
    /// See [`limits::MAX_BODY_BYTES`].
    pub max_body_bytes: usize,
    /// See [`limits::MAX_DECOMPRESSED_BYTES`].
    pub max_decompressed_bytes: usize,
    /// See [`limits::MAX_IN_FLIGHT_BYTES`].
    pub max_in_flight_bytes: usize,
    /// See [`limits::MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// See [`limits::QUIET_TIMEOUT`].
    pub quiet_timeout: Duration,
    /// See [`limits::BODY_IDLE_TIMEOUT`].
    pub body_idle_timeout: Duration,
    /// See [`limits::BODY_TOTAL_TIMEOUT`].
    pub body_total_timeout: Duration,
    /// See [`limits::ANSWER_TIMEOUT`].
    pub answer_timeout: Duration,
    /// What applies to everything that is received here.
    pub rules: ListenRules,
    /// Answers the paths that are no protocol's, if there is something at them.
    pub pages: Option<Arc<dyn Pages>>,
    /// How long a stop waits for requests in progress; `None`: [`HttpOptions::longest_request`].
    pub shutdown_grace: Option<Duration>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            source: "http".to_owned(),
            level: Level::Info,
            aliases: Arc::new(Aliases::default()),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            replay_key: None,
            access: Arc::new(Access::new(true)),
            tls: None,
            max_body_bytes: limits::MAX_BODY_BYTES,
            max_decompressed_bytes: limits::MAX_DECOMPRESSED_BYTES,
            max_in_flight_bytes: limits::MAX_IN_FLIGHT_BYTES,
            max_connections: limits::MAX_CONNECTIONS,
            quiet_timeout: limits::QUIET_TIMEOUT,
            body_idle_timeout: limits::BODY_IDLE_TIMEOUT,
            body_total_timeout: limits::BODY_TOTAL_TIMEOUT,
            answer_timeout: limits::ANSWER_TIMEOUT,
            rules: ListenRules::default(),
            pages: None,
            shutdown_grace: None,
        }
    }
}

impl HttpOptions {
    /// The maximum duration of a request, from its head to its answer.
    #[must_use]
    pub fn longest_request(&self) -> Duration {
        self.body_total_timeout + limits::DECODE_TIME + self.answer_timeout
    }

    /// What a request with the largest body may hold.
    pub(crate) fn largest_request_bytes(&self) -> usize {
        let body = self.max_body_bytes.saturating_add(self.max_decompressed_bytes);
        body.saturating_add(limits::REQUEST_OVERHEAD_BYTES)
    }

    /// Checks the options.
    ///
    /// # Errors The first option that can't be used, and a value that can.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("max_body_bytes", self.max_body_bytes),
            ("max_decompressed_bytes", self.max_decompressed_bytes),
            ("max_connections", self.max_connections),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, value)| *value == 0) {
            return Err(format!("`{name}` is 0: nothing could be received; set it to at least 1"));
        }
        let times = [
            ("quiet_timeout", self.quiet_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
            ("body_total_timeout", self.body_total_timeout),
            ("answer_timeout", self.answer_timeout),
        ];
        if let Some((name, _)) = times.iter().find(|(_, value)| value.is_zero()) {
            return Err(format!("`{name}` is 0: every request would time out; set it to at least 1ms"));
        }
        let needed = self.max_body_bytes.saturating_add(limits::REQUEST_OVERHEAD_BYTES);
        if self.max_in_flight_bytes < needed {
            return Err(format!(
                "`max_in_flight_bytes` is {}, less than one body of `max_body_bytes` needs; set it to at least {needed}",
                self.max_in_flight_bytes
            ));
        }
        if self.allowed_hosts.len() > limits::MAX_ALLOWED_HOSTS {
            return Err(format!("`allowed_hosts` has more than {} names", limits::MAX_ALLOWED_HOSTS));
        }
        for name in &self.allowed_hosts {
            check_allowed_host(name).map_err(|wrong| format!("`allowed_hosts`: `{name}`: {wrong}"))?;
        }
        if self.allowed_origins.len() > limits::MAX_ALLOWED_ORIGINS {
            return Err(format!("`allowed_origins` has more than {} origins", limits::MAX_ALLOWED_ORIGINS));
        }
        for origin in &self.allowed_origins {
            check_allowed_origin(origin).map_err(|wrong| format!("`allowed_origins`: `{origin}`: {wrong}"))?;
        }
        if self.source.is_empty() || self.source.len() > limits::MAX_LABEL_BYTES {
            return Err(format!("`source` must have 1 to {} bytes", limits::MAX_LABEL_BYTES));
        }
        Ok(())
    }
}

/// Checks a name for [`HttpOptions::allowed_hosts`].
///
/// # Errors The reason why it can't be used.
pub fn check_allowed_host(name: &str) -> Result<(), String> {
    hosts::check_allowed(name)
}

/// Checks an origin for [`HttpOptions::allowed_origins`].
///
/// # Errors The reason why it can't be used.
pub fn check_allowed_origin(origin: &str) -> Result<(), String> {
    origins::check_allowed(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(HttpOptions::default().check(), Ok(()));
    }

    #[test]
    fn a_bound_of_zero_is_refused_by_name() {
        let options = HttpOptions { max_connections: 0, ..HttpOptions::default() };
        assert!(options.check().unwrap_err().contains("`max_connections`"));
        let options = HttpOptions { answer_timeout: Duration::ZERO, ..HttpOptions::default() };
        assert!(options.check().unwrap_err().contains("`answer_timeout`"));
    }

    #[test]
    fn a_host_that_no_request_can_name_is_refused() {
        let options = HttpOptions { allowed_hosts: vec!["https://logs.example.com".into()], ..HttpOptions::default() };
        assert!(options.check().unwrap_err().contains("`allowed_hosts`: `https://logs.example.com`"));
    }

    #[test]
    fn an_in_flight_limit_below_one_body_is_refused_with_the_minimum() {
        let mut options = HttpOptions { max_in_flight_bytes: 1000, ..HttpOptions::default() };
        let error = options.check().unwrap_err();
        let least = error.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap();
        options.max_in_flight_bytes = least;
        assert_eq!(options.check(), Ok(()));
    }
}
