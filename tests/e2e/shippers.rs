//! Clients of other systems, unmodified: what they send arrives, and looks the same whichever protocol brought it.
//!
//! Each protocol has a file here. A test of a client ends with [`confirm`], which holds the table of clients in
//! `host/ingest/README.md` to what the test has seen. `WEIR_REWRITE=1` writes the table anew.

mod agents;
mod alertmanager;
mod browsers;
mod cloudevents;
mod datadog;
mod docker;
mod elasticsearch;
mod forward;
mod gelf;
mod gelf_sockets;
mod given;
mod influx;
mod lines;
mod listen;
mod loki;
mod otlp;
mod splunk;
mod syslog;
mod wire;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

use super::clients::{python, run};
use super::router::{Home, Router, eventually, repository, weir};

/// A router without filters that writes JSON lines, with more configuration.
pub fn home(more: &str) -> Home {
    Home::with(&format!("[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n{more}"))
}

/// Where the listener of a protocol listens, if that is `127.0.0.1:0` in the configuration.
pub fn listener(router: &Router, protocol: &str) -> SocketAddr {
    let said = format!("receives {protocol} on ");
    let address = || {
        let lines = router.stderr();
        let (_, after) = lines.split_once(&said)?;
        after.split_whitespace().next()?.rsplit("//").next()?.parse().ok()
    };
    eventually("the listener has said where it is", || address().is_some());
    address().unwrap()
}

/// The first `count` records that arrive at the sink of [`home`].
pub fn arrived(home: &Home, count: usize) -> Vec<Value> {
    let read = || fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
    eventually(&format!("{count} records arrive"), || read().lines().count() >= count);
    read().lines().map(|line| serde_json::from_str(line).expect("a line is a record")).collect()
}

/// Stops a router, and returns all records that its sink has then.
pub fn all(home: &Home, router: Router) -> Vec<Value> {
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    arrived(home, 0)
}

/// A script of `tests/clients`.
pub fn script(name: &str) -> Command {
    let mut command = python();
    command.arg(repository().join("tests/clients").join(name));
    command
}

/// A new token that may send records to the router of this home.
pub fn ingest_token(home: &Home) -> String {
    let token = run(weir().current_dir(home.path("")).args(["token", "new", "app", "--role", "ingest"])).stdout;
    String::from_utf8(token).unwrap().trim().to_owned()
}

/// Starts the router of [`home`] again, at an address that clients know.
pub fn start_at(home: &Home, address: &str) -> Router {
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--config", "weir.toml", "--listen", address]);
    Router::start(command)
}

/// The version of a package of PyPI.
pub fn installed(package: &str) -> String {
    let code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))";
    String::from_utf8(run(python().args(["-c", code, package])).stdout).unwrap().trim().to_owned()
}

/// A client as installed by `tests/run`.
pub struct Client {
    pub protocol: &'static str,
    pub name: &'static str,
    /// `PyPI`, `npm` or `Debian`. The version of a Debian package depends on the release, and is only shown.
    pub from: &'static str,
    pub version: String,
}

/// Checks that the documentation's table says how many records this client sent, and how many arrived.
pub fn confirm(client: &Client, sent: usize, arrived: usize) {
    let Client { protocol, name, from, version } = client;
    let begin = format!("| {protocol} | {name} | {from} ");
    let row = format!("{begin}{version} | {sent} | {arrived} |");
    let counts = |row: &str| row.rsplitn(4, '|').take(3).map(str::to_owned).collect::<Vec<_>>();
    let is_right = |known: &str| known == row || (*from == "Debian" && counts(known) == counts(&row));
    confirm_row("clients", &begin, &row, is_right);
}

/// Checks that the documentation's table says what a client has seen of a fault. Called once the test has seen it.
pub fn outcome(protocol: &str, client: &str, fault: &str, seen: &str) {
    let begin = format!("| {protocol} | {client} | {fault} | ");
    let row = format!("{begin}{seen} |");
    confirm_row("outcomes", &begin, &row, |known| known == row);
}

/// Checks that a table of the documentation has a row, or writes it.
fn confirm_row(table: &str, begin: &str, row: &str, is_right: impl Fn(&str) -> bool) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let path = repository().join("host/ingest/README.md");
    let page = fs::read_to_string(&path).unwrap();
    let known = page.lines().find(|line| line.starts_with(begin));
    if known.is_some_and(is_right) {
        return;
    }
    if std::env::var_os("WEIR_REWRITE").is_none() {
        panic!("{} lacks the line\n{row}\nWEIR_REWRITE=1 writes it", path.display());
    }
    let mark = format!("<!-- end of the table of {table} -->");
    let mut lines: Vec<&str> = page.lines().filter(|line| !line.starts_with(begin)).collect();
    let end = lines.iter().position(|line| *line == mark).expect("the table has an end");
    let start = lines[..end].iter().rposition(|line| line.starts_with("|---")).expect("the table has a head") + 1;
    lines.insert(end, row);
    lines[start..=end].sort_unstable();
    fs::write(path, lines.join("\n") + "\n").unwrap();
}
