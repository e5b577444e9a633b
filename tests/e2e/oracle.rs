//! An oracle that knows what was acknowledged, over filters that hold records back: whatever happens to the router,
//! *acknowledged = delivered + held + quarantined*, once and in order.
//!
//! Senders post numbered lines, one request after the other, and never twice. `join` makes records of the lines of two
//! of them, `traces` decides about those of the third, `dedup` counts what a fourth repeats. Meanwhile blows fall, of
//! one kind or of all kinds. At the end the router is stopped, which sends on all that is held, and every number is
//! looked for in the file and in SQLite.
//!
//! What was not answered, or refused, may have arrived or not, but not twice. The seed is printed; `WEIR_TEST_SEED`
//! takes it again.

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

/// Blows in a run.
const ROUNDS: u32 = 20;
/// Records that must be acknowledged between two blows.
const LOAD: usize = 60;
/// Who sends lines; the last one's belong to traces.
const SENDERS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Blow {
    /// kill -9.
    Kill,
    /// SIGTERM, and a new start.
    Stop,
    /// SIGTERM twice at once, as process managers send it.
    StopTwice,
    /// Another build of `join`.
    Swap,
    /// A changed configuration.
    Reload,
    /// `join` is taken out, and put back.
    Remove,
    /// A sink that takes nothing fills the journal, until it is taken out.
    Full,
    /// Slow clients take up the memory for requests, so that others are told to come again.
    Busy,
    /// A copy of the data folder runs beside the original.
    Copy,
}

