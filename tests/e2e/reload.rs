//! Changes of the configuration while the router runs.

use std::time::Duration;

use super::clients::{curl, post, run};
use super::hostile::guests;
use super::router::{Home, Router, eventually, weir};

const BEFORE: &str = "[sink.one]\ntype = \"file\"\npath = \"one.jsonl\"\n";
const AFTER: &str = "[sink.one]\ntype = \"file\"\npath = \"one.jsonl\"\n[sink.two]\ntype = \"file\"\npath = \"two.jsonl\"\nmin_level = \"ERROR\"\n";

fn holds(home: &Home, file: &str, text: &str) -> bool {
    std::fs::read_to_string(home.path(file)).is_ok_and(|all| all.contains(text))
}

fn say(router: &Router, level: &str, message: &str) {
    let record = format!(r#"{{"level":"{level}","message":"{message}"}}"#);
    assert_eq!(post(router, &record).status, 200);
}

#[test]
fn an_added_sink_is_started_and_others_continue() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    say(&router, "INFO", "early");
    eventually("one has it", || holds(&home, "one.jsonl", "early"));
    home.configure(AFTER);
    router.wait_for_line("configuration reloaded");
    assert!(!router.stderr().contains("`one` restarts"), "{}", router.stderr());
    say(&router, "ERROR", "grave");
    say(&router, "INFO", "slight");
    eventually("both have it", || holds(&home, "two.jsonl", "grave") && holds(&home, "one.jsonl", "slight"));
    assert!(!holds(&home, "two.jsonl", "slight"));
}

#[test]
fn an_invalid_configuration_changes_nothing_and_every_mistake_is_reported_with_its_line() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    home.configure("[sink.one]\ntype = \"file\"\npaht = \"one.jsonl\"\n[jurnal]\nsync = \"always\"\n");
    router.wait_for_line("nothing was changed");
    eventually("every mistake is named", || {
        let said = router.stderr();
        ["paht", "path", "jurnal", "journal", "weir.toml:3", "weir.toml:4"].iter().all(|part| said.contains(part))
    });
    say(&router, "INFO", "as before");
    eventually("the sink goes on", || holds(&home, "one.jsonl", "as before"));
}

#[test]
fn a_filter_that_cannot_be_loaded_rejects_the_whole_new_configuration() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    let filter = "[[filter]]\nname = \"gone\"\nmodule = \"gone.wasm\"\n";
    home.configure(&format!("{filter}{AFTER}"));
    let line = router.wait_for_line("nothing was changed");
    assert!(line.contains("gone.wasm"), "{line}");
    say(&router, "ERROR", "as before");
    eventually("the sink goes on", || holds(&home, "one.jsonl", "as before"));
    assert!(!home.path("two.jsonl").exists());
}

#[test]
fn an_address_that_is_taken_changes_nothing_else_either() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let other = "[sink.two]\ntype = \"file\"\npath = \"two.jsonl\"\n";
    home.configure(&format!("{other}[[listen]]\nprotocol = \"lines\"\naddress = \"{address}\"\n"));
    let line = router.wait_for_line("nothing was changed");
    assert!(line.contains(&address.to_string()), "{line}");
    say(&router, "INFO", "as before");
    eventually("the sink goes on", || holds(&home, "one.jsonl", "as before"));
    assert!(!router.stderr().contains("sink `one` removed"), "{}", router.stderr());
}

#[test]
fn after_a_change_in_part_the_old_configuration_is_applied_again() {
    let listener = "[[listen]]\nprotocol = \"lines\"\naddress = \"unix:sockets/lines\"\n";
    let home = Home::with(&format!("{BEFORE}{listener}"));
    let folder = home.path("sockets");
    std::fs::create_dir(&folder).unwrap();
    let mut router = home.start();
    // The changed listener takes over an address that it then finds gone.
    std::fs::remove_dir_all(&folder).unwrap();
    home.configure(&format!("{AFTER}{listener}source = \"changed\"\n"));
    router.wait_for_line("only a part of the configuration is in effect");
    std::fs::create_dir(&folder).unwrap();
    home.configure(&format!("{BEFORE}{listener}"));
    router.wait_for_line("sink `two` removed");
    router.wait_for_line("accepted again");
    assert!(std::os::unix::net::UnixStream::connect(folder.join("lines")).is_ok());
}

