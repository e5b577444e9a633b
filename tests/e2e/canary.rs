//! Canaries: new versions run on copies of batches next to the current one; and rollback to an older version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::clients::{curl, post, run};
use super::hostile::guests::{self, COUNT, DROP, Guest, KEEP, MARKER, PATCH, TRAP};
use super::router::{Home, Router, eventually, weir};

const CONFIGURATION: &str = r#"
[[filter]]
name = "f"
module = "f.wasm"
timeout = "10s"
canary = { share = "100%", for = "2s" }
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// The same guest with other bytes.
fn again(guest: Guest, number: u8) -> Vec<u8> {
    let mut module = guests::module(guest);
    module.extend([0, 3, 1, b'v', number]);
    module
}

/// Posts a batch of a harmless and a marked record repeatedly, until it is dropped.
struct Traffic {
    over: Arc<AtomicBool>,
    posted: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn over(router: &Arc<Router>, marked: bool) -> Self {
        let (over, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stop, count, router) = (over.clone(), posted.clone(), router.clone());
        let message = if marked { MARKER } else { "plain" };
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let body = format!(r#"[{{"message":"harmless"}},{{"message":"{message}"}}]"#);
                assert_eq!(post(&router, &body).body, r#"{"accepted":2}"#);
                count.fetch_add(2, Ordering::Relaxed);
            }
        });
        Self { over, posted, thread: Some(thread) }
    }

    /// Number of acknowledged records.
    fn stop(mut self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.posted.load(Ordering::Relaxed)
    }
}

fn wait_for(router: &Router, text: &str) -> String {
    eventually(text, || router.stderr().contains(text));
    router.stderr().lines().find(|line| line.contains(text)).unwrap().to_owned()
}

fn lines(home: &Home) -> Vec<String> {
    std::fs::read_to_string(home.path("out.jsonl")).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn stop(router: Arc<Router>) -> String {
    let router = Arc::try_unwrap(router).unwrap_or_else(|_| panic!("the traffic goes on"));
    let (status, said) = router.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    said
}

#[test]
fn a_good_version_is_promoted_and_no_record_is_lost() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("f", &guests::module(KEEP));
    let router = Arc::new(home.start());
    home.put_filter("f", &again(PATCH, 1));
    wait_for(&router, ": trial of ");
    let traffic = Traffic::over(&router, true);
    let line = wait_for(&router, "is promoted");
    assert!(line.contains("with different output"), "{line}");
    wait_for(&router, "replaced by");
    let posted = traffic.stop();
    assert_eq!(post(&router, r#"{"message":"last"}"#).status, 200);
    stop(router);
    let lines = lines(&home);
    assert_eq!(lines.len(), posted + 1);
    assert!(lines.last().unwrap().contains("patched") && !lines[0].contains("patched"));
}

/// Takes tens of milliseconds per record.
const SLOW: Guest = (
    "slow",
    r#"
    (func $verdict (param i32 i32)
      (local $n i32)
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 50000000))))
      (call $decide (i32.const 0)))"#,
);

