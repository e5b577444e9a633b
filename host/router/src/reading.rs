//! Reading: connects the HTTP server with the API, which don't know each other, and gives reading a thread of its own.
//!
//! **Reading never slows the pipeline**: searches and the live stream have a thread each, of lower priority, so while the
//! machine is busy, they take what the pipeline leaves; a stream to a thousand clients takes the least. Connections to
//! databases that are opened there inherit its priority.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use weir_access::Peer;
use weir_api::{Api, Store, Stores};
use weir_ingest::{PageBody, PageFuture, Pages};

/// Niceness of the thread that answers, from 0 to 19. With 10, a busy machine gives it a tenth of a core.
const ANSWERS: i32 = 10;

/// Niceness of the thread that sends live streams. Clients of a stream that is too slow are told what they missed.
const STREAMS: i32 = 19;

/// The runtimes for reading. They end in the background, since a runtime must not be dropped on a thread of another.
pub struct Runtimes {
    /// For searches and everything else that is answered once.
    pub answers: Handle,
    /// For live streams.
    pub streams: Handle,
    running: Vec<Runtime>,
}

impl Runtimes {
    pub fn start() -> std::io::Result<Runtimes> {
        let (answers, streams) = (runtime("weir-reading", ANSWERS)?, runtime("weir-streams", STREAMS)?);
        Ok(Runtimes {
            answers: answers.handle().clone(),
            streams: streams.handle().clone(),
            running: vec![answers, streams],
        })
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        self.running.drain(..).for_each(Runtime::shutdown_background);
    }
}

fn runtime(name: &str, niceness: i32) -> std::io::Result<Runtime> {
    let lower_priority = move || {
        if let Err(error) = rustix::process::nice(niceness) {
            tracing::debug!("records are read at normal priority: {error}");
        }
    };
    Builder::new_multi_thread().worker_threads(1).enable_all().thread_name(name).on_thread_start(lower_priority).build()
}

/// The API as the HTTP server sees it.
pub struct ReadSide {
    pub api: Arc<Api>,
    pub answers: Handle,
    pub streams: Handle,
}

impl Pages for ReadSide {
    fn has(&self, path: &str) -> bool {
        self.api.has(path)
    }

    fn answer(&self, request: Request<PageBody>, peer: Peer) -> PageFuture {
        // Ends with the future, so a search ends when its client goes.
        let mut answering = JoinSet::new();
        answering.spawn_on(self.api.clone().answer(request, peer), &self.answers);
        Box::pin(async move {
            match answering.join_next().await {
                Some(Ok(answer)) => answer,
                _ => failed(),
            }
        })
    }

    fn streams(&self) -> Handle {
        self.streams.clone()
    }
}

fn failed() -> Response<PageBody> {
    let body = Full::new(Bytes::from_static(br#"{"error":"internal error; see weir's log"}"#));
    let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

/// The sinks that can be searched, replaced when the configuration changes.
#[derive(Clone, Default)]
pub struct SearchableSinks(Arc<ArcSwap<Vec<Store>>>);

impl SearchableSinks {
    pub fn replace(&self, stores: Vec<Store>) {
        self.0.store(Arc::new(stores));
    }
}

impl Stores for SearchableSinks {
    fn stores(&self) -> Vec<Store> {
        self.0.load().to_vec()
    }
}
