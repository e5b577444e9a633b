//! A server that receives posts: one HTTP client with persistent connections and TLS, answers of limited size, and what
//! an answer means.
//!
//! The server may have processed a request that it did not answer. So a sink that posts delivers at least once, unless
//! its requests let the server recognise a repetition.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, Url};

use super::options::Connection;
use crate::limits;
use crate::sink::SinkError;

/// A server that receives posts.
pub(crate) struct Server {
    /// Sink and server, for errors; without secrets in the URL.
    place: String,
    url: Url,
    connection: Connection,
    client: Option<Client>,
}

/// The server's answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// The beginning of the body, as text.
    pub body: String,
    pub retry_after: Option<Duration>,
}

impl Server {
    /// Checks the URL and opens nothing; the error names the option.
    pub fn new(sink: &str, url: &str, connection: Connection) -> Result<Server, String> {
        let parsed = Url::parse(url).map_err(|error| format!("`url` is not a URL: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err("`url` must begin with `http://` or `https://` and name a host".into());
        }
        let tls = &connection.tls;
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("`tls` needs both `certificate` and `key`, or neither".into());
        }
        let place = format!("sink `{sink}`: {}", parsed.origin().ascii_serialization());
        Ok(Server { place, url: parsed, connection, client: None })
    }

    /// Sink and server, the beginning of errors.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The client, created on first use: certificates are read then, and again after a failure.
    fn client(&mut self) -> Result<Client, SinkError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = self.build().map_err(|error| SinkError::Retry(format!("{}: {error}", self.place)))?;
        Ok(self.client.insert(client).clone())
    }

    fn build(&self) -> Result<Client, String> {
        // An error means that one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Connection { connect_timeout, timeout, tls } = &self.connection;
        let mut builder = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_timeout.duration())
            .timeout(timeout.duration())
            // A redirected POST would silently become a GET.
            .redirect(reqwest::redirect::Policy::none());
        let read =
            |path: &PathBuf| std::fs::read(path).map_err(|error| format!("can't read `{}`: {error}", path.display()));
        if let Some(path) = &tls.ca {
            let authorities = Certificate::from_pem_bundle(&read(path)?)
                .map_err(|error| format!("`{}` contains no certificates: {error}", path.display()))?;
            if authorities.is_empty() {
                return Err(format!("`{}` contains no certificates", path.display()));
            }
            builder = builder.tls_certs_merge(authorities);
        }
        if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
            let both = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
            let identity = Identity::from_pem(&both).map_err(|error| {
                format!("`{}` and its key are not a valid identity: {error}", certificate.display())
            })?;
            builder = builder.identity(identity);
        }
        builder.build().map_err(|error| format!("can't create an HTTP client: {}", causes(&error)))
    }

    /// Posts a body and waits for the answer. On an error there is no answer, and the body may have been accepted.
    pub async fn post(&mut self, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, SinkError> {
        let url = self.url.clone();
        let sent = self.client()?.post(url).headers(headers).body(body).send().await;
        match sent {
            Ok(response) => read(response).await.map_err(|error| self.unanswered(&error)),
            Err(error) => Err(self.unanswered(&error)),
        }
    }

    fn unanswered(&mut self, error: &reqwest::Error) -> SinkError {
        // A new client reads the certificates and resolves the name again.
        self.client = None;
        let what = match error {
            _ if error.is_connect() => "can't connect",
            _ if error.is_timeout() => "no answer in time",
            _ => "the request failed",
        };
        SinkError::Retry(format!("{}: {what}: {}", self.place, causes(error)))
    }

    /// The error for an unsuccessful answer, unless the protocol has a more specific one.
    pub fn refused(&self, answer: &Answer) -> SinkError {
        match answer.status {
            // The records themselves are the cause, or their number.
            400 | 413 | 422 => SinkError::Reject(self.describe(answer)),
            _ => self.retry_later(answer),
        }
    }

    /// The error for an answer that is not caused by the records.
    pub fn retry_later(&self, answer: &Answer) -> SinkError {
        match (answer.status, answer.retry_after) {
            (401 | 403, _) => self.retry_with_advice(answer, "check the sink's key or password"),
            (_, Some(wait)) => SinkError::Later(self.describe(answer), wait),
            (_, None) => SinkError::Retry(self.describe(answer)),
        }
    }

    /// The error for an answer that repeats until someone follows the advice.
    pub fn retry_with_advice(&self, answer: &Answer, advice: &str) -> SinkError {
        SinkError::Retry(format!("{}; {advice}", self.describe(answer)))
    }

    /// An answer as an error message.
    pub fn describe(&self, answer: &Answer) -> String {
        let body = match answer.body.trim() {
            "" => String::new(),
            body => format!(": {body}"),
        };
        format!("{}: status {}{body}", self.place, answer.status)
    }
}

