//! The live stream, as real clients get it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{curl, post, python, run};
use super::router::{Home, Router, repository, weir};

/// Longer than anything here takes; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(180);

/// A program that prints what it gets.
pub struct Watcher {
    process: Child,
    lines: Receiver<String>,
    pub input: Option<ChildStdin>,
}

impl Watcher {
    pub fn start(command: &mut Command) -> Watcher {
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("`tests/run` installs it");
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().expect("piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let input = process.stdin.take();
        Watcher { process, lines, input }
    }

    pub fn line(&self) -> String {
        self.lines.recv_timeout(LONG).expect("it prints a line")
    }

    /// The rest of its lines until it prints one that ends like this.
    fn lines_until(&self, end: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.ends_with(end)) {
            lines.push(self.line());
        }
        lines
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(router: &Router, message: &str) {
    assert_eq!(post(router, &json!({ "source": "shop", "message": message }).to_string()).status, 200);
}

/// A JavaScript example, with the packages that `tests/run` installs.
fn node(home: &Home, example: &str) -> Command {
    link_node_modules(home);
    let copy = home.path(example);
    std::fs::copy(repository().join("examples/clients").join(example), &copy).unwrap();
    let mut command = Command::new("node");
    command.arg(copy);
    command
}

/// Makes the packages that `tests/run` installs available to scripts in a folder.
pub fn link_node_modules(home: &Home) {
    let modules = std::env::var_os("WEIR_TEST_NODE_MODULES").expect("`tests/run` installs npm packages and says where");
    let link = home.path("node_modules");
    if !link.exists() {
        std::os::unix::fs::symlink(modules, link).unwrap();
    }
}

fn python_example(example: &str) -> Command {
    let mut command = python();
    command.arg(repository().join("examples/clients").join(example));
    command
}

#[test]
fn every_example_prints_records_as_they_arrive() {
    let home = Home::new();
    let router = home.start();
    send(&router, "before");
    let address = router.url.trim_start_matches("http://");
    let query = "/api/tail?backlog=10&query=source:shop";
    let websocket = format!("ws://{address}{query}");
    let events = format!("http://{address}{query}");
    let watchers = [
        Watcher::start(python_example("watch.py").arg(&websocket)),
        Watcher::start(python_example("watch_events.py").arg(&events)),
        Watcher::start(node(&home, "watch.mjs").arg(&websocket)),
        Watcher::start(node(&home, "watch_events.mjs").arg(&events)),
    ];
    // Each is connected once it has printed the backlog.
    for watcher in &watchers {
        assert!(watcher.line().ends_with("Z shop before"));
    }
    assert_eq!(post(&router, r#"{"source":"other","message":"not asked for"}"#).status, 200);
    send(&router, "after alice@example.com");
    for watcher in &watchers {
        assert!(watcher.line().ends_with("Z shop after ********"), "filters come first");
    }
}

#[test]
fn a_client_that_knows_an_address_and_no_path_gets_the_stream() {
    let home = Home::with("[live]\nlisten = \"127.0.0.1:0\"\n");
    let mut router = home.start();
    let line = router.wait_for_line("stream   ws://");
    let address = line.split_whitespace().last().expect("an address");
    send(&router, "hello");
    let watcher = Watcher::start(python_example("watch.py").arg(format!("{address}/?backlog=1")));
    assert!(watcher.line().ends_with("Z shop hello"));
    drop(watcher);
    let (status, said) = router.stop();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn event_sources_continue_after_a_restart_without_loss_or_repetition() {
    let home = Home::new();
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    send(&router, "1");
    let watcher = Watcher::start(node(&home, "watch_events.mjs").arg(format!("{}/api/tail?backlog=1", router.url)));
    assert!(watcher.line().ends_with("shop 1"));
    send(&router, "2");
    assert!(watcher.line().ends_with("shop 2"));
    // A stop ends the stream, so it isn't delayed by a client.
    assert_eq!(router.stop().0.code(), Some(0));
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", &address]);
    let router = Router::start(command);
    send(&router, "3");
    assert_eq!(watcher.lines_until("shop 3").len(), 1);
    assert_eq!(router.stop().0.code(), Some(0));
}

#[test]
fn a_slow_client_is_told_exactly_how_many_matches_it_missed() {
    const POSTS: usize = 80;
    const RECORDS: usize = 1000;
    let home = Home::with("filter = []\n[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n");
    let router = home.start();
    let url = format!("{}/api/tail?query=message:yes*", router.url.replace("http", "ws"));
    let mut slow = python();
    slow.arg(repository().join("tests/clients/slow.py")).args([&url, "yes, the last"]);
    let mut watcher = Watcher::start(&mut slow);
    assert_eq!(watcher.line(), "connected");
    let padding = "x".repeat(1000);
    let records: Vec<Value> =
        (0..RECORDS).map(|n| json!({ "message": if n % 2 == 0 { "yes" } else { "no" }, "padding": padding })).collect();
    let body = json!(records).to_string();
    for _ in 0..POSTS {
        assert_eq!(post(&router, &body).status, 200);
    }
    send(&router, "yes, the last");
    watcher.input.take().expect("piped").write_all(b"go on\n").unwrap();
    let counts: Vec<usize> = watcher.line().split(' ').map(|count| count.parse().unwrap()).collect();
    assert_eq!(counts[0] + counts[1], POSTS * RECORDS / 2 + 1, "{counts:?}");
    assert!(counts[1] > 0, "it was slow");
}

/// A WebSocket as bytes, for what no client does.
struct Raw(TcpStream);

impl Raw {
    fn connect(router: &Router) -> Raw {
        let mut stream = TcpStream::connect(router.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let request = "GET /api/tail HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Raw(stream)
    }

    /// Sends a frame with this first byte, masked with zeros.
    fn frame(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match u16::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length as u8),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        // The other side may already have closed.
        let _ = self.0.write_all(&frame);
    }

    /// The next message: its first byte and its payload; `None` at the end.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        let mut length = u64::from(head[1]);
        if length == 126 {
            let mut bytes = [0; 2];
            self.0.read_exact(&mut bytes).ok()?;
            length = u64::from(u16::from_be_bytes(bytes));
        }
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[0], payload))
    }

    /// The next message that is text.
    fn text(&mut self) -> Value {
        loop {
            let (first, payload) = self.next().expect("a message");
            if first == 0x81 {
                return serde_json::from_slice(&payload).unwrap();
            }
        }
    }

    /// Whether the other side closes, whatever it sends before.
    fn ends(&mut self) -> bool {
        while self.next().is_some() {}
        true
    }
}

#[test]
fn messages_of_a_client_are_answered_and_mistakes_never_disconnect() {
    let home = Home::new();
    let router = home.start();
    let mut client = Raw::connect(&router);
    let mut asked = |message: &str| {
        client.frame(0x81, message.as_bytes());
        client.text()
    };
    assert_eq!(asked(r#"{"type":"ping"}"#)["type"], "pong");
    for (wrong, error) in [
        ("{", "not JSON"),
        ("[]", "needs a `type`"),
        (r#"{"type":"dance"}"#, "unknown type `dance`"),
        (r#"{"type":"query"}"#, "`query` must be a text"),
        (r#"{"type":"query","query":"level>=LOUD"}"#, "column 8"),
    ] {
        let answer = asked(wrong);
        assert!(answer["type"] == "error" && answer["error"].as_str().unwrap().contains(error), "{answer}");
        assert!(answer["content"].is_string() && answer["timestamp"].is_string() && answer["service_name"].is_string());
    }
    assert_eq!(asked(r#"{"type":"query","query":"level>=LOUD"}"#)["column"], 8);
    assert_eq!(asked(r#"{"type":"query","query":"wanted"}"#)["query"], "wanted");
    send(&router, "something else");
    send(&router, "what was wanted");
    assert_eq!(client.text()["message"], "what was wanted");
    client.frame(0x81, br#"{"type":"query","query":"","backlog":1}"#);
    assert_eq!(client.text()["type"], "query");
    assert_eq!(client.text()["message"], "what was wanted");
}

#[test]
fn frames_that_break_the_protocol_end_only_their_own_connection() {
    let home = Home::new();
    let router = home.start();
    let mut good = Raw::connect(&router);
    let too_long = vec![b' '; 70_000];
    let bad: [(&str, u8, &[u8]); 8] = [
        ("a reserved bit", 0xc1, b"{}"),
        ("a reserved opcode", 0x83, b"{}"),
        ("a reserved control opcode", 0x8b, b""),
        ("a fragmented ping", 0x09, b""),
        ("a ping of 126 bytes", 0x89, &[0; 126]),
        ("a continuation of nothing", 0x80, b"{}"),
        ("text that is not UTF-8", 0x81, b"\xff\xfe"),
        ("a message of 70,000 bytes", 0x81, &too_long),
    ];
    for (what, first, payload) in bad {
        let mut client = Raw::connect(&router);
        client.frame(first, payload);
        assert!(client.ends(), "{what}");
    }
    // Not masked, as a client must.
    let mut client = Raw::connect(&router);
    client.0.write_all(&[0x81, 2, b'{', b'}']).unwrap();
    assert!(client.ends());
    // Fragments and control frames between them are fine.
    good.frame(0x01, br#"{"type":"#);
    good.frame(0x89, b"are you there");
    good.frame(0x80, br#""ping"}"#);
    assert_eq!(good.next(), Some((0x8a, b"are you there".to_vec())));
    assert_eq!(good.text()["type"], "pong");
    // The end is answered.
    good.frame(0x88, &1000_u16.to_be_bytes());
    assert_eq!(good.next(), Some((0x88, 1000_u16.to_be_bytes().to_vec())));
    assert!(good.ends());
}

#[test]
fn pages_of_other_sites_and_other_machines_get_nothing() {
    let home = Home::new();
    let router = home.start();
    for path in ["/api/tail", "/api/logs", "/api/sinks"] {
        for headers in [
            &["-H", "Origin: http://evil.example"][..],
            &["-H", "Origin: null"],
            &["-H", "Sec-Fetch-Site: cross-site"],
            &["-H", "Sec-Fetch-Site: same-site", "-H", "Origin: http://localhost:1"],
            &["-H", "Host: evil.example"],
        ] {
            let websocket =
                ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
            assert_eq!(curl(&router, path, headers, b"").status, 403, "{path} {headers:?}");
            assert_eq!(curl(&router, path, &[headers, &websocket].concat(), b"").status, 403, "{path} {headers:?}");
        }
    }
    // A link on another site may lead to the page.
    let link = ["-H", "Accept: text/html", "-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: navigate"];
    let page = curl(&router, "/", &link, b"");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.head.contains("default-src 'none'"), "{page:?}");
}

#[test]
fn weir_tail_shows_what_is_in_memory_and_what_follows_also_after_a_restart() {
    let home = Home::new();
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    let tail = |arguments: &[&str]| {
        let mut command = weir();
        command.args(["tail", "--address", &address]).args(arguments);
        command
    };
    for message in ["one", "two bob@example.com", "three"] {
        send(&router, message);
    }
    let shown = run(&mut tail(&["-n", "2"]));
    let shown = String::from_utf8(shown.stdout).unwrap();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 2, "{shown}");
    assert!(lines[0].contains("INFO     shop             two ********") && lines[1].ends_with("three"), "{shown}");
    let json = run(&mut tail(&["--json", "message:one"]));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["message"], &json["entry_id"]), (&json!("one"), &Value::Null));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failed = tail(&["-n", "1"]).stdout(full).output().unwrap();
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(!failed.status.success() && said.contains("can't write to standard output"), "{said}");
    let watcher = Watcher::start(tail(&["-f", "-n", "1", "source:shop"]).stderr(Stdio::null()));
    assert!(watcher.line().ends_with("three"));
    send(&router, "four");
    assert!(watcher.line().ends_with("four"));
    assert_eq!(router.stop().0.code(), Some(0));
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", &address]);
    let router = Router::start(command);
    send(&router, "five");
    assert_eq!(watcher.lines_until("five").len(), 1);
    drop(router);
    let refused = tail(&["level>=LOUD"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("column 8"), "{said}");
    let nobody = tail(&["-f"]).output().unwrap();
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(!nobody.status.success() && said.contains("is `weir run` running?"), "{said}");
}
