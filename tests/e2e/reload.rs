//! A configuration changed while the router runs.

use super::clients::post;
use super::router::{Home, Router, eventually};

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
fn a_sink_that_is_added_is_started_and_the_others_go_on_undisturbed() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    say(&router, "INFO", "early");
    eventually("one has it", || holds(&home, "one.jsonl", "early"));
    home.configure(AFTER);
    router.wait_for_line("taken up");
    assert!(!router.said().contains("`one` restarts"), "{}", router.said());
    say(&router, "ERROR", "grave");
    say(&router, "INFO", "slight");
    eventually("both have it", || holds(&home, "two.jsonl", "grave") && holds(&home, "one.jsonl", "slight"));
    assert!(!holds(&home, "two.jsonl", "slight"));
}

#[test]
fn a_broken_configuration_changes_nothing_and_every_mistake_is_named_with_its_line() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    home.configure("[sink.one]\ntype = \"file\"\npaht = \"one.jsonl\"\n[jurnal]\nsync = \"always\"\n");
    router.wait_for_line("nothing was changed");
    eventually("every mistake is named", || {
        let said = router.said();
        ["paht", "path", "jurnal", "journal", "weir.toml:3", "weir.toml:4"].iter().all(|part| said.contains(part))
    });
    say(&router, "INFO", "as before");
    eventually("the sink goes on", || holds(&home, "one.jsonl", "as before"));
}

#[test]
fn a_filter_that_cannot_be_loaded_keeps_the_whole_new_configuration_out() {
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
fn sighup_takes_up_what_an_environment_variable_or_a_file_now_says() {
    let home = Home::with(BEFORE);
    let mut router = home.start();
    home.configure(AFTER);
    router.signal("-HUP");
    router.wait_for_line("taken up");
}