impl Answer {
    /// True for a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Reads the beginning of an answer. Never a URL: it may contain a secret.
async fn read(mut response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        let room = limits::ANSWER_BYTES.saturating_sub(body.len());
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if room <= piece.len() {
            break;
        }
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
}

/// `Retry-After`: seconds, or a date.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = jiff::fmt::rfc2822::parse(text).ok()?;
    Duration::try_from(then.timestamp().duration_since(jiff::Timestamp::now())).ok()
}

/// An error with its causes, without the URL.
fn causes(error: &reqwest::Error) -> String {
    // The outermost text only repeats the URL; its causes say what happened.
    let mut cause = error.source();
    let mut parts = Vec::new();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        cause = inner.source();
    }
    match parts.is_empty() {
        true if error.is_timeout() => "timeout".into(),
        true => "no reason given".into(),
        false => parts.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, String> {
        Server::new("alerts", url, Connection::default())
    }

    #[test]
    fn a_url_is_checked_before_anything_is_opened() {
        for bad in ["", "hooks.example.com/x", "ftp://example.com/", "http://"] {
            let error = server(bad).map(drop).expect_err(bad);
            assert!(error.contains("`url`"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_error_names_sink_and_server_and_no_secret_of_the_url() {
        // Nothing listens on the port of a closed listener.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let mut server =
            server(&format!("http://user:pass@127.0.0.1:{port}/services/SECRET?token=SECRET")).expect("fine");
        let error = server.post(HeaderMap::new(), Vec::new()).await.expect_err("refused").to_string();
        assert!(error.starts_with(&format!("sink `alerts`: http://127.0.0.1:{port}: can't connect")), "{error}");
        assert!(!error.contains("SECRET") && !error.contains("pass"), "{error}");
    }

    #[test]
    fn retry_after_is_parsed_from_seconds_and_from_a_date() {
        assert_eq!(parse_retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(parse_retry_after("0.5"), Some(Duration::from_millis(500)));
        assert!(
            parse_retry_after("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|wait| wait > Duration::from_secs(3600))
        );
        for past_or_nonsense in ["Fri, 31 Dec 1999 23:59:59 GMT", "-1", "NaN", "1e300", "soon"] {
            assert_eq!(parse_retry_after(past_or_nonsense), None, "{past_or_nonsense}");
        }
    }

    #[test]
    fn the_status_decides_whether_a_request_is_retried() {
        let server = server("https://intake.example.com/").expect("fine");
        let answer = |status, retry_after| Answer { status, body: "why".into(), retry_after };
        for status in [400, 413, 422] {
            assert!(matches!(server.refused(&answer(status, None)), SinkError::Reject(_)));
        }
        for status in [301, 401, 403, 404, 408, 429, 500, 503] {
            let error = server.refused(&answer(status, None));
            assert!(matches!(error, SinkError::Retry(_)) && error.to_string().contains("why"), "{error}");
        }
        let wait = Duration::from_secs(7);
        assert!(matches!(server.refused(&answer(429, Some(wait))), SinkError::Later(_, asked) if asked == wait));
    }
}
