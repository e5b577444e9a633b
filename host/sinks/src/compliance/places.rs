//! Where each kind of sink delivers to in the tests, and how to read it back: a folder, or a server that the test
//! starts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::registry::BuildContext;
use crate::servers::intake::{self, Intake};
use crate::servers::vendors;
use crate::testing::numbers;

/// The destination of one sink.
pub trait Place {
    /// The sink's options.
    fn options(&self) -> Value;

    /// The environment of the sink.
    fn context(&self) -> BuildContext;

    /// The numbers of all records held, in the destination's order.
    fn held(&self) -> Vec<u64>;
}

/// A fresh destination for a sink of that kind.
pub fn of(kind: &str, folder: &Path) -> Box<dyn Place> {
    let folder = folder.to_path_buf();
    match kind {
        "console" => Box::new(Terminal { folder, shown: Arc::default() }),
        "file" => Box::new(Files { folder }),
        "sqlite" => Box::new(Database { folder }),
        "postgres" => Box::new(crate::postgres::tests::Server::new(&folder)),
        "http" => Box::new(Posts::to(intake::Kind::Http, folder)),
        "datadog" => Box::new(Posts::to(intake::Kind::Datadog, folder)),
        "slack" => Box::new(Posts::to(intake::Kind::FastSlack, folder)),
        "influxdb" => Box::new(crate::influxdb::tests::Database::start(&folder)),
        "prometheus" => Box::new(crate::prometheus::tests::Metrics::start(&folder)),
        "nats" => Box::new(crate::nats::tests::Server::start(&folder)),
        other => panic!("no place for a sink of kind `{other}`: add one here"),
    }
}

/// A `BuildContext` in a folder.
pub fn context_in(folder: &Path) -> BuildContext {
    BuildContext {
        data: folder.join("data"),
        base: folder.to_path_buf(),
        journal_id: "test".into(),
        ..BuildContext::default()
    }
}

struct Terminal {
    folder: PathBuf,
    shown: Arc<Mutex<Vec<u8>>>,
}

struct Shown(Arc<Mutex<Vec<u8>>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Place for Terminal {
    fn options(&self) -> Value {
        json!({})
    }

    fn context(&self) -> BuildContext {
        let shown = self.shown.clone();
        let open = move || -> Box<dyn Write + Send> { Box::new(Shown(shown.clone())) };
        BuildContext { stdout: Some(Arc::new(open)), ..context_in(&self.folder) }
    }

    fn held(&self) -> Vec<u64> {
        numbers(&String::from_utf8_lossy(&self.shown.lock().expect("not poisoned")))
    }
}

struct Files {
    folder: PathBuf,
}

impl Place for Files {
    fn options(&self) -> Value {
        json!({ "path": "out.log" })
    }

    fn context(&self) -> BuildContext {
        context_in(&self.folder)
    }

    fn held(&self) -> Vec<u64> {
        numbers(&std::fs::read_to_string(self.folder.join("out.log")).unwrap_or_default())
    }
}

struct Database {
    folder: PathBuf,
}

impl Place for Database {
    fn options(&self) -> Value {
        json!({})
    }

    fn context(&self) -> BuildContext {
        context_in(&self.folder)
    }

    fn held(&self) -> Vec<u64> {
        numbers(&sqlite3(&self.folder.join("data/logs.db"), "SELECT message FROM logs ORDER BY id"))
    }
}

/// A server that receives posts.
struct Posts {
    folder: PathBuf,
    kind: intake::Kind,
    intake: Intake,
}

impl Posts {
    fn to(kind: intake::Kind, folder: PathBuf) -> Posts {
        Posts { folder, kind, intake: Intake::start(kind) }
    }
}

impl Place for Posts {
    fn options(&self) -> Value {
        let url = self.intake.url();
        match self.kind {
            intake::Kind::Http | intake::Kind::SmallHttp => json!({ "url": url }),
            intake::Kind::Datadog => json!({ "url": url, "api_key": vendors::API_KEY }),
            // So that every record is shown instead of only counted.
            intake::Kind::Slack | intake::Kind::FastSlack => {
                json!({ "url": url, "interval": "0s", "batch": 40, "groups": 40 })
            }
        }
    }

    fn context(&self) -> BuildContext {
        context_in(&self.folder)
    }

    fn held(&self) -> Vec<u64> {
        assert_eq!(self.intake.refused(), []);
        let texts = |value: &Value| match value["blocks"].as_array() {
            Some(blocks) => blocks.iter().map(|block| block["text"]["text"].to_string()).collect(),
            None => value["message"].to_string(),
        };
        numbers(&self.intake.records().iter().map(texts).collect::<Vec<String>>().join(" "))
    }
}

/// What another process sees in the database.
pub fn sqlite3(path: &Path, sql: &str) -> String {
    let run = Command::new("sqlite3")
        .arg("-cmd")
        .arg(".timeout 5000")
        .arg(path)
        .arg(sql)
        .output()
        .expect("sqlite3 is installed");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("text")
}
