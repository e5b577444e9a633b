//! What people and programs read from a running router, and change in it: the live stream, searches, the pipeline. The
//! page that is built on this comes from here, too. The API for users:
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
//! | `session` | logging in and out, and tickets for streams |
//! | `status` | the pipeline, the quarantine and the levels |
//! | `acts` | everything that changes something |
//! | `limits` | all limits |
//!
//! Invariants: only `acts` changes something; a request is answered only if the role of its route permits it, and a
//! query selects nothing outside what its caller may read; reading never waits for a lock of the pipeline; every answer
//! and queue is bounded.

mod acts;
mod events;
mod form;
mod limits;
mod openapi;
mod page;
mod parameters;
mod reply;
mod routes;
mod search;
mod session;
mod status;
mod tail;
mod websocket;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Request, Response};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use weir_access::{Access, Peer};
use weir_live::Live;

pub use acts::{Acts, AuditEntry, Entries, ErasedRecords, LevelChange, Outcome};
pub use reply::{ApiError, Body};
pub use search::{Store, Stores};
pub use status::{QuarantinePage, Status};

/// The API of a router.
pub struct Api {
    live: Arc<Live>,
    stores: Box<dyn Stores>,
    status: Box<dyn Status>,
    acts: Box<dyn Acts>,
    access: Arc<Access>,
    stream_runtime: Handle,
    /// A permit for each stream.
    streams: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    telling: Arc<Semaphore>,
    acting: Arc<Semaphore>,
}

impl Api {
    /// Live streams are sent on `stream_runtime`.
    pub fn new(
        live: Arc<Live>,
        stores: Box<dyn Stores>,
        status: Box<dyn Status>,
        acts: Box<dyn Acts>,
        access: Arc<Access>,
        stream_runtime: Handle,
    ) -> Arc<Api> {
        Arc::new(Api {
            live,
            stores,
            status,
            acts,
            access,
            stream_runtime,
            streams: Arc::new(Semaphore::new(limits::MAX_STREAMS)),
            searches: Arc::new(Semaphore::new(limits::MAX_SEARCHES)),
            telling: Arc::new(Semaphore::new(limits::MAX_STATUS_REQUESTS)),
            acting: Arc::new(Semaphore::new(limits::MAX_ACTS)),
        })
    }

    /// Whether there is something at this path.
    pub fn has(&self, path: &str) -> bool {
        routes::find(path).next().is_some() || page::find(path).is_some()
    }

    /// Answers a request. Without the box, each crate that awaits this would compile the whole API again.
    #[must_use]
    pub fn answer(
        self: Arc<Api>,
        request: Request<Body>,
        peer: Peer,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(async move { routes::answer(&self, request, &peer).await })
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