#[test]
fn a_version_that_traps_drops_or_is_slow_is_rejected_and_the_running_one_stays_also_after_a_restart() {
    for (guest, reason) in [(TRAP, "failed on 50.0 %"), (DROP, "it emitted 50.0 records per 100"), (SLOW, "it took")] {
        let home = Home::with(CONFIGURATION);
        home.put_filter("f", &guests::module(KEEP));
        let router = Arc::new(home.start());
        home.put_filter("f", &again(guest, 1));
        wait_for(&router, ": trial of ");
        let traffic = Traffic::over(&router, true);
        let line = wait_for(&router, "is rejected");
        assert!(line.contains(reason), "{}: {line}", guest.0);
        let posted = traffic.stop();
        let said = stop(router);
        assert!(!said.contains("replaced by"), "{said}");
        assert_eq!(lines(&home).len(), posted, "{}", guest.0);

        let router = home.start();
        let marked = format!(r#"{{"message":"{MARKER} after the restart"}}"#);
        assert_eq!(post(&router, &marked).body, r#"{"accepted":1}"#);
        eventually("the old version lets it through", || lines(&home).len() == posted + 1);
        let said = router.stop().1;
        assert!(!said.contains(": trial of "), "{said}");
    }
}

#[test]
fn a_promoted_version_gets_the_state_of_the_running_one() {
    // On a busy machine, either version may take much longer than the other.
    let home = Home::with(&CONFIGURATION.replace("\"2s\"", "\"2s\", slowdown = 1000.0"));
    home.put_filter("f", &guests::module(COUNT));
    let router = Arc::new(home.start());
    assert_eq!(post(&router, r#"[{"message":"a"},{"message":"b"}]"#).status, 200);
    home.put_filter("f", &again(COUNT, 1));
    wait_for(&router, ": trial of ");
    let traffic = Traffic::over(&router, false);
    wait_for(&router, "replaced by");
    let posted = traffic.stop() + 2;
    stop(router);
    // It emits its count at each tick, and a last time when it is stopped.
    let mut counts = lines(&home).into_iter().filter(|line| line.contains(r#""message":"count""#));
    let last: serde_json::Value = serde_json::from_str(&counts.next_back().unwrap()).unwrap();
    assert_eq!(last["count"], posted);
}

/// The filter's part of `/health`.
fn health(router: &Router) -> serde_json::Value {
    let health: serde_json::Value = serde_json::from_str(&curl(router, "/health", &[], b"").body).unwrap();
    health["filters"][0].clone()
}

#[test]
fn health_and_filter_list_show_a_canary_and_it_is_ticked() {
    let home = Home::with(&CONFIGURATION.replace("2s", "1h"));
    home.put_filter("f", &guests::module(COUNT));
    let router = home.start();
    assert!(health(&router)["trial"].is_null());
    let module = again(COUNT, 1);
    home.put_filter("f", &module);
    wait_for(&router, ": trial of ");
    eventually("the trial is shown", || health(&router)["trial"].is_object());
    let before = health(&router);
    assert_ne!(before["trial"]["digest"], before["digest"]);
    assert!(before["trial"]["until"].as_str().unwrap().ends_with('Z'), "{before}");
    eventually("it has seen records", || {
        assert_eq!(post(&router, r#"[{"message":"a"},{"message":"b"}]"#).status, 200);
        health(&router)["trial"]["records"].as_u64().unwrap() > 0
    });
    // Each emits its count at each tick, without further records from the test.
    let came_out = |of: &str| {
        let trial = &health(&router)["trial"];
        trial[of]["came_out"].as_u64().unwrap() - trial["records"].as_u64().unwrap()
    };
    eventually("both are ticked", || came_out("canary") >= 2 && came_out("before") >= 2);

    let mut list = weir();
    let address = router.url.trim_start_matches("http://");
    list.current_dir(home.path("")).args(["filter", "list", "--config", "weir.toml", "--address", address]);
    let listed = String::from_utf8(run(&mut list).stdout).unwrap();
    let trial = health(&router)["trial"].clone();
    let digest = &trial["digest"].as_str().unwrap()[..12];
    assert!(
        listed.contains("on trial until 20") && listed.contains(&format!("1.0.0, sha256 {digest}; so far ")),
        "{listed}"
    );
    assert!(listed.contains("records compared"), "{listed}");
}

/// A configuration with different options.
fn options(wanted: &str) -> String {
    CONFIGURATION.replace("2s", "1h").replace("timeout =", &format!("options = {{ {wanted} }}\ntimeout ="))
}

#[test]
fn new_options_restart_a_canary_at_once() {
    let home = Home::with(&options(""));
    home.put_filter("f", &guests::module(KEEP));
    let router = home.start();
    home.put_filter("f", &again(PATCH, 1));
    wait_for(&router, ": trial of ");
    eventually("it has seen records", || {
        assert_eq!(post(&router, r#"{"message":"a"}"#).status, 200);
        health(&router)["trial"]["records"].as_u64().is_some_and(|records| records > 0)
    });
    home.configure(&options("a = 1"));
    eventually("it begins anew", || router.stderr().matches(": trial of ").count() == 2);
    eventually("the running version has them too", || router.stderr().contains("1.0.0 reloaded with new settings"));
    eventually("nothing is counted yet", || health(&router)["trial"]["records"] == 0);
    assert!(
        !router.stderr().contains("is promoted") && !router.stderr().contains("is rejected"),
        "{}",
        router.stderr()
    );
}

/// Refuses options that contain an `a`.
const OLD: Guest = (
    "old",
    r#"
    (func $verdict (param i32 i32) (call $decide (i32.const 0)))"#,
);

#[test]
fn a_running_version_that_refuses_new_options_keeps_running_during_the_canary() {
    let home = Home::with(&options(""));
    let refuses = guests::text(OLD).replacen(
        "(func (export \"weir:filter/lifecycle@1.0.0#configure\") (param i32 i32) (result i32)",
        "(func (export \"weir:filter/lifecycle@1.0.0#configure\") (param i32 i32) (result i32)
           (if (i32.gt_u (local.get 1) (i32.const 2)) (then (unreachable)))",
        1,
    );
    home.put_filter("f", &guests::assemble(&refuses));
    let router = home.start();
    home.put_filter("f", &again(PATCH, 1));
    wait_for(&router, ": trial of ");
    home.configure(&options("a = 1"));
    wait_for(&router, "the running version keeps its settings until the trial ends");
    assert_eq!(post(&router, r#"{"message":"a"}"#).status, 200);
}

fn rollback(home: &Home, arguments: &[&str]) -> String {
    let mut command = weir();
    command.current_dir(home.path("")).args(["filter", "rollback", "f", "--config", "weir.toml"]).args(arguments);
    String::from_utf8(run(&mut command).stdout).unwrap()
}

fn is_patched(home: &Home, router: &Router, message: &str) -> bool {
    assert_eq!(post(router, &format!(r#"{{"message":"{message}"}}"#)).status, 200);
    let line = || lines(home).into_iter().find(|line| line.contains(message));
    eventually("it arrives", || line().is_some());
    line().unwrap().contains("patched")
}

#[test]
fn rollback_works_at_run_time_survives_a_restart_and_ends_with_the_next_module() {
    let home = Home::with(&CONFIGURATION.replace("canary", "# canary"));
    home.put_filter("f", &guests::module(KEEP));
    let router = home.start();
    home.put_filter("f", &guests::module(PATCH));
    wait_for(&router, "replaced by");
    let said = router.stderr();
    let line = said.lines().find(|line| line.contains("replaced by")).unwrap();
    assert_eq!(line.matches("1.0.0 (sha256 ").count(), 2, "both say 1.0.0: {line}");
    assert!(is_patched(&home, &router, "first"));
    assert!(rollback(&home, &[]).contains("is rolled back to 1.0.0"));
    eventually("the old version is back", || router.stderr().matches("replaced by").count() == 2);
    assert!(!is_patched(&home, &router, "second"));
    router.stop();

    let router = home.start();
    assert!(!is_patched(&home, &router, "third"));
    let said = router.stderr();
    let line = said.lines().find(|line| line.contains("loaded from a kept version")).unwrap();
    assert!(line.contains("sha256 ") && line.contains("instead of") && line.contains("f.wasm"), "{line}");
    let mut list = weir();
    list.current_dir(home.path("")).args(["filter", "list", "--versions", "--config", "weir.toml"]);
    let listed = String::from_utf8(run(&mut list).stdout).unwrap();
    assert!(listed.contains("not running: sha256 ") && listed.contains("by folder"), "{listed}");
    assert!(listed.lines().any(|line| line.contains("* ") && line.contains('@')), "by whom: {listed}");

    home.put_filter("f", &again(PATCH, 2));
    wait_for(&router, "replaced by");
    assert!(is_patched(&home, &router, "fourth"));
}
