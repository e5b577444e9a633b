//! The four requests to a Docker engine that the source needs, over its Unix socket. Each has a connection of its own: all
//! but one are answered for as long as a container runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::limits;

/// Where an engine is.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    socket: Arc<Path>,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum EngineError {
    /// There is no such container.
    NotFound,
    /// Any other reason.
    Other(String),
}

/// An answer that may go on for ever.
pub(super) struct Answer {
    body: Incoming,
    /// The connection, which ends with this.
    _driving: JoinSet<hyper::Result<()>>,
}

impl Engine {
    pub fn new(socket: PathBuf) -> Engine {
        Engine { socket: socket.into() }
    }

    /// The ids of all containers, those that don't run, too.
    pub async fn containers(&self) -> Result<Vec<String>, EngineError> {
        let list = self.json("/containers/json?all=true").await?;
        let id = |container: &Value| container["Id"].as_str().map(str::to_owned);
        Ok(list.as_array().into_iter().flatten().filter_map(id).collect())
    }

    /// What the engine says about a container.
    pub async fn inspect(&self, id: &str) -> Result<Value, EngineError> {
        self.json(&format!("/containers/{id}/json")).await
    }

    /// What happens to containers, from this time on, as lines of JSON.
    pub async fn events(&self, since_ns: i64) -> Result<Answer, EngineError> {
        // {"type":["container"],"event":["start","destroy","health_status"]}
        let filters = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C%22destroy%22%2C%22health_status%22%5D%7D";
        self.get(&format!("/events?since={}&filters={filters}", seconds(since_ns))).await
    }

    /// What a container has written from this time on, and what it writes while it runs. Every entry begins with its time.
    pub async fn logs(&self, id: &str, since_ns: i64) -> Result<Answer, EngineError> {
        let since = seconds(since_ns);
        self.get(&format!("/containers/{id}/logs?follow=true&stdout=true&stderr=true&timestamps=true&since={since}"))
            .await
    }

    async fn json(&self, path: &str) -> Result<Value, EngineError> {
        let Answer { body, _driving } = self.get(path).await?;
        let bytes = Limited::new(body, limits::MAX_ENGINE_ANSWER).collect();
        let bytes = timeout(limits::ENGINE_ANSWER, bytes).await.map_err(|_| self.late())?;
        let bytes = bytes.map_err(|error| self.failed(&error.to_string()))?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|error| self.failed(&error.to_string()))
    }

    async fn get(&self, path: &str) -> Result<Answer, EngineError> {
        timeout(limits::ENGINE_ANSWER, self.begin(path)).await.map_err(|_| self.late())?
    }

    async fn begin(&self, path: &str) -> Result<Answer, EngineError> {
        let stream = UnixStream::connect(&*self.socket).await.map_err(|error| self.unreachable(&error))?;
        let failed = |error: hyper::Error| self.failed(&error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        let request = Request::get(path).header(HOST, "docker").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| self.failed(&error.to_string()))?;
        let answer: Response<Incoming> = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status();
        let body = answer.into_body();
        match status {
            StatusCode::OK => Ok(Answer { body, _driving: driving }),
            StatusCode::NOT_FOUND => Err(EngineError::NotFound),
            _ => {
                let text = Limited::new(body, limits::MAX_ENGINE_ANSWER).collect().await;
                let text = text.map(|text| text.to_bytes()).unwrap_or_default();
                let answer: Value = serde_json::from_slice(&text).unwrap_or_default();
                let reason = answer["message"].as_str().map_or_else(|| status.to_string(), str::to_owned);
                Err(EngineError::Other(format!("the Docker engine answered: {reason}")))
            }
        }
    }

    fn unreachable(&self, error: &io::Error) -> EngineError {
        let socket = self.socket.display();
        let advice = match error.kind() {
            io::ErrorKind::PermissionDenied => "; its group is usually `docker`",
            io::ErrorKind::NotFound => "; name its socket with `socket`",
            _ => "",
        };
        EngineError::Other(format!("can't connect to the Docker engine at {socket}: {error}{advice}"))
    }

    fn failed(&self, error: &str) -> EngineError {
        EngineError::Other(format!("the Docker engine at {}: {error}", self.socket.display()))
    }

    fn late(&self) -> EngineError {
        self.failed(&format!("no answer within {} s", limits::ENGINE_ANSWER.as_secs()))
    }
}

impl Answer {
    /// What arrives next; `None` at the end. Can be dropped while it waits.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(format!("the Docker engine ended the connection: {error}")),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

impl From<EngineError> for String {
    fn from(error: EngineError) -> String {
        match error {
            EngineError::NotFound => "the Docker engine does not know this".to_owned(),
            EngineError::Other(reason) => reason,
        }
    }
}

/// A time as the engine takes it, with all its digits.
fn seconds(ns: i64) -> String {
    format!("{}.{:09}", ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000))
}
