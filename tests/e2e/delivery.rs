//! Every sink with its real server, under load. Servers are killed or restarted twenty times, then the router is
//! killed. All acknowledged records must arrive in journal order, and exactly once where that is guaranteed.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::clients::{Sender, curl, sqlite};
use super::router::{Home, Router, eventually};
use super::servers::influx::Influx;
use super::servers::intake::{Intake, Kind};
use super::servers::nats::Nats;
use super::servers::postgres::Postgres;
use super::servers::vendors::API_KEY;

/// Faults per run: of servers, and then of the router.
const ROUNDS: u32 = 20;

/// Minimum number of acknowledged records per round before the fault.
const LOAD: usize = 40;

/// All servers.
struct Servers {
    postgres: Postgres,
    nats: Nats,
    influx: Influx,
    http: Intake,
    datadog: Intake,
    slack: Intake,
}

impl Servers {
    fn start(folder: &Path) -> Servers {
        let place = |name: &str| {
            let place = folder.join(name);
            std::fs::create_dir(&place).unwrap();
            place
        };
        Servers {
            postgres: Postgres::start(),
            nats: Nats::start(&place("nats")),
            influx: Influx::start(&place("influx")),
            http: Intake::start(Kind::Http),
            datadog: Intake::start(Kind::Datadog),
            slack: Intake::start(Kind::FastSlack),
        }
    }

    fn configuration(&self) -> String {
        format!(
            "[sink.file]\ntype = 'file'\npath = 'out.jsonl'\n[sink.sqlite]\ntype = 'sqlite'\nsearch = false\n\
             [sink.postgres]\ntype = 'postgres'\nurl = '{}'\n\
             [sink.nats]\ntype = 'nats'\nurl = '{}'\nstream = 'LOGS'\ncreate_stream = true\n\
             [sink.influx]\ntype = 'influxdb'\nurl = '{}'\ndatabase = 'logs'\ntags = ['id']\ncount = 'count'\n\
             [sink.http]\ntype = 'http'\nurl = '{}'\n\
             [sink.datadog]\ntype = 'datadog'\nurl = '{}'\napi_key = '{API_KEY}'\n\
             [sink.slack]\ntype = 'slack'\nurl = '{}'\nmin_level = 'INFO'\ninterval = '0s'\nbatch = 40\ngroups = 40\n\
             [sink.console]\ntype = 'console'\nformat = 'json'\n\
             [sink.metrics]\ntype = 'prometheus'\n[[sink.metrics.rule]]\nname = 'seen_total'\ntype = 'counter'\n",
            self.postgres.url(),
            self.nats.url(),
            self.influx.url(),
            self.http.url(),
            self.datadog.url(),
            self.slack.url(),
        )
    }

    /// Takes one of them down and up again, by a kill or a clean stop.
    fn strike(&mut self, round: u32) {
        let pause = || std::thread::sleep(Duration::from_millis(u64::from(round * 53 % 400)));
        match round % 6 {
            0 => {
                if round.is_multiple_of(2) {
                    self.postgres.kill();
                } else {
                    self.postgres.stop();
                }
                pause();
                self.postgres.run();
            }
            1 => {
                if round.is_multiple_of(2) {
                    self.nats.kill();
                } else {
                    self.nats.stop();
                }
                pause();
                self.nats.restart();
            }
            2 => {
                self.influx.kill();
                pause();
                self.influx.restart();
            }
            3 => {
                self.http.stop();
                pause();
                self.http.again();
            }
            4 => {
                self.datadog.stop();
                pause();
                self.datadog.again();
            }
            _ => {
                self.slack.stop();
                pause();
                self.slack.again();
            }
        }
    }

    /// The ids at each destination, in its order. InfluxDB has its own order.
    fn held(&self, home: &Home, console: &str) -> Vec<(&'static str, Vec<String>)> {
        let lines = |text: String| text.lines().map(String::from).collect::<Vec<_>>();
        let ids = |records: Vec<Value>| records.iter().filter_map(|r| r["id"].as_str().map(String::from)).collect();
        let json = |texts: Vec<String>| texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        let file = lines(std::fs::read_to_string(home.path("out.jsonl")).unwrap());
        vec![
            ("file", ids(json(file))),
            (
                "sqlite",
                lines(sqlite(
                    &home.path("weir-data/logs.db"),
                    "select json_extract(fields, '$.id') from logs order by id",
                )),
            ),
            ("postgres", lines(self.postgres.ask("SELECT extra_data->>'id' FROM weir_logs ORDER BY id"))),
            ("nats", ids(json(self.nats.held("LOGS")))),
            ("http", ids(self.http.records())),
            ("datadog", ids(self.datadog.records())),
            ("slack", self.slack.records().iter().flat_map(shown).collect()),
            // A line truncated by a kill is written again.
            ("console", ids(console.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())),
        ]
    }

