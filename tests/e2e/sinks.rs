//! Sinks in operation: chosen by the environment, with fallbacks, listed, and sent records again.

use std::process::Command;

use serde_json::Value;

use super::clients::{curl, post, run, sqlite};
use super::router::{Home, Router, eventually, weir};

/// A file sink that can't work while there is a file in place of its folder, and its fallbacks.
const FALLING_BACK: &str = r#"
[sink.archive]
type = "file"
path = "blocked/out.jsonl"
fallback = "broken"
fallback_after = "200ms"
[sink.broken]
type = "file"
path = "blocked/too.jsonl"
standby = true
fallback = "spare"
[sink.spare]
type = "sqlite"
path = "spare.db"
standby = true
[sink.store]
type = "sqlite"
"#;

fn address(router: &Router) -> &str {
    router.url.trim_start_matches("http://")
}

fn sinks(home: &Home, router: &Router, arguments: &[&str]) -> String {
    let mut command = weir();
    command.arg("sinks").args(["--config", "weir.toml", "--address", address(router)]).args(arguments);
    let output = command.current_dir(home.path("")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_failing_sink_uses_its_fallbacks_and_catches_up_when_it_works_again() {
    let home = Home::with(FALLING_BACK);
    std::fs::write(home.path("blocked"), "").unwrap();
    let router = home.start();
    for n in 0..5 {
        assert_eq!(post(&router, &format!(r#"{{"message":"m{n}"}}"#)).status, 200);
    }
    let spare = home.path("weir-data/spare.db");
    let count = |database| sqlite(database, "select count(*) from logs");
    eventually("the last of the chain has them", || spare.exists() && count(&spare) == "5");
    let marked = "select count(*) from logs where json_extract(fields, '$.fallback_from') = 'archive'";
    assert_eq!(sqlite(&spare, marked), "5");
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains(r#"weir_sink_lag_frames{sink="archive"} 5"#), "{metrics}");
    let shown = sinks(&home, &router, &[]);
    for text in [
        "retrying since",
        "falls back to broken, then spare",
        "5 records went to `spare`",
        "5 records (5 for other sinks), 0 refused",
        "last error at 2",
        "standby: ",
        "5 batches pending",
    ] {
        assert!(shown.contains(text), "{text}:\n{shown}");
    }
    // After a kill and a restart it continues where it was, and repeats at most the batch in flight.
    router.kill();
    let router = home.start();
    post(&router, r#"{"message":"m5"}"#);
    let distinct = || sqlite(&spare, "select count(distinct message) from logs");
    eventually("the fallback goes on", || distinct() == "6");
    std::fs::remove_file(home.path("blocked")).unwrap();
    let out = home.path("blocked/out.jsonl");
    eventually("it works again", || std::fs::read_to_string(&out).is_ok_and(|text| text.lines().count() == 6));
    assert_eq!(count(&home.path("weir-data/logs.db")), "6", "and nobody else noticed");
    assert!(!std::fs::read_to_string(&out).unwrap().contains("fallback_from"));
    let health = curl(&router, "/health?verbose", &[], b"").json();
    let archive = health["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "archive").unwrap();
    assert_eq!((archive["state"].as_str(), archive["type"].as_str()), (Some("ok"), Some("file")), "{archive}");
    assert!(archive["last_error"].is_string() && archive["errors"].as_u64() > Some(0), "{archive}");
    assert!(archive["last_error_time"].as_str().is_some_and(|at| at.ends_with('Z')), "{archive}");
    assert_eq!(archive["last_error_kind"], "retry", "{archive}");
    let spare = health["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "spare").unwrap();
    assert!(spare["records"].as_u64() >= Some(1) && spare["records"] == spare["for_others"], "{spare}");
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains(r#"weir_sink_fallback_records_total{sink="archive",to="spare"}"#), "{metrics}");
    assert!(metrics.contains(r#"weir_sink_last_error_timestamp_seconds{sink="archive",kind="retry"} "#), "{metrics}");
    assert!(!metrics.contains("can't create folder"), "no label holds the text of an error: {metrics}");
    assert!(!metrics.contains(r#"weir_sink_last_error_timestamp_seconds{sink="spare""#), "{metrics}");
}

#[test]
fn if_all_sinks_fail_some_records_are_shown_on_standard_error_and_none_is_lost() {
    let home = Home::with(
        "[sink.archive]\ntype = 'file'\npath = 'blocked/out.jsonl'\nfallback = 'broken'\nfallback_after = '200ms'\n\
         [sink.broken]\ntype = 'file'\npath = 'blocked/too.jsonl'\n",
    );
    std::fs::write(home.path("blocked"), "").unwrap();
    let mut router = home.start();
    let records: Vec<String> = (0..1000).map(|n| format!(r#"{{"message":"m{n}"}}"#)).collect();
    assert_eq!(post(&router, &format!("[{}]", records.join(","))).status, 200);
    router.wait_for_line("nobody takes");
    std::fs::remove_file(home.path("blocked")).unwrap();
    let lines = |name: &str| std::fs::read_to_string(home.path(name)).map_or(0, |text| text.lines().count());
    eventually("both have everything", || lines("blocked/out.jsonl") >= 1000 && lines("blocked/too.jsonl") >= 1000);
    let shown = router.stderr().lines().filter(|line| line.contains("nobody takes")).count();
    assert!((1..=50).contains(&shown), "{shown} of 1000 records were shown");
}

#[test]
fn the_environment_chooses_sinks_and_an_unknown_one_affects_no_other() {
    let home = Home::new();
    let start = |name: &str, value: &str| {
        let mut command = weir();
        command.current_dir(home.path("")).args(["run", "--listen", "127.0.0.1:0"]);
        command.env(name, value).env("WEIR_FILE_PATH", "by-env/out.jsonl");
        Router::start(command)
    };
    let mut router = start("LOG_BACKENDS", "file,datadgo");
    router.wait_for_line("unknown sink `datadgo`");
    router.wait_for_line("sinks    file (file)");
    post(&router, r#"{"message":"chosen"}"#);
    let (_, said) = router.stop();
    assert!(said.contains("flushed and delivered"), "{said}");
    assert!(std::fs::read_to_string(home.path("by-env/out.jsonl")).unwrap().contains("chosen"));
    assert!(!home.path("weir-data/logs.db").exists(), "only what was chosen runs");
}

#[test]
fn sinks_are_listed_with_their_guarantees_as_text_and_json() {
    let home = Home::with(
        "[sink.a]\ntype = 'sqlite'\npath = 'a.db'\n[sink.b]\ntype = 'sqlite'\npath = 'b.db'\nroutes = ['audit']\n",
    );
    let router = home.start();
    post(&router, r#"{"message":"one"}"#);
    let json = || serde_json::from_str::<Value>(&sinks(&home, &router, &["--json"])).expect("JSON");
    eventually("it is delivered", || json()[0]["records"] == 1);
    assert_eq!((&json()[1]["type"], &json()[1]["guarantee"]), (&"sqlite".into(), &"exactly once".into()));
    let text = sinks(&home, &router, &[]);
    assert!(text.contains("exactly once") && text.contains("accepts the routes audit"), "{text}");
    drop(router);
    let mut command = weir();
    let away = command.args(["sinks", "--config", "weir.toml", "--address", "127.0.0.1:1"]).current_dir(home.path(""));
    let output = away.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("not running") && text.contains("is `weir run` running?"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

fn replay(home: &Home, arguments: &[&str]) -> Command {
    let mut command = weir();
    command.current_dir(home.path("")).args(["journal", "replay", "--config", "weir.toml"]).args(arguments);
    command
}

#[test]
fn records_are_replayed_from_the_journal_next_to_the_running_router() {
    let home = Home::with("[sink.db]\ntype = 'sqlite'\n[sink.out]\ntype = 'file'\npath = 'out.jsonl'\n");
    let router = home.start();
    for n in 0..20 {
        let level = if n % 2 == 0 { "ERROR" } else { "INFO" };
        post(&router, &format!(r#"{{"message":"m{n}","level":"{level}","n":{n}}}"#));
    }
    let database = home.path("weir-data/logs.db");
    let count = || sqlite(&database, "select count(*) from logs");
    eventually("delivered", || count() == "20");
    let said = |command: &mut Command| String::from_utf8(run(command).stdout).unwrap();
    let dry = said(&mut replay(&home, &["--sink", "db", "--from", "1h", "--where", "level>=ERROR", "--dry-run"]));
    assert_eq!(dry, "10 records would go to sink `db`\n");
    let done = said(&mut replay(
        &home,
        &["--sink", "db", "--from", "3", "--to", "12", "--where", "level>=ERROR", "--where", "n>4"],
    ));
    assert_eq!(done, "3 records replayed to sink `db`\n");
    let again = "select group_concat(message, ' ') from (select message from logs group by message having count(*) = 2 order by id)";
    assert_eq!(sqlite(&database, again), "m6 m8 m10");
    post(&router, r#"{"message":"after"}"#);
    eventually("the router goes on", || count() == "24");

    // Only one process may write a sink's files.
    let refused = replay(&home, &["--sink", "out", "--from", "1"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop it first"), "{refused:?}");
    router.stop();
    assert_eq!(said(&mut replay(&home, &["--sink", "out", "--from", "1"])), "21 records replayed to sink `out`\n");
    let router = home.start();
    post(&router, r#"{"message":"last"}"#);
    router.stop();
    assert_eq!(std::fs::read_to_string(home.path("out.jsonl")).unwrap().lines().count(), 43);

    let unknown = replay(&home, &["--sink", "nope", "--from", "1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there are db, out"), "{unknown:?}");
    home.configure("[sink.counts]\ntype = 'prometheus'\n[[sink.counts.rule]]\nname = 'seen_total'\ntype = 'counter'\n");
    let counts = replay(&home, &["--sink", "counts", "--from", "1"]).output().unwrap();
    assert!(!counts.status.success());
    assert!(String::from_utf8_lossy(&counts.stderr).contains("records can't be replayed to it"), "{counts:?}");
    home.configure("[sink.db]\ntype = 'sqlite'\n");
    let wrong = replay(&home, &["--sink", "db", "--from", "1", "--where", "level>=loud"]).output().unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("column 8: `loud` is not a level"), "{wrong:?}");
    let never = replay(&home, &["--sink", "db", "--from", "noon"]).output().unwrap();
    assert!(String::from_utf8_lossy(&never.stderr).contains("is not a time or sequence number"), "{never:?}");
}
