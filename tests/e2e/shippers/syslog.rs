//! Syslog from the programs that send it: logger, rsyslogd, syslog-ng, Python's handler, pino.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::super::clients::{curl, run};
use super::super::router::{Home, Router, eventually};
use super::given::{exchange, script};
use super::{Client, all, arrived, confirm, home, listener};

const LISTEN: &str = "[[listen]]\nprotocol = \"syslog\"\naddress = \"";
const MESSAGE: &str = "zażółć 😀 \"quoted\" [not data] <13>";

fn started(address: &str) -> (Home, Router) {
    let home = home(&format!("{LISTEN}{address}\"\n"));
    let router = home.start();
    (home, router)
}

fn version_of(command: &mut Command) -> String {
    let said = String::from_utf8(run(command).stdout).unwrap();
    let words = said.split_whitespace();
    let version = words
        .map(|word| word.trim_matches(['(', ')', ',']))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.'));
    version.unwrap_or("?").to_owned()
}

/// A daemon that is ended with the test.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Daemon {
        Daemon(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("`tests/run` installs it"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ten lines of a file that a daemon reads, with every severity among them.
fn lines() -> String {
    (0..10).fold(String::new(), |mut lines, number| {
        writeln!(lines, "line {number} {MESSAGE}").unwrap();
        lines
    })
}

fn assert_has_lines(records: &[Value]) {
    assert_eq!(records.len(), 10);
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record["message"].as_str().unwrap().trim(), format!("line {number} {MESSAGE}"));
    }
}

#[test]
fn logger_sends_over_udp_tcp_and_unix_sockets_in_both_formats() {
    let (mut count, sent) = (0, 5 * 8);
    let inet = |address: SocketAddr, kind: &str| {
        vec![
            "--server".to_owned(),
            "127.0.0.1".to_owned(),
            "--port".to_owned(),
            address.port().to_string(),
            kind.to_owned(),
        ]
    };
    for (listen, more) in [
        ("udp://127.0.0.1:0", &["--rfc5424"][..]),
        ("udp://127.0.0.1:0", &["--rfc3164"]),
        ("tcp://127.0.0.1:0", &["--rfc5424", "--octet-count"]),
        ("tcp://127.0.0.1:0", &["--rfc3164"]),
        ("unixgram:log", &[]),
    ] {
        let (home, router) = started(listen);
        let place = match listen {
            "unixgram:log" => vec!["--socket".to_owned(), home.path("log").display().to_string()],
            _ => inet(listener(&router, "syslog"), if listen.starts_with("udp") { "--udp" } else { "--tcp" }),
        };
        for severity in ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"] {
            let priority = format!("local3.{severity}");
            run(Command::new("logger")
                .args(&place)
                .args(more)
                .args(["-t", "shop", "--id=42", "-p", &priority, MESSAGE]));
        }
        let records = arrived(&home, 8);
        // Each message has a connection of its own, so their order may change.
        let mut levels: Vec<_> = records.iter().map(|record| record["level"].as_str().unwrap()).collect();
        levels.sort_unstable();
        assert_eq!(levels, ["CRITICAL", "CRITICAL", "CRITICAL", "DEBUG", "ERROR", "INFO", "INFO", "WARNING"]);
        for record in &records {
            let due = json!({"message": MESSAGE, "source": "shop", "facility": "local3", "pid": "42"});
            for (key, value) in due.as_object().unwrap() {
                assert_eq!(&record[key], value, "{listen} {more:?} {key}");
            }
        }
        count += records.len();
    }
    let version = version_of(Command::new("logger").arg("--version"));
    confirm(&Client { protocol: "syslog", name: "logger (bsdutils)", from: "Debian", version }, sent, count);
}

