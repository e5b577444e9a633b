//! A model that knows all acknowledged records, for filters that hold records: whatever happens to the router,
//! *acknowledged = delivered + held + quarantined*, once and in order.
//!
//! Senders post numbered lines, one request after the other, and never twice. `join` joins the lines of two of them,
//! `traces` decides about those of the third, `dedup` counts the repetitions of the fourth. Meanwhile there are faults,
//! of one kind or of all kinds. At the end the router is stopped, which sends on all held records, and every number is
//! looked up in the file and in SQLite.
//!
//! Records that were refused or not answered may or may not arrive, but not twice. The seed is printed; set
//! `WEIR_TEST_SEED` to repeat a run.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::clients::{run as run_command, sqlite};
use super::router::{Home, PATIENCE, Router, eventually, module, weir};

/// Faults per run.
const ROUNDS: u32 = 20;
/// Number of records that must be acknowledged between two faults.
const LOAD: usize = 60;
/// The senders of lines; those of the last one belong to traces.
const SENDERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// kill -9.
    Kill,
    /// SIGTERM and a restart.
    Stop,
    /// SIGTERM twice, as process managers send it.
    StopTwice,
    /// Another build of `join`.
    Swap,
    /// A changed configuration.
    Reload,
    /// `join` is removed and added again.
    Remove,
    /// A sink that accepts nothing fills the journal, until it is removed.
    Full,
    /// Slow clients use up the memory for requests, so that others must retry.
    Busy,
    /// A copy of the data folder is used at the same time.
    Copy,
}

const ALL: [Fault; 9] = [
    Fault::Kill,
    Fault::Stop,
    Fault::StopTwice,
    Fault::Swap,
    Fault::Reload,
    Fault::Remove,
    Fault::Full,
    Fault::Busy,
    Fault::Copy,
];

