//! (Not a test.) What the tests of several protocols share: records with everything that is easily lost, what is left
//! of them, senders during faults, and requests byte by byte.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::clients::{curl, python, run};
use super::super::live::link_node_modules;
use super::super::router::{Home, Router, eventually, repository, weir};
use super::{all, home};

/// Names of levels, and Weir's.
pub const LEVELS: [(&str, &str); 6] = [
    ("trace", "TRACE"),
    ("debug", "DEBUG"),
    ("info", "INFO"),
    ("warn", "WARNING"),
    ("error", "ERROR"),
    ("fatal", "CRITICAL"),
];

/// Entries of records with everything that is easily lost: text, nesting, numbers at the edges, messages of every
/// length. JavaScript has no integers beyond 53 bits.
pub fn entries(is_javascript: bool) -> Vec<Value> {
    let mut entries = vec![
        json!({"message": "hello", "n": 0}),
        json!({"message": "Grüße, 世界 👋 \u{0} \u{7f} \u{2028} \" \\ / \t \r\n", "ключ": "значение"}),
        json!({"message": "nested", "a": {"b": [1, {"c": null, "d": [[], {}]}, true], "": "no name"}, "list": []}),
        json!({"message": "numbers", "small": 5e-324, "large": f64::MAX, "safe": 9_007_199_254_740_991_i64, "third": 1.0 / 3.0}),
        json!({"message": "", "empty": ""}),
        json!({"message": "x".repeat(500_000), "text": {"long": "é".repeat(50_000)}}),
    ];
    if !is_javascript {
        entries.push(json!({"message": "integers", "least": i64::MIN, "most": u64::MAX, "wide": i64::MAX}));
    }
    entries
}

/// Checks that a record has all entries that were sent, unchanged.
pub fn assert_has(record: &Value, sent: &Value) {
    for (key, value) in sent.as_object().unwrap() {
        let short = |value: &Value| value.to_string().chars().take(200).collect::<String>();
        assert_eq!(&record[key], value, "`{key}` of {}", short(sent));
    }
}

/// A new token of a router's data folder, for sending.
pub fn token(home: &Home) -> String {
    let mut command = weir();
    command.current_dir(home.path("")).args(["token", "new", "shipper", "--role", "ingest"]);
    let printed = String::from_utf8(run(&mut command).stdout).unwrap();
    printed.lines().last().unwrap().to_owned()
}

/// A client's script, in Python or, with the packages that `tests/run` installs, in JavaScript.
pub fn script(home: &Home, name: &str) -> Command {
    let path = repository().join("tests/clients").join(name);
    if name.ends_with(".py") {
        let mut command = python();
        command.arg(path);
        return command;
    }
    link_node_modules(home);
    std::fs::copy(path, home.path(name)).unwrap();
    let mut command = Command::new("node");
    command.arg(home.path(name));
    command
}

/// Runs a script that gets JSON and prints JSON.
pub fn exchange(command: &mut Command, given: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is installed");
    // It may fail before it reads.
    _ = child.stdin.take().unwrap().write_all(given.to_string().as_bytes());
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command:?}: {printed}");
    let last = printed.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in {printed:?}"))
}

/// A script that runs during a test, and ends when its standard input is closed.
pub struct Running {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is installed");
        let (input, output) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Running { process, input, output }
    }

    /// The next line that it prints; empty at its end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Closes its input, and returns the rest of what it prints.
    pub fn end(mut self) -> String {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Kills and stops a router while a script sends, whose arguments are its URL, a prefix of its ids and the file to which
/// it adds each acknowledged id: all of these arrive.
pub fn assert_none_is_lost(name: &str) {
    assert_none_is_lost_at(name, "", |router| router.url.clone());
}

/// The same with more configuration, and with this instead of the URL.
pub fn assert_none_is_lost_at(name: &str, more: &str, place: impl Fn(&Router) -> String) {
    let home = home(more);
    let acknowledged = home.path("acknowledged");
    let ids = |path: &Path| -> Vec<String> {
        std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    for round in 0..6 {
        let router = home.start();
        let before = ids(&acknowledged).len();
        let mut command = script(&home, name);
        command.args(["load", &place(&router), &format!("r{round}")]).arg(&acknowledged);
        let sender = Running::start(&mut command);
        eventually("a round's load is acknowledged", || ids(&acknowledged).len() > before + 40);
        if round % 2 == 0 {
            router.kill();
        } else {
            assert!(router.stop().0.success());
        }
        sender.end();
    }
    let router = home.start();
    // The id of a line without entries is the line.
    let id = |record: &Value| record["id"].as_str().or(record["message"].as_str()).map(str::to_owned);
    let arrived: HashSet<String> = all(&home, router).iter().filter_map(id).collect();
    let acknowledged = ids(&acknowledged);
    let lost: Vec<_> = acknowledged.iter().filter(|id| !arrived.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} lost: {:?}", lost.len(), acknowledged.len(), &lost[..lost.len().min(5)]);
}

/// A journal of a megabyte, and a sink that takes nothing.
const FULL: &str = "[journal]\nmax_size = \"1MiB\"\nsegment_size = \"64KiB\"\n[http]\nmax_body = \"64KiB\"\n\
    max_decompressed = \"64KiB\"\nmax_in_flight = \"128KiB\"\n[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";
const STUCK: &str = "[sink.stuck]\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";

/// Has a script fill the journal. It prints what it is told then, and goes on; when there is room again, it ends.
/// Returns what it was told.
pub fn fill_the_journal(name: &str) -> String {
    fill_the_journal_at(name, "", |router| router.url.clone())
}

/// The same with more configuration, and with this instead of the URL.
pub fn fill_the_journal_at(name: &str, more: &str, place: impl Fn(&Router) -> String) -> String {
    let home = Home::with(&format!("{FULL}{more}{STUCK}"));
    let router = home.start();
    let mut sender = Running::start(script(&home, name).args(["fill", &place(&router)]));
    let told = sender.line();
    home.configure(&format!("{FULL}{more}"));
    assert_eq!(sender.line(), "stored", "after {told}");
    sender.end();
    assert!(router.stop().0.success());
    told
}

/// Posts a body one byte at a time, which is taken, and then half of one, which is not.
pub fn assert_pieces_are_put_together(path: &str, headers: &str, body: &str) {
    let home = home("");
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    let request =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.set_nodelay(true).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for byte in request.as_bytes() {
        slow.write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer));
    let mut cut = TcpStream::connect(&address).unwrap();
    cut.write_all(&request.as_bytes()[..request.len() - 2]).unwrap();
    drop(cut);
    // The server goes on.
    let arguments = ["-H", "content-type: application/json", "-d", r#"{"message":"last"}"#];
    assert_eq!(curl(&router, "/ingest", &arguments, b"").status, 200);
    let records = all(&home, router);
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(records[1]["message"], "last");
}