const ALL: [Blow; 9] = [
    Blow::Kill,
    Blow::Stop,
    Blow::StopTwice,
    Blow::Swap,
    Blow::Reload,
    Blow::Remove,
    Blow::Full,
    Blow::Busy,
    Blow::Copy,
];

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_by_kills() {
    run(&[Blow::Kill]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_by_stops_and_signals_that_come_twice() {
    run(&[Blow::Stop]);
    run(&[Blow::StopTwice]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_by_swaps_and_reloads() {
    run(&[Blow::Swap]);
    run(&[Blow::Reload]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_when_they_are_taken_out() {
    run(&[Blow::Remove]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_when_the_journal_is_full() {
    run(&[Blow::Full]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_when_the_router_is_busy() {
    run(&[Blow::Busy]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_by_copies_of_the_data_folder() {
    run(&[Blow::Copy]);
}

#[test]
fn nothing_that_filters_hold_is_lost_or_doubled_by_all_of_that_in_any_order() {
    run(&ALL);
}

fn run(blows: &[Blow]) {
    let seed = std::env::var("WEIR_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64) | 1);
    eprintln!("oracle, {blows:?}: seed {seed}");
    let mut random = Random(seed);
    let mut place = Place::new();
    let mut router = place.home.start();
    let said = Arc::new(Mutex::new(Said::default()));
    for _ in 0..ROUNDS {
        let blow = blows[random.below(blows.len())];
        let senders = Senders::start(&router.url, &said);
        senders.load();
        std::thread::sleep(Duration::from_millis(random.below(150) as u64));
        router = place.strike(blow, router, &senders);
        if !matches!(blow, Blow::Kill | Blow::Stop | Blow::StopTwice | Blow::Copy) {
            senders.load();
        }
        senders.stop();
    }
    let (status, log) = router.stop();
    assert!(status.success(), "{log}");
    let said = Arc::into_inner(said).expect("the senders have ended").into_inner().unwrap();
    said.check(&place.home, &format!("{blows:?}, seed {seed}"));
}

/// Where the router lives, and which of its configurations it has.
struct Place {
    home: Home,
    builds: u32,
    reloads: u32,
}

impl Place {
    fn new() -> Self {
        let place = Self { home: Home::new(), builds: 0, reloads: 0 };
        place.put_join();
        place.configure(true, false);
        place
    }

    /// A build of `join` that was not there before.
    fn put_join(&self) {
        let mut bytes = std::fs::read(module("join")).unwrap();
        // A custom section without meaning: its length, that of its name, the name, and the number.
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

    fn strike(&mut self, blow: Blow, mut router: Router, senders: &Senders) -> Router {
        match blow {
            Blow::Kill => {
                router.kill();
                self.home.start()
            }
            Blow::Stop | Blow::StopTwice => {
                router.signal("-TERM");
                if blow == Blow::StopTwice {
                    router.signal("-TERM");
                }
                assert!(router.wait().success(), "{}", router.said());
                self.home.start()
            }
            Blow::Swap => {
                let replaced = |router: &Router| router.said().matches("filter `join` ").count();
                let before = replaced(&router);
                self.builds += 1;
                self.put_join();
                eventually("the new build runs", || replaced(&router) > before);
                router
            }
            Blow::Reload => {
                self.reconfigure(&router, true, false);
                router
            }
            Blow::Remove => {
                self.reconfigure(&router, false, false);
                senders.load();
                self.reconfigure(&router, true, false);
                router
            }
            Blow::Full => {
                self.reconfigure(&router, true, true);
                senders.until_refused(|| {});
                self.reconfigure(&router, true, false);
                router
            }
            Blow::Busy => {
                let mut slow: Vec<_> = (0..20).map(|_| slow_client(&router.url, 6000)).collect();
                // Small ones take what the senders' own requests give back.
                senders.until_refused(|| slow.push(slow_client(&router.url, 0)));
                router
            }
            Blow::Copy => {
                router.signal("-TERM");
                assert!(router.wait().success(), "{}", router.said());
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

    /// Another configuration, and waits until it is taken up.
    fn reconfigure(&mut self, router: &Router, with_join: bool, with_slow_sink: bool) {
        let taken_up = |router: &Router| router.said().matches("configuration reloaded").count();
        let before = taken_up(router);
        self.reloads += 1;
        self.configure(with_join, with_slow_sink);
        eventually("the configuration is taken up", || taken_up(router) > before);
    }
}

/// What was sent, and how it was answered.
#[derive(Default)]
struct Said {
    /// For each sender and number: whether it was acknowledged.
    lines: HashMap<(usize, u64), bool>,
    next: [u64; SENDERS],
    acknowledged: usize,
    refused: usize,
    repeats_acknowledged: u64,
    repeats_unknown: u64,
}

impl Said {
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

/// Traces are decided one by one; within a stream of lines the order stays.
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

/// A connection with a request that goes on for ever, and holds memory for requests: so much of a body, unless there is
/// no room any more.
fn slow_client(url: &str, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").expect("a URL")).unwrap();
    let head = format!("POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", sent + 1);
    stream.write_all(format!("{head}{}", " ".repeat(sent)).as_bytes()).unwrap();
    stream
}

/// Those who send to a router, until they are stopped or it is gone.
struct Senders {
    said: Arc<Mutex<Said>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    fn start(url: &str, said: &Arc<Mutex<Said>>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let address = url.strip_prefix("http://").expect("a URL").to_owned();
        let sender = |number: usize| {
            let (said, stop, address) = (said.clone(), stop.clone(), address.clone());
            std::thread::spawn(move || {
                let Ok(mut connection) = Connection::open(&address) else { return };
                while !stop.load(Ordering::Relaxed) {
                    let answer = match number {
                        SENDERS => send_repeat(&mut connection, &said),
                        _ => send_lines(&mut connection, &said, number),
                    };
                    match answer {
                        Some(200) => {}
                        Some(_) => {
                            // As clients do: wait a little, and don't count on the connection.
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
        Self { said: said.clone(), stop, threads }
    }

    /// Waits until so many more records are acknowledged.
    fn load(&self) {
        let before = self.said.lock().unwrap().acknowledged;
        eventually("a load is acknowledged", || self.said.lock().unwrap().acknowledged >= before + LOAD);
    }

    fn until_refused(&self, mut meanwhile: impl FnMut()) {
        let before = self.said.lock().unwrap().refused;
        eventually("senders are refused", || {
            meanwhile();
            self.said.lock().unwrap().refused > before + 10
        });
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Sends one to four lines; the status of the answer.
fn send_lines(connection: &mut Connection, said: &Mutex<Said>, sender: usize) -> Option<u16> {
    let first = {
        let mut said = said.lock().unwrap();
        let first = said.next[sender];
        said.next[sender] = first + 1 + first % 4;
        (first..said.next[sender]).for_each(|number| {
            said.lines.insert((sender, number), false);
        });
        first
    };
    let end = first + 1 + first % 4;
    let record = |number: u64| {
        // One line in three begins a record, the others go on.
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
    let mut said = said.lock().unwrap();
    if answer == Some(200) {
        (first..end).for_each(|number| {
            said.lines.insert((sender, number), true);
        });
        said.acknowledged += (end - first) as usize;
    } else {
        said.refused += 1;
    }
    answer
}

/// Sends the same once more.
fn send_repeat(connection: &mut Connection, said: &Mutex<Said>) -> Option<u16> {
    let answer = connection.post(r#"{"source":"repeats","message":"again"}"#);
    let mut said = said.lock().unwrap();
    match answer {
        Some(200) => said.repeats_acknowledged += 1,
        _ => said.repeats_unknown += 1,
    }
    answer
}

/// A connection that is kept.
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

    /// The status of the answer; none when there is none.
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

/// Numbers that look random and are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