#[test]
fn a_listener_that_others_reach_and_the_first_token_can_be_added_at_once() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    std::fs::write(home.path("token"), "a token that is long enough to be one").unwrap();
    // No machine has this address, so nothing is reachable in the end.
    let listener = "[[listen]]\nprotocol = \"http\"\naddress = \"203.0.113.1:9\"\n";
    let token = "[token.sender]\nrole = \"ingest\"\nfile = \"token\"\n";
    for (token, reason) in [("", "there is no token"), (token, "can't listen on tcp://203.0.113.1:9")] {
        home.configure(&format!("{BEFORE}{listener}{token}"));
        let line = router.wait_for_line(reason);
        assert!(line.contains("nothing was changed"), "{line}");
    }
    assert_eq!(post(&router, r#"{"message":"without a token"}"#).status, 200);
}

#[test]
fn sighup_reloads_changed_environment_variables_and_files() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    home.configure(AFTER);
    router.signal("-HUP");
    router.wait_for_line("configuration reloaded");
}

fn is_degraded(router: &Router, reason: &str) -> bool {
    let health = curl(router, "/health", &[], b"").json();
    let reasons = health["reasons"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(reason));
    health["status"] == "degraded" && reasons
}

fn last_reload(router: &Router) -> String {
    let metrics = curl(router, "/metrics", &[], b"").body;
    metrics.lines().find(|line| line.starts_with("weir_config_last_reload_successful")).unwrap().to_string()
}

#[test]
fn a_missing_or_invalid_configuration_is_logged_once_and_shown_until_fixed() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    assert_eq!(last_reload(&router), "weir_config_last_reload_successful 1");
    std::fs::remove_file(home.path("weir.toml")).unwrap();
    router.wait_for_line("nothing was changed");
    // The file is checked twice a second.
    std::thread::sleep(Duration::from_secs(2));
    home.configure("[sink.one]\ntype = \"file\"\npath = \"hunter2.jsonl\"\npaht = \"x\"\n");
    router.wait_for_line("paht");
    eventually("it shows", || is_degraded(&router, "the configuration is refused: 1 problem in weir.toml"));
    assert_eq!(last_reload(&router), "weir_config_last_reload_successful 0");
    assert_eq!(curl(&router, "/ready", &[], b"").status, 200);
    assert!(!curl(&router, "/health", &[], b"").body.contains("hunter2"), "lines of it may hold secrets");
    home.configure(BEFORE);
    router.wait_for_line("accepted again");
    assert_eq!(curl(&router, "/health", &[], b"").json()["status"], "ok");
    assert_eq!(last_reload(&router), "weir_config_last_reload_successful 1");
    let said = router.stderr();
    assert_eq!(said.matches("nothing was changed").count(), 2, "{said}");
    assert!(!said.contains("walkdir"), "{said}");
}

#[test]
fn a_configuration_refused_for_a_missing_module_is_loaded_when_it_appears() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    home.configure(&format!("[[filter]]\nname = \"late\"\nmodule = \"late.wasm\"\n{BEFORE}"));
    router.wait_for_line("nothing was changed");
    home.put_filter("late", &guests::module(guests::KEEP));
    router.wait_for_line("filter `late` 1.0.0 loaded");
    router.wait_for_line("accepted again");
}

#[test]
fn sighup_without_a_change_is_logged_and_a_reverted_value_needs_no_restart() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    router.signal("-HUP");
    router.wait_for_line("the configuration is unchanged");
    home.configure(&format!("[http]\nmax_connections = 7\n{BEFORE}"));
    router.wait_for_line("changes to http.max_connections take effect");
    home.configure(BEFORE);
    eventually("it is taken up", || router.stderr().matches("configuration reloaded").count() == 2);
    assert_eq!(router.stderr().matches("take effect").count(), 1, "{}", router.stderr());
}

