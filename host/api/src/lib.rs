//! What people and programs read from a running router: the live stream and searches. The page that is built on this
//! comes from here, too. The API for users:
//!
#![doc = include_str!("../README.md")]
//!
//! # How it works
//! The router's HTTP server passes on requests whose host and site it has checked ([`Api::answer`]).
//!
//! | file | purpose |
//! |---|---|
//! | `routes` | which path is answered by what |
//! | `openapi` | the description of the API |
//! | `parameters` | the parameters of a request |
//! | `reply` | answers and errors |
//! | `page` | the page's files |
//! | `tail` | the live stream: its parameters and what a client is told |
//! | `form` | its messages as bytes, which clients share |
//! | `websocket`, `events` | the two ways in which it is sent |
//! | `search` | records, histograms and fields from sinks |
//! | `limits` | all limits |
//!
//! Invariants: reading changes nothing, and never waits for a lock of the pipeline; every answer and queue is bounded.

mod events;
mod form;
mod limits;
mod openapi;
mod page;
mod parameters;
mod reply;
mod routes;
mod search;
mod tail;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use hyper::{Request, Response};
use tokio::sync::Semaphore;
use weir_live::Live;

pub use reply::Body;
pub use search::{Store, Stores};

/// The API of a router.
pub struct Api {
    live: Arc<Live>,
    stores: Box<dyn Stores>,
    /// A permit for each stream.
    streams: Arc<Semaphore>,
    searches: Arc<Semaphore>,
}

impl Api {
    pub fn new(live: Arc<Live>, stores: Box<dyn Stores>) -> Arc<Api> {
        let streams = Arc::new(Semaphore::new(limits::MAX_STREAMS));
        Arc::new(Api { live, stores, streams, searches: Arc::new(Semaphore::new(limits::MAX_SEARCHES)) })
    }

    /// Whether there is something at this path.
    pub fn has(&self, path: &str) -> bool {
        routes::find(path).is_some() || page::find(path).is_some()
    }

    /// Answers a request.
    pub async fn answer(self: Arc<Api>, request: Request<()>) -> Response<Body> {
        routes::answer(&self, request).await
    }

    /// Ends all streams, and waits until their clients know or the time is up.
    pub async fn close(&self, time: Duration) {
        self.live.close();
        let all = self.streams.acquire_many(limits::MAX_STREAMS as u32);
        if tokio::time::timeout(time, all).await.is_err() {
            tracing::debug!("some clients of the live stream did not take its end");
        }
    }
}
