//! Runs a complete router in this process and makes its stages fail.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use weir_sinks::{Delivered, Selected, Sink, SinkError};

use super::stop::run_out;
use super::*;
use weir_ingest::client;

/// Timeout; only a failing test takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a router in `folder`, without the console sink.
async fn router(folder: &Path) -> (Router, Settings) {
    let mut settings = Settings::default_for(folder, &|_| None).unwrap();
    settings.sinks.retain(|sink| sink.kind == "sqlite");
    settings.http.listen = "127.0.0.1:0".parse().unwrap();
    let prometheus = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    (Router::start(&settings, prometheus, false).await.unwrap(), settings)
}

/// Asserts that the journal is closed and can be opened again.
fn assert_closed(settings: &Settings) {
    let disk = Disk::new(parts::journal_folder(settings));
    assert!(Journal::open(Arc::new(disk), parts::journal(settings, Keys::default())).is_ok());
}

async fn get(address: SocketAddr, path: &'static str) -> Result<String, String> {
    let asked = tokio::task::spawn_blocking(move || client::get(&address.into(), path)).await.unwrap();
    asked.map_err(|error| error.to_string())
}

async fn post(address: SocketAddr) -> Result<String, String> {
    let body = br#"{"message":"hello"}"#.to_vec();
    let posted = tokio::task::spawn_blocking(move || {
        client::post(&address.into(), "/ingest", &[("content-type", "application/json")], body)
    });
    posted.await.unwrap().map_err(|error| error.to_string())
}

/// Polls a page until its response matches.
async fn wait_for(address: SocketAddr, page: &'static str, wanted: impl Fn(&Result<String, String>) -> bool) {
    let wait = async {
        let mut answer = get(address, page).await;
        while !wanted(&answer) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            answer = get(address, page).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{page} never came to be as it should");
}

/// Waits until the router is not ready for a reason that contains `why`.
async fn wait_for_unready(address: SocketAddr, why: &'static str) {
    wait_for(address, "/ready", |answer| answer.as_ref().is_err_and(|error| error.contains(why))).await;
}

async fn wait_for_ready(address: SocketAddr) {
    wait_for(address, "/ready", Result::is_ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_cut_off_are_counted_and_every_later_stage_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut router, settings) = router(folder.path()).await;
    // The server keeps running, and with it the sender that the pipeline's threads wait for.
    let unanswered = IngestError::Unanswered { requests: 2, grace: Duration::ZERO };
    let _going_on = router.servers.serving.replace(tokio::spawn(async { Err(unanswered) }));
    let stopped = router.stop().await;
    assert_eq!((stopped.cut_off, stopped.failures.as_slice()), (2, [].as_slice()));
    assert_eq!(stopped.sinks.len(), 1);
    assert_closed(&settings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_stage_is_reported_and_later_stages_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut router, settings) = router(folder.path()).await;
    let _going_on = router.servers.serving.replace(tokio::spawn(async { panic!("on purpose") }));
    // A lock on the sinks doesn't prevent a stop.
    let _looking = router.sink_set.clone();
    let stopped = router.stop().await;
    assert_eq!(stopped.failures.len(), 1, "{:?}", stopped.failures);
    assert!(stopped.failures[0].contains("the server failed"), "{:?}", stopped.failures);
    assert_eq!(stopped.sinks.len(), 1);
    assert_closed(&settings);
}

#[tokio::test]
async fn a_stage_that_hangs_or_panics_is_abandoned_and_reported() {
    let mut failures = Vec::new();
    run_out("the first", PATIENCE, || panic!("on purpose"), &mut failures).await;
    let (release, held) = std::sync::mpsc::channel::<()>();
    run_out("the second", Duration::ZERO, move || while held.recv().is_ok() {}, &mut failures).await;
    run_out("the third", PATIENCE, || {}, &mut failures).await;
    drop(release);
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].starts_with("the first failed"), "{failures:?}");
    assert!(failures[1].starts_with("the second did not stop within 0 s"), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_is_not_ready_until_panicked_threads_are_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (router, settings) = router(folder.path()).await;
    let address = router.address;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    for number in 0..threads {
        router.shared.stages.panic_next(&format!("weir-pipeline-{number}"));
    }
    let mut failed = 0;
    while failed < threads {
        // Its sender gets an error. Otherwise the restarted thread took it.
        let Err(reason) = post(address).await else { continue };
        assert!(reason.contains("500") && reason.contains("send them again"), "{reason}");
        failed += 1;
        let says_so = |health: &String| health.contains(r#""status":"failing""#) && health.contains("`weir-pipeline-");
        wait_for(address, "/health", |health| health.as_ref().is_ok_and(says_so)).await;
    }
    wait_for_ready(address).await;
    assert_eq!(post(address).await.as_deref(), Ok(r#"{"accepted":1}"#));

    router.shared.stages.panic_next("weir-tick");
    wait_for_unready(address, "`weir-tick` panicked").await;
    wait_for_ready(address).await;
    assert!(router.stop().await.failures.is_empty());
    assert_closed(&settings);
}

/// A sink that panics on every delivery.
struct Panics;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

impl Sink for Panics {
    fn start<'a, 'b>(&'a mut self, _: u64) -> Answer<'b, Option<u64>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(None) })
    }

    fn deliver<'a, 'b, 'c>(&'a mut self, _: &'b [Selected]) -> Answer<'c, Delivered>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async { panic!("on purpose") })
    }

    fn flush<'a, 'b>(&'a mut self) -> Answer<'b, ()>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicked_sink_makes_the_router_unready_and_resumes_at_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let (router, settings) = router(folder.path()).await;
    let address = router.address;
    router.sink_set.lock().await.exchange("sqlite", Box::new(Panics)).await;
    assert_eq!(post(address).await.as_deref(), Ok(r#"{"accepted":1}"#));
    wait_for_unready(address, "sink `sqlite`").await;
    wait_for_ready(address).await;
    let stopped = router.stop().await;
    let taken: Vec<_> = stopped.sinks.iter().map(|sink| (sink.delivered_records, sink.pending_records)).collect();
    assert_eq!(taken, [(1, 0)], "the record that the thread went down on");
    assert_closed(&settings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_ends_unexpectedly_ends_the_router_with_every_stage_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut router, settings) = router(folder.path()).await;
    let journal = router.journal.clone();
    tokio::task::spawn_blocking(move || journal.close()).await.unwrap();
    let error = tokio::time::timeout(PATIENCE, router.broken()).await.expect("it is noticed");
    assert!(error.to_string().contains("the journal has stopped"), "{error}");
    assert_eq!(router.stop().await.sinks.len(), 1);
    assert_closed(&settings);
}
