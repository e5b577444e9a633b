//! A small HTTP client for a router on this machine: what `weir quarantine replay` and `weir bench`
//! need of one.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;

/// How long an answer may take: a replayed batch waits for its fsync.
const ANSWER: Duration = Duration::from_secs(30);

/// The text at a path; an error unless the status is a success.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    ask(address, Method::GET, path, &[], Bytes::new())
}

/// Posts a body and returns the answer's text; an error unless the status is a success.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> anyhow::Result<String> {
    ask(address, Method::POST, path, headers, body.into())
}

fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> anyhow::Result<String> {
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::time::timeout(ANSWER, exchange(address, request))
            .await
            .with_context(|| format!("no answer from http://{address} in {ANSWER:?}"))?
    })
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> anyhow::Result<String> {
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .with_context(|| format!("no router answers on http://{address}; is `weir run` running?"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    driving.abort();
    let text = String::from_utf8_lossy(&body).into_owned();
    if !status.is_success() {
        bail!("http://{address} answered {status}: {text}");
    }
    Ok(text)
}