    fn in_influx(&self) -> HashSet<String> {
        let found = self.influx.query("SELECT count(count) FROM /.*/ GROUP BY id");
        found.iter().filter_map(|series| series["tags"]["id"].as_str().map(String::from)).collect()
    }
}

/// The ids in a message: `record ID`, one per block, with letters for digits.
fn shown(message: &Value) -> Vec<String> {
    let blocks = message["blocks"].as_array().expect("blocks");
    let texts = blocks.iter().filter_map(|block| block["text"]["text"].as_str());
    texts
        .filter_map(|text| text.split("record ").nth(1))
        .map(|rest| {
            let spelled = rest.chars().take_while(|c| *c == '-' || c.is_ascii_lowercase());
            spelled.map(|c| if ('a'..='j').contains(&c) { char::from(c as u8 - b'a' + b'0') } else { c }).collect()
        })
        .collect()
}

fn sinks_have_everything(router: &Router) -> bool {
    let health = curl(router, "/health", &[], b"").json();
    health["sinks"].as_array().is_some_and(|sinks| {
        sinks.len() == 10 && sinks.iter().all(|sink| sink["lag_frames"] == 0 && sink["state"] == "ok")
    })
}

/// The value of the counter of all records.
fn counted(router: &Router) -> Option<usize> {
    let text = curl(router, "/metrics", &[], b"").body;
    text.lines().find_map(|line| line.strip_prefix("seen_total ")).map(|count| count.parse().expect("a count"))
}

fn lines_in(file: &Path) -> Option<usize> {
    Some(std::fs::read_to_string(file).unwrap().lines().count())
}

#[test]
fn acknowledged_records_reach_every_sink_in_order_and_once_where_guaranteed() {
    let home = Home::new();
    let mut servers = Servers::start(&home.path(""));
    home.configure(&servers.configuration());
    let mut acknowledged = HashSet::new();
    let mut router = home.start();
    let mut console = String::new();
    for round in 0..ROUNDS {
        let sender = Sender::start(&router.url, &format!("r{round}"), home.path("acknowledged"));
        let before = acknowledged.len();
        eventually("a round's load is acknowledged", || sender.acknowledged().len() > before + LOAD);
        std::thread::sleep(Duration::from_millis(u64::from(round * 37 % 200)));
        servers.strike(round);
        console += &router.kill();
        router = home.start();
        acknowledged.extend(sender.stop());
    }
    eventually("every sink has everything", || sinks_have_everything(&router));
    eventually("every record is counted once", || counted(&router) == lines_in(&home.path("out.jsonl")));
    router.signal("-INT");
    router.wait();
    assert!(router.stderr().contains("flushed and delivered"), "{}", router.stderr());
    console += &router.stdout();

    let held = servers.held(&home, &console);
    let (_, reference) = &held[0];
    for (place, ids) in &held {
        let mut times: HashMap<&String, u32> = HashMap::new();
        let mut first_seen = Vec::new();
        for id in ids {
            let count = times.entry(id).or_default();
            *count += 1;
            if *count == 1 {
                first_seen.push(id);
            }
        }
        let repeated = ids.len() - first_seen.len();
        eprintln!("{place}: {} acknowledged, {} held, {repeated} repeated", acknowledged.len(), first_seen.len());
        if *place == "console" && console.contains("records not shown") {
            // Nobody read it for a second, and it waits for nobody: this much is guaranteed and documented.
            continue;
        }
        let lost: Vec<_> = acknowledged.iter().filter(|id| !times.contains_key(id)).take(5).collect();
        assert!(lost.is_empty(), "{place} lost {lost:?}");
        if ["file", "sqlite", "postgres", "nats"].contains(place) {
            assert_eq!(repeated, 0, "{place} promises each record once");
        }
        assert!(first_seen.into_iter().eq(reference), "{place} has not the journal's order");
    }
    let in_influx = servers.in_influx();
    eprintln!("influxdb: {} held", in_influx.len());
    assert!(acknowledged.iter().all(|id| in_influx.contains(id)), "influxdb lost something");
}
