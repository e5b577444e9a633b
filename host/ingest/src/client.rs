//! A small HTTP client for the commands that query a running router: `weir sinks`, `weir quarantine replay`, `weir
//! bench`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, http};
use hyper_util::rt::TokioIo;

/// Timeout for an answer. A replayed batch waits for its fsync.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a request to a router failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no router answers on http://{address}; is `weir run` running?: {source}")]
    NoRouter { address: SocketAddr, source: io::Error },
    #[error("no answer from http://{address} in {ANSWER:?}")]
    TooLate { address: SocketAddr },
    #[error("http://{address} answered {status}: {text}")]
    Refused { address: SocketAddr, status: StatusCode, text: String },
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("http://{address} sent an answer that is not JSON: {source}")]
    NoJson { address: SocketAddr, source: serde_json::Error },
    #[error(transparent)]
    Runtime(#[from] io::Error),
}

/// Gets a path. Returns an error unless the status is a success.
pub fn get(address: SocketAddr, path: &str) -> Result<String, ClientError> {
    ask(address, Method::GET, path, &[], Bytes::new())
}

/// Gets the JSON at a path.
pub fn get_json(address: SocketAddr, path: &str) -> Result<serde_json::Value, ClientError> {
    serde_json::from_str(&get(address, path)?).map_err(|source| ClientError::NoJson { address, source })
}

/// Posts a body and returns the text of the answer. Returns an error unless the status is a success.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<String, ClientError> {
    ask(address, Method::POST, path, headers, body.into())
}

fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<String, ClientError> {
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::time::timeout(ANSWER, exchange(address, request)).await.map_err(|_| ClientError::TooLate { address })?
    })
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<String, ClientError> {
    let stream =
        tokio::net::TcpStream::connect(address).await.map_err(|source| ClientError::NoRouter { address, source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    driving.abort();
    let text = String::from_utf8_lossy(&body).into_owned();
    if !status.is_success() {
        return Err(ClientError::Refused { address, status, text });
    }
    Ok(text)
}
