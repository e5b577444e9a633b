//! Reading: connects the HTTP server with the API, which don't know each other, and gives reading a thread of its own.
//!
//! **Reading never slows the pipeline**: the live stream and searches run on a thread of lower priority, so while the
//! machine is busy, they take what the pipeline leaves. Connections to databases that are opened there inherit its
//! priority.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use weir_api::{Api, Store, Stores};
use weir_ingest::{PageBody, PageFuture, Pages};

/// Niceness of the thread that answers, from 0 to 19. With 10, a busy machine gives it a tenth of a core.
const LESS_URGENT: i32 = 10;

/// The runtime for reading.
pub fn runtime() -> std::io::Result<Runtime> {
    let lower_priority = || {
        if let Err(error) = rustix::process::nice(LESS_URGENT) {
            tracing::debug!("records are read at normal priority: {error}");
        }
    };
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_name("weir-reading")
        .on_thread_start(lower_priority)
        .build()
}

/// The API as the HTTP server sees it.
pub struct ReadSide {
    pub api: Arc<Api>,
    pub runtime: Handle,
}

impl Pages for ReadSide {
    fn has(&self, path: &str) -> bool {
        self.api.has(path)
    }

    fn answer(&self, request: Request<()>) -> PageFuture {
        // Ends with the future, so a search ends when its client goes.
        let mut answering = JoinSet::new();
        answering.spawn_on(self.api.clone().answer(request), &self.runtime);
        Box::pin(async move {
            match answering.join_next().await {
                Some(Ok(answer)) => answer,
                _ => failed(),
            }
        })
    }

    fn streams(&self) -> Handle {
        self.runtime.clone()
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
