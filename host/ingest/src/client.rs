//! A small HTTP client, with TLS if the router has it, for the commands that query a running router: `weir sinks`, `weir
//! tail`, `weir levels`, `weir erase`, `weir quarantine replay`, `weir bench`.

mod trust;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, Response, StatusCode, http};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

pub use trust::Trust;

/// Timeout for an answer. A replayed batch waits for its fsync.
const ANSWER: Duration = Duration::from_secs(30);

/// A running router, and the token to show to it.
#[derive(Clone)]
pub struct RunningRouter {
    /// A name or an address; that of IPv6 in brackets.
    pub host: String,
    pub port: u16,
    pub token: Option<String>,
    /// `None`: without TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

impl From<SocketAddr> for RunningRouter {
    fn from(address: SocketAddr) -> RunningRouter {
        let ip = address.ip().to_string();
        let host = if address.is_ipv6() { format!("[{ip}]") } else { ip };
        RunningRouter { host, port: address.port(), token: None, tls: None }
    }
}

impl fmt::Display for RunningRouter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl RunningRouter {
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(HOST, format!("{}:{}", self.host, self.port));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }
}

/// Why a request to a router failed. `router` is its address.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no router answers on {router}; is `weir run` running?: {source}")]
    NoRouter { router: String, source: io::Error },
    #[error("can't get an encrypted connection to {router}: {reason}; `--ca FILE` names a certificate to trust")]
    Encryption { router: String, reason: io::Error },
    #[error("`{host}` is not the name of a host: {reason}")]
    NoHost { host: String, reason: InvalidDnsNameError },
    #[error("no answer from {router} in {within:?}")]
    TooLate { router: String, within: Duration },
    #[error("{router} answered {status}: {text}")]
    Refused { router: String, status: StatusCode, text: String },
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("{router} sent an answer that is not JSON: {source}")]
    NoJson { router: String, source: serde_json::Error },
    #[error(transparent)]
    Runtime(#[from] io::Error),
}

/// Gets a path. Returns an error unless the status is a success.
pub fn get(router: &RunningRouter, path: &str) -> Result<String, ClientError> {
    ask(router, Method::GET, path, &[], Bytes::new(), ANSWER)
}

/// Gets the JSON at a path.
pub fn get_json(router: &RunningRouter, path: &str) -> Result<serde_json::Value, ClientError> {
    json(router, &get(router, path)?)
}

/// Posts a body and returns the text of the answer. Returns an error unless the status is a success.
pub fn post(
    router: &RunningRouter,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<String, ClientError> {
    ask(router, Method::POST, path, headers, body.into(), ANSWER)
}

/// Changes what is at a path, as JSON says, and returns the JSON of the answer.
pub fn patch_json(
    router: &RunningRouter,
    path: &str,
    change: &serde_json::Value,
) -> Result<serde_json::Value, ClientError> {
    exchange_json(router, Method::PATCH, path, change, ANSWER)
}

/// Posts JSON, and returns the JSON of the answer, which may take this long.
pub fn post_json(
    router: &RunningRouter,
    path: &str,
    body: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value, ClientError> {
    exchange_json(router, Method::POST, path, body, within)
}

fn exchange_json(
    router: &RunningRouter,
    method: Method,
    path: &str,
    body: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value, ClientError> {
    let headers = [("content-type", "application/json")];
    json(router, &ask(router, method, path, &headers, body.to_string().into(), within)?)
}

fn json(router: &RunningRouter, text: &str) -> Result<serde_json::Value, ClientError> {
    serde_json::from_str(text).map_err(|source| ClientError::NoJson { router: router.to_string(), source })
}

/// Gets a path whose answer may last for hours, and calls `each` with every line of it as it arrives. Returns at the end
/// of the answer, or when `each` asks for it.
pub fn get_lines(
    router: &RunningRouter,
    path: &str,
    mut each: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    let request = router.request(Method::GET, path).body(Full::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let begin = async {
            let (answer, driving) = send(router, request).await?;
            if answer.status().is_success() {
                return Ok((answer, driving));
            }
            Err(refused(router, answer).await?)
        };
        let (answer, _driving) = timed(router, ANSWER, begin).await?;
        let (mut body, mut rest) = (answer.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if each(String::from_utf8_lossy(&line).trim_end()).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

fn ask(
    router: &RunningRouter,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
    within: Duration,
) -> Result<String, ClientError> {
    let mut request = router.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(timed(router, within, exchange(router, request)))
}

async fn timed<T>(
    router: &RunningRouter,
    within: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let late = |_| ClientError::TooLate { router: router.to_string(), within };
    tokio::time::timeout(within, work).await.map_err(late)?
}

async fn exchange(router: &RunningRouter, request: Request<Full<Bytes>>) -> Result<String, ClientError> {
    let (answer, _driving) = send(router, request).await?;
    if !answer.status().is_success() {
        return Err(refused(router, answer).await?);
    }
    text(answer).await
}

/// An answer, and the connection that it comes from, which ends when this is dropped.
type Answering = (Response<Incoming>, JoinSet<hyper::Result<()>>);

/// Sends a request on a connection of its own.
async fn send(router: &RunningRouter, request: Request<Full<Bytes>>) -> Result<Answering, ClientError> {
    let host = router.host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, router.port))
        .await
        .map_err(|source| ClientError::NoRouter { router: router.to_string(), source })?;
    let Some(tls) = &router.tls else { return send_on(stream, request).await };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|reason| ClientError::NoHost { host: host.to_owned(), reason })?;
    let encrypted = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    let stream = encrypted.map_err(|reason| ClientError::Encryption { router: router.to_string(), reason })?;
    send_on(stream, request).await
}

async fn send_on(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answering, ClientError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    Ok((sender.send_request(request).await?, driving))
}

async fn refused(router: &RunningRouter, answer: Response<Incoming>) -> Result<ClientError, ClientError> {
    let status = answer.status();
    Ok(ClientError::Refused { router: router.to_string(), status, text: text(answer).await? })
}

async fn text(answer: Response<Incoming>) -> Result<String, ClientError> {
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
