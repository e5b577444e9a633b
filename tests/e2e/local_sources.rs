//! Sources on the machine: standard input, commands, and applications that `weir exec` runs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clients::{curl, post, sqlite};
use super::router::{Home, Router, eventually, weir};

/// Only SQLite, so that standard output belongs to the tests.
const SQLITE: &str = "[sink.db]\ntype = \"sqlite\"\n";

fn rows(home: &Home, columns: &str) -> Vec<String> {
    let database = home.path("weir-data/logs.db");
    if !database.exists() {
        return Vec::new();
    }
    // The file is there before its table.
    if sqlite(&database, "select count(*) from sqlite_master where name = 'logs'") == "0" {
        return Vec::new();
    }
    let query = format!("select {columns} from logs order by rowid");
    sqlite(&database, &query).lines().map(str::to_owned).collect()
}

const FIELD_STREAM: &str = "json_extract(fields, '$.stream')";

/// Waits until a table has so many rows.
fn wait_for_rows(home: &Home, count: usize) {
    eventually("the records are in SQLite", || rows(home, "1").len() >= count);
}

/// A process that ends with the test, whatever its result.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command lines of processes that contain a text.
fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let line = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}

fn with_stdin(home: &Home, arguments: &[&str]) -> Child {
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", "127.0.0.1:0"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails each write as a full disk does.
fn full() -> fs::File {
    fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn standard_input_is_stored_and_passed_through_unchanged_and_its_end_stops_the_router() {
    let home = Home::new();
    let mut router = with_stdin(&home, &["--stdin"]);
    let mut input = router.stdin.take().unwrap();
    let mut output = BufReader::new(router.stdout.take().unwrap());
    // A line is passed through before the next is written.
    for line in ["first\n", "{\"level\":\"error\",\"message\":\"second\",\"n\":2}\n"] {
        input.write_all(line.as_bytes()).unwrap();
        let mut passed = String::new();
        output.read_line(&mut passed).unwrap();
        assert_eq!(passed, line);
    }
    let mut rest: Vec<u8> = (0..20_000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
    rest.extend_from_slice(b"\n\xff no line end");
    let written = std::thread::spawn({
        let rest = rest.clone();
        move || input.write_all(&rest).unwrap()
    });
    let mut passed = Vec::new();
    output.read_to_end(&mut passed).unwrap();
    written.join().unwrap();
    assert!(passed == rest, "{} bytes were passed through, not {}", passed.len(), rest.len());
    let output = router.wait_with_output().unwrap();
    assert!(output.status.success() && said(&output).contains("flushed and delivered"), "{}", said(&output));
    let stored = rows(&home, "level || ' ' || source || ' ' || message");
    assert_eq!(stored.len(), 20_003);
    assert_eq!(stored[0], "INFO stdin first");
    assert_eq!(stored[1], "ERROR stdin second");
    assert_eq!(stored[20_001], "INFO stdin line 19999");
    assert_eq!(stored[20_002], "INFO stdin \u{fffd} no line end");
}

#[test]
fn a_router_that_cannot_write_to_standard_error_stores_passes_on_and_stops_all_the_same() {
    let home = Home::new();
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", "127.0.0.1:0", "--stdin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(full());
    let mut router = command.spawn().unwrap();
    router.stdin.take().unwrap().write_all(b"text\n").unwrap();
    let output = router.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"text\n"[..]));
    assert_eq!(rows(&home, "message"), ["text"]);
}

#[test]
fn a_configured_console_keeps_standard_output_and_a_source_of_the_file_only_ends() {
    let home = Home::with("[sink.shown]\ntype = \"console\"\nformat = \"json\"\n");
    let mut router = with_stdin(&home, &["--stdin", "--config", "weir.toml"]);
    router.stdin.take().unwrap().write_all(b"text\n").unwrap();
    let output = router.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!(shown["message"], "text");

    // Standard input is at its end, and the router goes on.
    let home = Home::with(&format!("{SQLITE}[source.app]\ntype = \"stdin\"\n"));
    let router = home.start();
    eventually("the source has ended", || curl(&router, "/health", &[], b"").body.contains("\"ended\""));
    assert_eq!(post(&router, "{\"message\":\"still there\"}").status, 200);
    assert!(router.stop().0.success());
}

#[test]
fn what_an_application_says_at_a_common_interrupt_is_stored() {
    let home = Home::new();
    // Both get the signal; the application writes after it.
    let script = "trap 'sleep 0.1; echo bye; exit 0' INT; echo hello; while :; do sleep 0.05; done";
    let mut application =
        Ends(Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap());
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", "127.0.0.1:0", "--stdin"]);
    let router = command.stdin(application.0.stdout.take().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let router = router.spawn().unwrap();
    wait_for_rows(&home, 1);
    for process in [application.0.id(), router.id()] {
        assert!(Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
    }
    application.0.wait().unwrap();
    let output = router.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(output.stdout, b"hello\nbye\n");
    assert_eq!(rows(&home, "message"), ["hello", "bye"]);
}

#[test]
fn a_command_is_read_and_started_again_with_growing_pauses() {
    let home = Home::new();
    fs::create_dir(home.path("inside")).unwrap();
    home.configure(&format!(
        "{SQLITE}[source.app]\ntype = \"exec\"\ndirectory = \"inside\"\nenvironment = {{ SECRET = 'hunter2' }}\n\
         command = [\"sh\", \"-c\", \"pwd; echo $SECRET-$WEIR_TOKEN >&2; echo start >> starts; exit 3\"]\n"
    ));
    let mut command = weir();
    command.current_dir(home.path("")).env("WEIR_TOKEN", "a-token-of-the-router");
    command.args(["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    let router = Router::start(command);
    wait_for_rows(&home, 6);
    let stored = rows(&home, &format!("source || ' ' || {FIELD_STREAM} || ' ' || message"));
    let inside = fs::canonicalize(home.path("inside")).unwrap();
    let folder = format!("app stdout {}", inside.display());
    assert!(stored.contains(&folder) && stored.contains(&"app stderr hunter2-".to_owned()), "{stored:?}");
    let health = curl(&router, "/health", &[], b"").body;
    assert!(!health.contains("hunter2") && !router.stderr().contains("hunter2"));
    let failures = || router.stderr().lines().filter(|line| line.contains("`sh` ended with exit code 3")).count();
    eventually("three failures are reported", || failures() >= 3);
    // It was started only as often as the pauses allow.
    let starts = fs::read_to_string(inside.join("starts")).unwrap().lines().count();
    assert!(starts <= failures() + 1, "{starts} starts, {} pauses", failures());
    assert!(router.stop().0.success());
}

#[test]
fn a_stopped_command_may_say_its_last_and_leaves_no_process() {
    let home = Home::new();
    let configure = |mark: &str| {
        let script = format!(
            "trap 'echo bye {mark}; exit 0' TERM; sleep 10{mark} & (trap '' TERM; sleep 20{mark}) & \
             echo ready {mark}; while :; do wait; sleep 0.05; done"
        );
        home.configure(&format!("{SQLITE}[source.app]\ntype = \"exec\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"));
    };
    // Each is the length of a sleep that nobody else uses.
    let marks = [format!("{}1", std::process::id()), format!("{}2", std::process::id())];
    configure(&marks[0]);
    let router = home.start();
    wait_for_rows(&home, 1);
    assert!(processes_with(&marks[0]).len() >= 3);
    // A reload replaces it, a stop of the router ends it.
    configure(&marks[1]);
    wait_for_rows(&home, 3);
    eventually("the replaced command is gone", || processes_with(&marks[0]).is_empty());
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    assert_eq!(processes_with(&marks[1]), [""; 0]);
    let due: Vec<_> = marks.iter().flat_map(|mark| [format!("ready {mark}"), format!("bye {mark}")]).collect();
    assert_eq!(rows(&home, "message"), due);
}

#[test]
fn a_command_that_cannot_start_is_reported_and_one_with_an_interval_runs_again() {
    let home = Home::with(&format!(
        "{SQLITE}[source.absent]\ntype = \"exec\"\ncommand = [\"./no-such-program\"]\n\
         [source.often]\ntype = \"exec\"\ncommand = [\"echo\", \"tick\"]\ninterval = \"200ms\"\n\
         [source.once]\ntype = \"exec\"\ncommand = [\"echo\", \"once\"]\nrestart = \"on-failure\"\n"
    ));
    let router = home.start();
    eventually("the router is degraded", || {
        let health = curl(&router, "/health", &[], b"").body;
        health.contains("source `absent`: can't start `") && health.contains("no-such-program`: No such file")
    });
    let began = Instant::now();
    eventually("five ticks", || rows(&home, "message").iter().filter(|message| *message == "tick").count() >= 5);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(rows(&home, "message").iter().filter(|message| *message == "once").count(), 1);
    assert!(router.stop().0.success());
}

fn exec(home: &Home, url: &str, options: &[&str], script: &str) -> Command {
    let mut command = weir();
    command.current_dir(home.path("")).args(["exec", "--url", url]).args(options);
    command.args(["--", "sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn an_application_under_weir_runs_as_without_and_its_lines_are_records() {
    let home = Home::with(SQLITE);
    let router = home.start();
    let script = "echo out; echo '{\"level\":\"warn\",\"msg\":\"json\",\"time\":1700000000}' >&2; printf end; exit 7";
    let output = exec(&home, &router.url, &[], script).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert_eq!(output.stdout, b"out\nend");
    assert_eq!(said(&output), "{\"level\":\"warn\",\"msg\":\"json\",\"time\":1700000000}\n");
    wait_for_rows(&home, 3);
    let mut stored = rows(&home, &format!("source || ' ' || level || ' ' || {FIELD_STREAM} || ' ' || message"));
    stored.sort();
    assert_eq!(stored, ["sh INFO stdout end", "sh INFO stdout out", "sh WARNING stderr json"]);

    let output = exec(&home, &router.url, &["--quiet", "--source", "own"], "echo quiet; kill -9 $$").output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..], &*said(&output)), (Some(137), &b""[..], ""));
    eventually("it is stored", || rows(&home, "source || ' ' || message").contains(&"own quiet".to_owned()));

    let mut command = weir();
    command.current_dir(home.path("")).args(["exec", "--url", &router.url, "--", "/no/such/program"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(said(&output).contains("can't start `/no/such/program`"), "{}", said(&output));
    // Nobody reads: the application ends by SIGPIPE, as without Weir.
    let mut command = exec(&home, &router.url, &["--source", "pipe"], "exec yes");
    let mut running = command.spawn().unwrap();
    let mut first = [0; 2];
    running.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(128 + 13));
    assert!(router.stop().0.success());
}

#[test]
fn an_application_under_weir_goes_on_when_its_output_meets_a_full_disk() {
    let home = Home::with(SQLITE);
    let router = home.start();
    // More than fits into pipes and buffers, so the code is 9 if nobody reads to the end.
    let script = "yes line | head -n 100000 || exit 9; exit 7";
    let output = exec(&home, &router.url, &[], script).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(router.stop().0.success());
}

#[test]
fn signals_reach_an_application_under_weir() {
    let home = Home::with(SQLITE);
    let router = home.start();
    for (signal, code) in [("TERM", 41), ("INT", 42), ("USR1", 43), ("HUP", 44)] {
        let script =
            format!("trap 'echo got {signal}; exit {code}' {signal}; echo ready; while :; do sleep 0.02; done");
        let mut running = exec(&home, &router.url, &[], &script).spawn().unwrap();
        let mut output = BufReader::new(running.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &running.id().to_string()]).status().unwrap().success()
        );
        assert_eq!(running.wait().unwrap().code(), Some(code), "{signal}");
        output.read_line(&mut line).unwrap();
        assert_eq!(line, format!("ready\ngot {signal}\n"));
    }
    assert!(router.stop().0.success());
}

#[test]
fn an_application_never_waits_for_a_router_that_is_down_or_hangs() {
    let home = Home::new();
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hung.local_addr().unwrap().to_string();
    let down = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().to_string()
    };
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i of the application; i=$((i+1)); done";
    let began = Instant::now();
    assert!(Command::new("sh").args(["-c", script]).stdout(Stdio::null()).status().unwrap().success());
    let alone = began.elapsed();
    for address in [&down, &address] {
        let began = Instant::now();
        let output = exec(&home, address, &["--buffer", "256KiB"], script).output().unwrap();
        let took = began.elapsed();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 20_000);
        // Besides the time for which records are still sent at the end, and some for a busy machine.
        assert!(took < 10 * alone + Duration::from_secs(15), "{took:?}, alone {alone:?}");
        let said = said(&output);
        let count = |what: &str| {
            let line = said.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said}"));
            line.split_whitespace().find_map(|word| word.parse::<u64>().ok()).expect("a number")
        };
        assert_eq!(count("dropped") + count("not delivered"), 20_000, "{said}");
    }
}