#[test]
fn pythons_own_handler_sends_over_udp_tcp_and_unix_sockets() {
    let sent = json!([["INFO", "plain"], ["ERROR", MESSAGE], ["DEBUG", "x".repeat(2000)], ["CRITICAL", "last"]]);
    let (mut count, mut version) = (0, Value::Null);
    for (kind, listen) in [("udp", "udp://127.0.0.1:0"), ("tcp", "tcp://127.0.0.1:0"), ("unix", "unixgram:log")] {
        let (home, router) = started(listen);
        let place = match kind {
            "unix" => home.path("log").display().to_string(),
            _ => listener(&router, "syslog").port().to_string(),
        };
        version = exchange(script(&home, "syslog.py").args([kind, &place]), &sent)["version"].clone();
        let records = arrived(&home, 4);
        for (record, sent) in records.iter().zip(sent.as_array().unwrap()) {
            assert_eq!((&record["level"], &record["message"]), (&sent[0], &sent[1]), "{kind}");
            assert_eq!((&record["source"], &record["pid"]), (&json!("shop"), &json!("42")));
        }
        count += records.len();
    }
    let version = version.as_str().unwrap().to_owned();
    confirm(&Client { protocol: "syslog", name: "logging.handlers of Python", from: "Debian", version }, 12, count);
}

#[test]
fn rsyslogd_forwards_a_file_over_udp_and_tcp_in_both_formats() {
    let mut count = 0;
    for (listen, kind, template) in [
        ("udp://127.0.0.1:0", "protocol=\"udp\"", "RSYSLOG_ForwardFormat"),
        ("tcp://127.0.0.1:0", "protocol=\"tcp\"", "RSYSLOG_TraditionalForwardFormat"),
        ("tcp://127.0.0.1:0", "protocol=\"tcp\" TCP_Framing=\"octet-counted\"", "RSYSLOG_SyslogProtocol23Format"),
    ] {
        let (home, router) = started(listen);
        std::fs::write(home.path("in.log"), lines()).unwrap();
        let (folder, port) = (home.path(""), listener(&router, "syslog").port());
        let configuration = format!(
            "global(workDirectory=\"{0}\")\nmodule(load=\"imfile\")\n\
             input(type=\"imfile\" file=\"{0}/in.log\" tag=\"shop:\" severity=\"error\" facility=\"local3\")\n\
             action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" {kind} template=\"{template}\")\n",
            folder.display()
        );
        std::fs::write(home.path("rsyslog.conf"), configuration).unwrap();
        let _daemon = Daemon::start(
            Command::new("rsyslogd").arg("-n").arg("-f").arg(home.path("rsyslog.conf")).arg("-i").arg(home.path("pid")),
        );
        let records = arrived(&home, 10);
        assert_has_lines(&records);
        for record in &records {
            let head = (&record["source"], &record["level"], &record["facility"]);
            assert_eq!(head, (&json!("shop"), &json!("ERROR"), &json!("local3")), "{template}: {record}");
            assert!(record["host"].is_string(), "{record}");
        }
        count += records.len();
    }
    let version = version_of(Command::new("rsyslogd").arg("-v"));
    confirm(&Client { protocol: "syslog", name: "rsyslog", from: "Debian", version }, 30, count);
}

#[test]
fn syslog_ng_forwards_a_file_with_structured_data() {
    let mut count = 0;
    for (listen, kind) in [("tcp://127.0.0.1:0", "tcp"), ("udp://127.0.0.1:0", "udp")] {
        let (home, router) = started(listen);
        std::fs::write(home.path("in.log"), lines()).unwrap();
        let port = listener(&router, "syslog").port();
        let configuration = format!(
            "@version: 3.38\nsource s {{ file(\"{}\" flags(no-parse) follow-freq(0.1) read-old-records(yes)); }};\n\
             rewrite r {{ set(\"shop\", value(\"PROGRAM\")); set(\"1\", value(\".SDATA.order@1.id\")); set-severity(\"crit\"); }};\n\
             destination d {{ syslog(\"127.0.0.1\" port({port}) transport(\"{kind}\")); }};\n\
             log {{ source(s); rewrite(r); destination(d); }};\n",
            home.path("in.log").display()
        );
        std::fs::write(home.path("ng.conf"), configuration).unwrap();
        let own = |name: &str| home.path(name).display().to_string();
        let _daemon = Daemon::start(Command::new("syslog-ng").args(["-F", "-f"]).arg(own("ng.conf")).args([
            "-R",
            &own("ng.persist"),
            "-p",
            &own("ng.pid"),
            "-c",
            &own("ng.ctl"),
        ]));
        let records = arrived(&home, 10);
        assert_has_lines(&records);
        for record in &records {
            assert_eq!((&record["source"], &record["level"]), (&json!("shop"), &json!("CRITICAL")), "{record}");
            assert_eq!(record["structured_data"]["order@1"]["id"], "1", "{record}");
        }
        count += records.len();
    }
    let version = version_of(Command::new("syslog-ng").arg("--version"));
    confirm(&Client { protocol: "syslog", name: "syslog-ng", from: "Debian", version }, 20, count);
}

