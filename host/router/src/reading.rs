//! Reading: connects the HTTP server with the API, which don't know each other, and gives reading a thread of its own.
//!
//! **Reading never slows the pipeline**: searches and the live stream have a thread each, of lower priority, so while the
//! machine is busy, they take what the pipeline leaves; live streams take only what nothing else wants. Connections to
//! databases that are opened there inherit its priority.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use weir_access::Peer;
use weir_api::{Api, Store, Stores};
use weir_ingest::{PageBody, PageFuture, Pages};

/// Niceness of the thread that answers, from 0 to 19. With 10, a busy machine gives it a tenth of a core.
const ANSWERS: i32 = 10;

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
        let (answers, streams) = (runtime("weir-reading", less_urgent)?, runtime("weir-streams", idle)?);
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

fn runtime(name: &str, lower: fn() -> Result<(), String>) -> std::io::Result<Runtime> {
    let lower_priority = move || {
        if let Err(error) = lower() {
            tracing::debug!("records are read at normal priority: {error}");
        }
    };
    Builder::new_multi_thread().worker_threads(1).enable_all().thread_name(name).on_thread_start(lower_priority).build()
}

fn less_urgent() -> Result<(), String> {
    rustix::process::nice(ANSWERS).map(drop).map_err(|error| error.to_string())
}

/// Lets this thread run only while nothing else wants its core. With the highest niceness, a thread that is woken could
/// still wait for some milliseconds until this one has used its share.
///
/// It is for live streams, whose clients are told what they missed. A search would not end in time on a machine that is
/// never idle.
fn idle() -> Result<(), String> {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The niceness and the scheduling policy of this thread.
    fn scheduled() -> (i32, u32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Fields 19 and 41; the third follows the name.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
        (fields[16].parse().unwrap(), fields[38].parse().unwrap())
    }

    #[tokio::test]
    async fn searches_get_a_tenth_of_a_core_and_streams_only_what_nothing_else_wants() {
        const OTHER: u32 = 0;
        const IDLE: u32 = 5;
        let runtimes = Runtimes::start().unwrap();
        let scheduled_in = |runtime: &Handle| runtime.spawn(async { scheduled() });
        let (own, _) = scheduled();
        assert_eq!(scheduled_in(&runtimes.answers).await.unwrap(), ((own + ANSWERS).min(19), OTHER));
        assert_eq!(scheduled_in(&runtimes.streams).await.unwrap().1, IDLE);
    }
}