#[test]
fn held_records_are_neither_lost_nor_repeated_by_kills() {
    run(&[Fault::Kill]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_by_stops_and_double_signals() {
    run(&[Fault::Stop]);
    run(&[Fault::StopTwice]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_by_swaps_and_reloads() {
    run(&[Fault::Swap]);
    run(&[Fault::Reload]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_when_filters_are_removed() {
    run(&[Fault::Remove]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_when_the_journal_is_full() {
    run(&[Fault::Full]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_when_the_router_is_busy() {
    run(&[Fault::Busy]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_by_copies_of_the_data_folder() {
    run(&[Fault::Copy]);
}

#[test]
fn held_records_are_neither_lost_nor_repeated_by_all_faults_in_any_order() {
    run(&ALL);
}

fn run(faults: &[Fault]) {
    let seed = std::env::var("WEIR_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64) | 1);
    eprintln!("oracle, {faults:?}: seed {seed}");
    let mut random = Random(seed);
    let mut fixture = Fixture::new();
    let mut router = fixture.home.start();
    let sent = Arc::new(Mutex::new(SentRecords::default()));
    for _ in 0..ROUNDS {
        let fault = faults[random.below(faults.len())];
        let senders = Senders::start(&router.url, &sent);
        senders.load();
        std::thread::sleep(Duration::from_millis(random.below(150) as u64));
        router = fixture.inject(fault, router, &senders);
        if !matches!(fault, Fault::Kill | Fault::Stop | Fault::StopTwice | Fault::Copy) {
            senders.load();
        }
        senders.stop();
    }
    let (status, log) = router.stop();
    assert!(status.success(), "{log}");
    let sent = Arc::into_inner(sent).expect("the senders have ended").into_inner().unwrap();
    sent.check(&fixture.home, &format!("{faults:?}, seed {seed}"));
}

/// The folder of the router, and its current configuration.
struct Fixture {
    home: Home,
    builds: u32,
    reloads: u32,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { home: Home::new().with_own_cache(), builds: 0, reloads: 0 };
        fixture.put_join();
        fixture.configure(true, false);
        fixture
    }

    /// A new build of `join`.
    fn put_join(&self) {
        let mut bytes = std::fs::read(module("join")).unwrap();
        // A custom section: its length, that of its name, the name, and a number.
        bytes.extend([0, 6, 1, b'n']);
        bytes.extend(self.builds.to_le_bytes());
        self.home.put_filter("join", &bytes);
    }

    fn configure(&self, with_join: bool, with_slow_sink: bool) {
        let join = "[[filter]]\nname = \"join\"\nmodule = \"join.wasm\"\noptions = { timeout = 1 }\n";
        let slow = "[sink.slow]\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";
        let (join, slow) = (if with_join { join } else { "" }, if with_slow_sink { slow } else { "" });
        let reloads = self.reloads;
        self.home.configure(&format!(
            r#"
[http]
max_body = "64KiB"
max_decompressed = "64KiB"
max_in_flight = "128KiB"
[journal]
max_size = "1MiB"
segment_size = "64KiB"
{join}
[[filter]]
name = "traces"
module = "bundled:traces"
options = {{ rate = 0.999999, window = 1 }}
[[filter]]
name = "dedup"
module = "bundled:dedup"
options = {{ window = 1, max_keys = {} }}
{slow}
[sink.out]
type = "file"
path = "out.jsonl"
[sink.db]
type = "sqlite"
"#,
            1000 + reloads
        ));
    }

    fn inject(&mut self, fault: Fault, mut router: Router, senders: &Senders) -> Router {
        match fault {
            Fault::Kill => {
                router.kill();
                self.home.start()
            }
            Fault::Stop | Fault::StopTwice => {
                router.signal("-TERM");
                if fault == Fault::StopTwice {
                    router.signal("-TERM");
                }
                assert!(router.wait().success(), "{}", router.stderr());
                self.home.start()
            }
            Fault::Swap => {
                let replaced = |router: &Router| router.stderr().matches("filter `join` ").count();
                let before = replaced(&router);
                self.builds += 1;
                self.put_join();
                eventually("the new build runs", || replaced(&router) > before);
                router
            }
            Fault::Reload => {
                self.reconfigure(&router, true, false);
                router
            }
            Fault::Remove => {
                self.reconfigure(&router, false, false);
                senders.load();
                self.reconfigure(&router, true, false);
                router
            }
            Fault::Full => {
                self.reconfigure(&router, true, true);
                senders.until_refused(|| {});
                self.reconfigure(&router, true, false);
                router
            }
            Fault::Busy => {
                let mut slow: Vec<_> = (0..20).map(|_| slow_client(&router.url, 6000)).collect();
                // Small requests get the memory that the senders' own requests release.
                senders.until_refused(|| slow.push(slow_client(&router.url, 0)));
                router
            }
            Fault::Copy => {
                router.signal("-TERM");
                assert!(router.wait().success(), "{}", router.stderr());
                let copy = self.copy();
                let router = self.home.start();
                copy.stop();
                for folder in ["copy", "elsewhere"] {
                    std::fs::remove_dir_all(self.home.path(folder)).unwrap();
                }
                router
            }
        }
    }

    /// A router on a copy of the data folder, without the filters.
    fn copy(&self) -> Router {
        std::fs::create_dir(self.home.path("elsewhere")).unwrap();
        run_command(Command::new("cp").args(["-r", "weir-data", "copy"]).current_dir(self.home.path("")));
        let configuration =
            "[sink.out]\ntype = \"file\"\npath = \"elsewhere/out.jsonl\"\n[sink.db]\ntype = \"sqlite\"\n";
        std::fs::write(self.home.path("elsewhere.toml"), configuration).unwrap();
        let start = ["run", "--config", "elsewhere.toml", "--data", "copy", "--listen", "127.0.0.1:0"];
        let mut without_consent = weir();
        let refused = without_consent.args(start).current_dir(self.home.path("")).output().unwrap();
        assert!(
            !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--adopt"),
            "{refused:?}"
        );
        let mut command = weir();
        command.args(start).arg("--adopt").current_dir(self.home.path(""));
        Router::start(command)
    }

    /// Changes the configuration, and waits until it is loaded.
    fn reconfigure(&mut self, router: &Router, with_join: bool, with_slow_sink: bool) {
        let taken_up = |router: &Router| router.stderr().matches("configuration reloaded").count();
        let before = taken_up(router);
        self.reloads += 1;
        self.configure(with_join, with_slow_sink);
        eventually("the configuration is taken up", || taken_up(router) > before);
    }
}

/// The sent records, and their answers.
#[derive(Default)]
struct SentRecords {
    /// For each sender and number: whether it was acknowledged.
    lines: HashMap<(usize, u64), bool>,
    next: [u64; SENDERS],
    acknowledged: usize,
    refused: usize,
    repeats_acknowledged: u64,
    repeats_unknown: u64,
}

impl SentRecords {
    fn check(&self, home: &Home, what: &str) {
        let records: Vec<Value> = std::fs::read_to_string(home.path("out.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).expect("whole lines"))
            .collect();
        let messages: Vec<&str> = records.iter().filter_map(|record| record["message"].as_str()).collect();
        self.check_lines("the file", &messages, &quarantined(home), what);
        check_order("the file", &messages, what);
        let rows = sqlite(&home.path("weir-data/logs.db"), "select json_quote(message) from logs order by id");
        let rows: Vec<String> = rows.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        self.check_lines("SQLite", &rows, &quarantined(home), what);
        check_order("SQLite", &rows, what);
        let repeated = |record: &Value| match record["source"] == json!("repeats") {
            true => record["repeated"].as_u64().unwrap_or(1),
            false => 0,
        };
        let counted: u64 = records.iter().map(repeated).sum();
        let (least, most) = (self.repeats_acknowledged, self.repeats_acknowledged + self.repeats_unknown);
        assert!((least..=most).contains(&counted), "{what}: {counted} repeats counted of {least} to {most}");
        eprintln!(
            "oracle, {what}: {} acknowledged, {} refused or not answered, 0 lost, 0 doubled; {counted} repeats counted",
            self.acknowledged, self.refused
        );
    }

    fn check_lines(&self, place: &str, messages: &[&str], quarantined: &[(usize, u64)], what: &str) {
        let mut times: HashMap<(usize, u64), u32> = HashMap::new();
        messages.iter().flat_map(|message| numbers(message)).for_each(|id| *times.entry(id).or_default() += 1);
        quarantined.iter().for_each(|id| *times.entry(*id).or_default() += 1);
        let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "{what}: {place}: {} doubled: {doubled:?}", doubled.len());
        let is_lost = |(id, acknowledged): &(&(usize, u64), &bool)| **acknowledged && !times.contains_key(*id);
        let mut lost: Vec<_> = self.lines.iter().filter(is_lost).collect();
        lost.sort();
        assert!(lost.is_empty(), "{what}: {place}: {} lost: {:?}", lost.len(), &lost[..lost.len().min(20)]);
    }
}

/// Traces are decided separately; within a stream of lines the order is kept.
fn check_order(place: &str, messages: &[&str], what: &str) {
    let mut last = [None; SENDERS - 1];
    let lines = messages.iter().flat_map(|message| numbers(message)).filter(|(sender, _)| sender + 1 < SENDERS);
    for (sender, number) in lines {
        let is_later = last[sender].is_none_or(|last| number > last);
        assert!(is_later, "{what}: {place}: {sender}-{number} comes after {:?}", last[sender]);
        last[sender] = Some(number);
    }
}

/// The numbers of the lines in a message: each line ends in `[sender-number]`.
fn numbers(message: &str) -> Vec<(usize, u64)> {
    let number = |part: &str| {
        let (sender, number) = part.split_once(']')?.0.split_once('-')?;
        Some((sender.parse().ok()?, number.parse().ok()?))
    };
    message.split('[').skip(1).filter_map(number).collect()
}

/// The numbers of all lines in quarantine.
fn quarantined(home: &Home) -> Vec<(usize, u64)> {
    let is_quarantined = |path: &Path| path.components().any(|part| part.as_os_str() == "quarantine");
    let files = home.files().into_iter().filter(|(path, _)| is_quarantined(path));
    files.flat_map(|(_, bytes)| numbers(&String::from_utf8_lossy(&bytes))).collect()
}

/// A connection with a request that never ends and holds this much memory for requests, unless there is no more.
fn slow_client(url: &str, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").expect("a URL")).unwrap();
    let head = format!("POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", sent + 1);
    stream.write_all(format!("{head}{}", " ".repeat(sent)).as_bytes()).unwrap();
    stream
}

/// Threads that send to a router until they are stopped or it ends.
struct Senders {
    sent: Arc<Mutex<SentRecords>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    fn start(url: &str, sent: &Arc<Mutex<SentRecords>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let address = url.strip_prefix("http://").expect("a URL").to_owned();
        let sender = |number: usize| {
            let (sent, stop, address) = (sent.clone(), stop.clone(), address.clone());
            std::thread::spawn(move || {
                let Ok(mut connection) = Connection::open(&address) else { return };
                while !stop.load(Ordering::Relaxed) {
                    let answer = match number {
                        SENDERS => send_repeat(&mut connection, &sent),
                        _ => send_lines(&mut connection, &sent, number),
                    };
                    match answer {
                        Some(200) => {}
                        Some(_) => {
                            // Like real clients: wait a little, and reconnect.
                            std::thread::sleep(Duration::from_millis(20));
                            let Ok(opened) = Connection::open(&address) else { return };
                            connection = opened;
                        }
                        None => return,
                    }
                }
            })
        };
        let threads = (0..=SENDERS).map(sender).collect();
        Self { sent: sent.clone(), stop, threads }
    }

    /// Waits until this many more records are acknowledged.
    fn load(&self) {
        let before = self.sent.lock().unwrap().acknowledged;
        eventually("a load is acknowledged", || self.sent.lock().unwrap().acknowledged >= before + LOAD);
    }

    fn until_refused(&self, mut meanwhile: impl FnMut()) {
        let before = self.sent.lock().unwrap().refused;
        eventually("senders are refused", || {
            meanwhile();
            self.sent.lock().unwrap().refused > before + 10
        });
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Sends one to four lines; returns the status of the answer.
fn send_lines(connection: &mut Connection, sent: &Mutex<SentRecords>, sender: usize) -> Option<u16> {
    let first = {
        let mut sent = sent.lock().unwrap();
        let first = sent.next[sender];
        sent.next[sender] = first + 1 + first % 4;
        (first..sent.next[sender]).for_each(|number| {
            sent.lines.insert((sender, number), false);
        });
        first
    };
    let end = first + 1 + first % 4;
    let record = |number: u64| {
        // One line in three starts a record, the others continue it.
        let indent = if number.is_multiple_of(3) { "" } else { "    at " };
        let mut record =
            json!({ "source": format!("s{sender}"), "message": format!("{indent}line [{sender}-{number}]") });
        if sender + 1 == SENDERS {
            record["message"] = json!(format!("line [{sender}-{number}]"));
            record["context"] = json!({ "trace_id": format!("t{}", number / 7) });
        }
        record
    };
    let body = Value::Array((first..end).map(record).collect()).to_string();
    let answer = connection.post(&body);
    let mut sent = sent.lock().unwrap();
    if answer == Some(200) {
        (first..end).for_each(|number| {
            sent.lines.insert((sender, number), true);
        });
        sent.acknowledged += (end - first) as usize;
    } else {
        sent.refused += 1;
    }
    answer
}

/// Sends the same record again.
fn send_repeat(connection: &mut Connection, sent: &Mutex<SentRecords>) -> Option<u16> {
    let answer = connection.post(r#"{"source":"repeats","message":"again"}"#);
    let mut sent = sent.lock().unwrap();
    match answer {
        Some(200) => sent.repeats_acknowledged += 1,
        _ => sent.repeats_unknown += 1,
    }
    answer
}

/// A persistent connection.
struct Connection {
    stream: TcpStream,
}

impl Connection {
    fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// The status of the answer, if there is one.
    fn post(&mut self, body: &str) -> Option<u16> {
        let length = body.len();
        let head = format!(
            "POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if body.len() >= length.unwrap_or(0) {
                    return head.split(' ').nth(1)?.parse().ok();
                }
            }
            match self.stream.read(&mut piece).ok()? {
                0 => return None,
                read => answer.extend_from_slice(&piece[..read]),
            }
        }
    }
}

/// Pseudorandom numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
