//! What a router says about itself: its pipeline, its quarantine, its levels.

use std::sync::Arc;

use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use weir_access::Caller;

use crate::parameters::Parameters;
use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, limits};

/// What a router reports. Calls may block. They return the answer.
pub trait Status: Send + Sync {
    /// Its protocols, filters and sinks.
    fn pipeline(&self) -> Value;
    /// Entries of its quarantine, newest first.
    fn quarantine(&self, page: &QuarantinePage) -> Result<Value, ApiError>;
    /// Its minimum levels.
    fn levels(&self) -> Value;
    /// How far an erasure is.
    fn erasure(&self) -> Value;
}

/// A part of the quarantine.
#[derive(Debug)]
pub struct QuarantinePage {
    /// Only entries of this origin.
    pub from: Option<String>,
    pub limit: usize,
    /// `next` of the previous answer.
    pub cursor: Option<String>,
}

pub async fn pipeline(api: &Arc<Api>) -> Result<Response<Body>, ApiError> {
    told(api, |status| Ok(status.pipeline())).await
}

/// `GET /api/levels`. Who may read only some records isn't told which other sources there are.
pub async fn levels(api: &Arc<Api>, caller: &Caller) -> Result<Response<Body>, ApiError> {
    let is_scoped = caller.scope().is_some();
    let sources = if is_scoped { Vec::new() } else { api.live.sources() };
    told(api, move |status| {
        let mut levels = status.levels();
        for by_source in ["levels", "until"] {
            if let Some(by_source) = levels[by_source].as_object_mut() {
                by_source.retain(|source, _| !is_scoped || source == "*");
            }
        }
        levels["sources"] = sources.into();
        Ok(levels)
    })
    .await
}

pub async fn erasure(api: &Arc<Api>) -> Result<Response<Body>, ApiError> {
    told(api, |status| Ok(status.erasure())).await
}

pub async fn quarantine(api: &Arc<Api>, parameters: &Parameters) -> Result<Response<Body>, ApiError> {
    let page = QuarantinePage {
        from: parameters.text("from").map(str::to_owned),
        limit: parameters.number("limit", limits::DEFAULT_ENTRIES, limits::MAX_ENTRIES)?,
        cursor: parameters.text("cursor").map(str::to_owned),
    };
    told(api, move |status| status.quarantine(&page)).await
}

async fn told(
    api: &Arc<Api>,
    question: impl FnOnce(&dyn Status) -> Result<Value, ApiError> + Send + 'static,
) -> Result<Response<Body>, ApiError> {
    let permit = turn(&api.telling).await?;
    let api = api.clone();
    let answer = blocking(permit, move || question(&*api.status)).await?;
    Ok(json_answer(StatusCode::OK, answer.to_string().into()))
}

/// Waits for its turn.
pub async fn turn(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    match timeout(limits::TURN_WAIT, permits.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting; retry in a moment")),
    }
}

/// Runs work on a thread where it may block. It goes on if the request is dropped, and so keeps its permit.
pub async fn blocking(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<Value, ApiError> + Send + 'static,
) -> Result<Value, ApiError> {
    let failed = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see weir's log");
    let permitted = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(permitted).await.map_err(failed)?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_takes_a_turn_until_it_has_ended_also_if_its_request_is_dropped() {
        let turns = Arc::new(Semaphore::new(1));
        let permit = turn(&turns).await.expect("it is free");
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let request = tokio::spawn(blocking(permit, move || {
            begun.send(()).expect("somebody waits");
            // An error: it may end.
            let _ = ends.recv();
            Ok(Value::Null)
        }));
        begins.await.expect("it begins");
        request.abort();
        assert!(request.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(turns.available_permits(), 0);
        drop(end);
        assert!(turn(&turns).await.is_ok());
    }
}