#[test]
fn pino_sends_through_its_own_programs() {
    let (home, router) = started("tcp://127.0.0.1:0");
    let port = listener(&router, "syslog").port();
    let sent = json!([{"level": "info", "message": MESSAGE}, {"level": "error", "message": "second", "n": 7}]);
    let pino = script(&home, "syslog.mjs");
    let programs = home.path("node_modules/.bin");
    let program = |name: &str| programs.join(name).display().to_string();
    let pipe = format!(
        "node '{}' | '{}' --modern --newline --appname shop | '{}' -a 127.0.0.1 -p {port} -m tcp",
        Path::new(pino.get_args().next().unwrap()).display(),
        program("pino-syslog"),
        program("pino-socket"),
    );
    let mut shell = Command::new("sh");
    shell.current_dir(home.path("")).args(["-c", &pipe]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut shell = shell.spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), sent.to_string().as_bytes()).unwrap();
    let records = arrived(&home, 2);
    assert!(shell.wait().unwrap().success());
    // The message is pino's JSON, as its program puts it there.
    for (record, (level, text)) in records.iter().zip([("INFO", MESSAGE), ("ERROR", "second")]) {
        let message = record["message"].as_str().unwrap();
        let inside: Value = serde_json::from_str(message.trim()).unwrap_or_else(|error| panic!("{error}: {record}"));
        assert_eq!((&record["level"], &inside["msg"]), (&json!(level), &json!(text)));
        assert_eq!((&record["host"], &record["source"]), (&json!("web1"), &json!("shop")));
    }
    let package = std::fs::read_to_string(home.path("node_modules/pino-syslog/package.json")).unwrap();
    let version = serde_json::from_str::<Value>(&package).unwrap()["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: "syslog", name: "pino-syslog", from: "npm", version }, 2, records.len());
}

#[test]
fn a_flood_of_datagrams_is_stored_or_counted() {
    let (home, router) = started("udp://127.0.0.1:0");
    let address = listener(&router, "syslog");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..20_000 {
        socket.send_to(format!("<14>1 - h app - - - number {number}").as_bytes(), address).unwrap();
    }
    // The system drops what does not fit into the socket's buffer; nothing that was received is lost.
    let metric = |name: &str| {
        let metrics = curl(&router, "/metrics", &[], b"").body;
        let line = metrics.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let received = || metric(r#"weir_ingest_received_bytes_total{protocol="syslog"}"#);
    let stored = || metric(r#"weir_ingest_records_total{protocol="syslog",outcome="accepted"}"#);
    let dropped = || metric("weir_ingest_datagrams_dropped_total");
    let mut before = -1.0;
    eventually("the socket is empty and everything is stored", || {
        let now = received();
        let is_quiet = now == before && stored() > 0.0;
        before = now;
        is_quiet
    });
    assert_eq!(dropped(), 0.0);
    let accepted = stored();
    let records = all(&home, router);
    assert!(records.len() as f64 >= accepted && records.len() > 1000, "{} of {accepted}", records.len());
    let numbers: Vec<u32> = records
        .iter()
        .map(|record| record["message"].as_str().unwrap().rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order, and none twice");
}
