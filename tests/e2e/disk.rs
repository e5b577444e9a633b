//! Full disks, lost writes, and a lack of file descriptors: the error is clear, and no acknowledged record is lost.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::clients::{Answer, curl, post};
use super::router::{Home, Router, eventually, weir};

/// A sink that can't create its folder until the file in its place is removed.
const BLOCKED: &str = r#"
data = "small/data"
[journal]
segment_size = "1MiB"
[sink.out]
type = "file"
path = "blocked/out.jsonl"
"#;

fn block(home: &Home) {
    std::fs::write(home.path("blocked"), "in the way").unwrap();
}

fn unblock(home: &Home) {
    std::fs::remove_file(home.path("blocked")).unwrap();
}

fn body(number: usize) -> String {
    let filling = "x".repeat(100_000);
    format!(r#"[{{"n":{number},"message":"{filling}"}},{{"n":{number},"message":"{filling}"}}]"#)
}

fn lines(home: &Home) -> usize {
    std::fs::read_to_string(home.path("blocked/out.jsonl")).map_or(0, |all| all.lines().count())
}

/// Sends until a request is refused; returns the number of acknowledged records, and the refusal.
fn fill(router: &Router) -> (usize, Answer) {
    let mut acknowledged = 0;
    for number in 0..1000 {
        let answer = post(router, &body(number));
        if answer.status != 200 {
            return (acknowledged, answer);
        }
        acknowledged += 2;
    }
    panic!("it is never full");
}

/// Unblocks the sink: all acknowledged records arrive, and new ones are accepted.
fn assert_all_arrives(home: &Home, router: &Router, acknowledged: usize) {
    unblock(home);
    eventually("everything acknowledged arrives", || lines(home) == acknowledged);
    eventually("large batches are taken again", || post(router, &body(0)).status == 200);
}

#[test]
fn a_full_disk_is_answered_with_503_and_acknowledged_records_arrive_later() {
    let home = Home::with(BLOCKED);
    block(&home);
    std::fs::create_dir(home.path("small")).unwrap();
    // A disk of 8 MB, visible only to this router.
    let mut command = Command::new("unshare");
    command
        .current_dir(home.path(""))
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=8m tmpfs small && exec \"$0\" \"$@\"")
        .arg(weir().get_program())
        .args(["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    let router = Router::start(command);
    let (acknowledged, refused) = fill(&router);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.to_lowercase().contains("retry-after"), "{}", refused.head);
    assert!(acknowledged > 0);
    assert_all_arrives(&home, &router, acknowledged);
    assert_eq!(router.stop().0.code(), Some(0));
    assert_eq!(lines(&home), acknowledged + 2);
}

#[test]
fn a_full_journal_refuses_records_until_the_sink_catches_up() {
    let home = Home::with(&BLOCKED.replace("[journal]", "[journal]\nmax_size = \"8MiB\""));
    block(&home);
    let router = home.start();
    let (acknowledged, refused) = fill(&router);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("full"), "{}", refused.body);
    assert_all_arrives(&home, &router, acknowledged);
}

#[test]
fn with_drop_oldest_senders_are_never_refused_and_lost_records_are_counted() {
    let budget = "[journal]\nmax_size = \"8MiB\"\nwhen_full = \"drop_oldest\"\nrecent = \"1MiB\"";
    let home = Home::with(&BLOCKED.replace("[journal]", budget));
    block(&home);
    let router = home.start();
    for number in 0..100 {
        assert_eq!(post(&router, &body(number)).status, 200);
    }
    unblock(&home);
    eventually("the sink goes on behind the gap", || lines(&home) > 0);
    eventually("the gap is counted", || {
        curl(&router, "/metrics", &[], b"")
            .body
            .lines()
            .any(|line| line.starts_with("weir_") && line.contains("skipped") && !line.ends_with(" 0"))
    });
}

