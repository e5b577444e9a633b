//! A small HTTP client for the commands that query a running router: `weir sinks`, `weir tail`, `weir levels`,
//! `weir quarantine replay`, `weir bench`.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, http};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

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

/// Changes what is at a path, as JSON says, and returns the JSON of the answer.
pub fn patch_json(
    address: SocketAddr,
    path: &str,
    change: &serde_json::Value,
) -> Result<serde_json::Value, ClientError> {
    let headers = [("content-type", "application/json")];
    let answer = ask(address, Method::PATCH, path, &headers, change.to_string().into())?;
    serde_json::from_str(&answer).map_err(|source| ClientError::NoJson { address, source })
}

/// Gets a path whose answer may last for hours, and calls `each` with every line of it as it arrives. Returns at the end
/// of the answer, or when `each` asks for it.
pub fn get_lines(
    address: SocketAddr,
    path: &str,
    mut each: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    let request = Request::get(path).header("host", address.to_string()).body(Full::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let begin = async {
            let (answer, driving) = send(address, request).await?;
            if answer.status().is_success() {
                return Ok((answer, driving));
            }
            Err(refused(address, answer).await?)
        };
        let (answer, _driving) =
            tokio::time::timeout(ANSWER, begin).await.map_err(|_| ClientError::TooLate { address })??;
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
    let (answer, _driving) = send(address, request).await?;
    if !answer.status().is_success() {
        return Err(refused(address, answer).await?);
    }
    text(answer).await
}

/// Sends a request on a connection of its own, which ends with the returned guard.
async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, JoinSet<hyper::Result<()>>), ClientError> {
    let stream = TcpStream::connect(address).await.map_err(|source| ClientError::NoRouter { address, source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    Ok((sender.send_request(request).await?, driving))
}

async fn refused(address: SocketAddr, answer: Response<Incoming>) -> Result<ClientError, ClientError> {
    let status = answer.status();
    Ok(ClientError::Refused { address, status, text: text(answer).await? })
}

async fn text(answer: Response<Incoming>) -> Result<String, ClientError> {
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