#[test]
fn an_unused_module_is_logged_once_with_the_lines_to_add_and_listed() {
    let home = Home::with(BEFORE);
    home.put_filter("mask", &guests::module(guests::KEEP));
    let mut router = home.start();
    let line = router.wait_for_line("mask.wasm is not used");
    for part in ["[[filter]]", "name = \"mask\"", "module = \"mask.wasm\"", "weir.toml"] {
        assert!(line.contains(part), "{line}");
    }
    home.put_filter("other", &guests::module(guests::KEEP));
    router.wait_for_line("other.wasm is not used");
    assert_eq!(router.stderr().matches("mask.wasm is not used").count(), 1, "{}", router.stderr());

    let mut list = weir();
    list.current_dir(home.path("")).args(["filter", "list", "--config", "weir.toml"]);
    let listed = String::from_utf8(run(&mut list).stdout).unwrap();
    let lines: Vec<&str> = listed.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| line.starts_with("mask.wasm")).expect("it is listed");
    assert!(lines[at].contains("not used"), "{listed}");
    home.configure(&format!("{}\n{BEFORE}", lines[at + 1..at + 4].join("\n")));
    router.wait_for_line("filter `mask` 1.0.0 loaded from");
}

#[test]
fn a_version_that_fails_on_records_that_the_running_one_accepts_is_not_used() {
    let home = Home::new();
    home.put_filter("mine", &guests::module(guests::KEEP));
    let mut router = home.start();
    let record = format!(r#"{{"message":"{}"}}"#, guests::MARKER);
    assert_eq!(post(&router, &record).body, r#"{"accepted":1}"#);
    home.put_filter("mine", &guests::module(guests::REFUSE));
    let line = router.wait_for_line("the running version stays");
    assert!(line.contains("`mine`") && line.contains("it returned an error: HOSTILE"), "{line}");
    assert_eq!(post(&router, &record).body, r#"{"accepted":1}"#);
    assert!(is_degraded(&router, "fails on recent records that the running version accepts"));
    home.put_filter("mine", &guests::module(guests::KEEP));
    eventually("nothing is refused any more", || curl(&router, "/health", &[], b"").json()["status"] == "ok");

    // Without a version to compare with, it is used, and its errors are visible.
    home.put_filter("new", &guests::module(guests::REFUSE));
    let line = router.wait_for_line("`new` 1.0.0 fails on all");
    assert!(line.contains("WARN") && line.contains("it returned an error: HOSTILE"), "{line}");
    router.wait_for_line("filter `new` 1.0.0 loaded");
    assert_eq!(post(&router, &record).json()["quarantined"], 1);
}

/// A filter that refuses every batch if it has any options.
fn refuses_with_options() -> Vec<u8> {
    let text = guests::text(guests::REFUSE);
    let head = r#"lifecycle@1.0.0#configure") (param i32 i32) (result i32)"#;
    let is_hostile = "(call $is_hostile (local.get $at) (local.get $end))";
    assert!(text.contains(head) && text.contains(is_hostile));
    let text = text
        .replace(head, &format!("{head} (global.set $refuses (i32.gt_u (local.get 1) (i32.const 2)))"))
        .replace(is_hostile, "(global.get $refuses)")
        .replacen("(func", "(global $refuses (mut i32) (i32.const 0)) (func", 1);
    guests::assemble(&text)
}

#[test]
fn options_with_which_a_filter_fails_on_all_recent_records_are_refused() {
    let configuration = |options: &str| {
        format!(
            "[[filter]]\nname = \"mine\"\nmodule = \"mine.wasm\"\n{options}\n[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n"
        )
    };
    let home = Home::with(&configuration(""));
    home.put_filter("mine", &refuses_with_options());
    let mut router = home.start();
    assert_eq!(post(&router, r#"{"message":"one"}"#).body, r#"{"accepted":1}"#);
    home.configure(&configuration("options = { strict = true }"));
    let line = router.wait_for_line("nothing was changed");
    assert!(line.contains("`mine`") && line.contains("with these settings it fails on all 1 recent records"), "{line}");
    assert_eq!(post(&router, r#"{"message":"two"}"#).body, r#"{"accepted":1}"#);
}
