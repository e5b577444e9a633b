//! A small HTTP client for the commands that query a running router: `weir sinks`, `weir tail`, `weir levels`,
//! `weir quarantine replay`, `weir bench`.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, Response, StatusCode, http};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Timeout for an answer. A replayed batch waits for its fsync.
const ANSWER: Duration = Duration::from_secs(30);

/// A running router, and the token to show to it.
#[derive(Clone, Debug)]
pub struct RunningRouter {
    pub address: SocketAddr,
    pub token: Option<String>,
}

impl From<SocketAddr> for RunningRouter {
    fn from(address: SocketAddr) -> RunningRouter {
        RunningRouter { address, token: None }
    }
}

impl RunningRouter {
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }
}

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
pub fn get(router: &RunningRouter, path: &str) -> Result<String, ClientError> {
    ask(router, Method::GET, path, &[], Bytes::new())
}

/// Gets the JSON at a path.
pub fn get_json(router: &RunningRouter, path: &str) -> Result<serde_json::Value, ClientError> {
    let address = router.address;
    serde_json::from_str(&get(router, path)?).map_err(|source| ClientError::NoJson { address, source })
}

/// Posts a body and returns the text of the answer. Returns an error unless the status is a success.
pub fn post(
    router: &RunningRouter,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<String, ClientError> {
    ask(router, Method::POST, path, headers, body.into())
}

/// Changes what is at a path, as JSON says, and returns the JSON of the answer.
pub fn patch_json(
    router: &RunningRouter,
    path: &str,
    change: &serde_json::Value,
) -> Result<serde_json::Value, ClientError> {
    let headers = [("content-type", "application/json")];
    let address = router.address;
    let answer = ask(router, Method::PATCH, path, &headers, change.to_string().into())?;
    serde_json::from_str(&answer).map_err(|source| ClientError::NoJson { address, source })
}

/// Gets a path whose answer may last for hours, and calls `each` with every line of it as it arrives. Returns at the end
/// of the answer, or when `each` asks for it.
pub fn get_lines(
    router: &RunningRouter,
    path: &str,
    mut each: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    let address = router.address;
    let request = router.request(Method::GET, path).body(Full::default())?;
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
    router: &RunningRouter,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<String, ClientError> {
    let address = router.address;
    let mut request = router.request(method, path);
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