#[test]
fn records_arrive_once_over_kills_of_the_router() {
    const LINES: usize = 3_000;
    let home = Home::with(SQLITE);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let start = || {
        let mut command = weir();
        command.current_dir(home.path("")).args(["run", "--listen", &listen, "--config", "weir.toml"]);
        Router::start(command)
    };
    let mut router = Some(start());
    let script =
        format!("i=0; while [ $i -lt {LINES} ]; do echo $i; i=$((i+1)); [ $((i%10)) -gt 0 ] || sleep 0.01; done");
    let mut running = exec(&home, &listen, &[], &script).spawn().unwrap();
    let mut output = running.stdout.take().unwrap();
    let passed = std::thread::spawn(move || {
        let mut passed = Vec::new();
        output.read_to_end(&mut passed).unwrap();
        passed
    });
    let mut kills = 0;
    while running.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(300));
        if kills < 8 {
            router.take().expect("one runs").kill();
            kills += 1;
            router = Some(start());
        }
    }
    assert!(running.wait().unwrap().success() && kills >= 3, "{kills} kills");
    assert_eq!(passed.join().unwrap().iter().filter(|byte| **byte == b'\n').count(), LINES);
    let mut said = String::new();
    running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("dropped") && !said.contains("not delivered"), "{said}");
    assert!(router.expect("one runs").stop().0.success());
    let stored: Vec<usize> = rows(&home, "message").iter().map(|message| message.parse().unwrap()).collect();
    assert_eq!(stored, (0..LINES).collect::<Vec<_>>(), "after {kills} kills");
}