#[test]
fn a_damaged_journal_is_refused_and_salvage_keeps_the_intact_records() {
    let home = Home::with(BLOCKED);
    block(&home);
    let router = home.start();
    for number in 0..20 {
        assert_eq!(post(&router, &body(number)).status, 200);
    }
    router.stop();
    let mut segments: Vec<_> = home
        .files()
        .into_iter()
        .filter(|(path, bytes)| path.starts_with(home.path("small/data/journal")) && bytes.len() > 500_000)
        .collect();
    segments.sort();
    let (path, mut bytes) = segments.swap_remove(0);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(path, bytes).unwrap();

    let refused = weir()
        .current_dir(home.path(""))
        .args(["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("journal salvage"), "the way on is missing: {said}");
    let inspected =
        weir().current_dir(home.path("")).args(["journal", "inspect", "--config", "weir.toml"]).output().unwrap();
    assert_eq!(inspected.status.code(), Some(1));

    super::clients::run(weir().current_dir(home.path("")).args(["journal", "salvage", "--config", "weir.toml"]));
    unblock(&home);
    let router = home.start();
    eventually("what is whole arrives", || lines(&home) >= 38);
    router.stop();
    assert_eq!(lines(&home), 38, "all but the damaged batch of two");
}

#[test]
fn two_routers_cannot_share_a_data_folder() {
    let home = Home::with("[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n");
    let router = home.start();
    let second = weir()
        .current_dir(home.path(""))
        .args(["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(post(&router, r#"{"message":"still here"}"#).status, 200);
}

/// A router in a process with this limit of open files.
fn start_with_files(home: &Home, soft: u32, hard: u32) -> Router {
    let mut command = Command::new("sh");
    command
        .current_dir(home.path(""))
        .args(["-c", &format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"")])
        .arg(weir().get_program())
        .args(["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    Router::start(command)
}

/// Posts on an open connection that stays open; returns the status.
fn post_on(connection: &mut BufReader<TcpStream>, body: &str) -> u16 {
    let head = format!("POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap();
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut answer = vec![0; length];
    connection.read_exact(&mut answer).unwrap();
    status
}

#[test]
fn connections_leave_enough_file_descriptors_for_the_journal() {
    let home = Home::with(BLOCKED);
    block(&home);
    let mut router = start_with_files(&home, 256, 256);
    router.wait_for_line("raise its limit");
    let address = router.url.trim_start_matches("http://").to_string();
    let mut connection = BufReader::new(TcpStream::connect(&address).unwrap());
    assert_eq!(post_on(&mut connection, &body(0)), 200);
    let idle: Vec<_> = (0..400).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    assert_eq!(idle.len(), 400);
    // Several segments, each of which is an open file.
    for number in 1..40 {
        assert_eq!(post_on(&mut connection, &body(number)), 200, "{}", router.stderr());
    }
    drop(idle);
    unblock(&home);
    eventually("everything acknowledged arrives", || lines(&home) == 80);
}

#[test]
fn the_limit_of_open_files_is_raised_to_the_hard_limit() {
    let home = Home::with(BLOCKED);
    block(&home);
    let router = start_with_files(&home, 256, 1024);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", router.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().nth(3), Some("1024"), "{line}");
}

/// The segments of the journal, newest last.
fn segments(home: &Home) -> Vec<std::path::PathBuf> {
    let found = std::fs::read_dir(home.path("small/data/journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = found.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect();
    found.sort();
    found
}

#[test]
fn a_journal_whose_newest_segment_was_removed_is_refused_until_it_is_salvaged() {
    let home = Home::with(BLOCKED);
    block(&home);
    let router = home.start();
    for number in 0..20 {
        assert_eq!(post(&router, &body(number)).status, 200);
    }
    router.stop();
    std::fs::remove_file(segments(&home).last().unwrap()).unwrap();
    let refused = weir()
        .current_dir(home.path(""))
        .args(["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("everything up to frame 20 was acknowledged") && said.contains("journal salvage"), "{said}");
    super::clients::run(weir().current_dir(home.path("")).args(["journal", "salvage", "--config", "weir.toml"]));
    unblock(&home);
    let router = home.start();
    assert_eq!(post(&router, &body(20)).status, 200);
    let (status, said) = router.stop();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(lines(&home) > 20, "what is left and what is new arrives");
}

#[test]
fn removing_a_segment_of_a_running_router_loses_nothing() {
    let home = Home::with(BLOCKED);
    block(&home);
    let mut router = home.start();
    assert_eq!(post(&router, &body(0)).status, 200);
    std::fs::remove_file(segments(&home).last().unwrap()).unwrap();
    for number in 1..4 {
        assert_eq!(post(&router, &body(number)).status, 200);
    }
    router.wait_for_line("was removed or replaced");
    router.kill();
    unblock(&home);
    let router = home.start();
    eventually("everything acknowledged arrives", || lines(&home) == 8);
    drop(router);
}

#[test]
fn a_first_start_makes_parent_folders_durable_before_any_acknowledgement() {
    let home = Home::with(&BLOCKED.replace("small/data", "new/deeper/data"));
    block(&home);
    let mut command = Command::new("strace");
    command.current_dir(home.path("")).args(["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync", "-o", "trace"]);
    command.arg(weir().get_program()).args(["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    let mut router = Router::start(command);
    let trace = std::fs::read_to_string(home.path("trace")).unwrap();
    let home_folder = std::fs::canonicalize(home.path("")).unwrap();
    for folder in ["", "/new", "/new/deeper", "/new/deeper/data", "/new/deeper/data/journal"] {
        let synced = format!("<{}{folder}>)", home_folder.display());
        assert!(trace.lines().any(|line| line.contains("fsync(") && line.contains(&synced)), "{synced}:\n{trace}");
    }
    // A signal to strace would not reach the router.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", router.pid())).unwrap();
    super::clients::run(Command::new("kill").arg("-INT").args(children.split_whitespace()));
    assert_eq!(router.wait().code(), Some(0));
}
