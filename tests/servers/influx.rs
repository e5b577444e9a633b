//! An InfluxDB 1.x server with a database `logs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Process, free_port, http, percent_encoded};

/// A server on its own port.
pub struct Influx {
    folder: PathBuf,
    port: u16,
    http: String,
    process: Process,
}

impl Influx {
    /// Starts a server that stores its data in `folder`, and creates the database.
    pub fn start(folder: &Path) -> Influx {
        let influx = Influx::start_with(folder, "");
        influx.query("CREATE DATABASE logs");
        influx
    }

    /// Starts a server on the data in `folder`, with additional HTTP configuration: `auth-enabled = true`.
    pub fn start_with(folder: &Path, http: &str) -> Influx {
        let port = free_port();
        Influx { folder: folder.into(), port, http: http.into(), process: launch(folder, port, http) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it cleanly.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same port and data.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder, self.port, &self.http);
    }

    /// The result of a query: the series, each with `name`, `tags`, `columns` and `values`.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let body = format!("epoch=ns&db=logs&q={}", percent_encoded(query));
        let (status, answer) = http(self.port, "POST", "/query", &body);
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(status == 200 && answer["results"][0]["error"].is_null(), "{query}: {answer}");
        answer["results"][0]["series"].as_array().cloned().unwrap_or_default()
    }

    /// The values of one field in all points of all measurements, ordered by time within each.
    pub fn held(&self, field: &str) -> Vec<Value> {
        let series = self.query(&format!("SELECT \"{field}\" FROM /.*/"));
        let rows = series.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default());
        rows.map(|row| row[1].clone()).filter(|value| !value.is_null()).collect()
    }
}

/// Without limits on series: tests give every record its own tag, more than any real server would accept.
fn launch(folder: &Path, port: u16, http: &str) -> Process {
    let path = folder.join("influxdb.conf");
    let data = folder.join("influxdb");
    let [meta, tsm, wal] = ["meta", "data", "wal"].map(|name| data.join(name).display().to_string());
    let text = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{}\"\n\
         [meta]\ndir = \"{meta}\"\nlogging-enabled = false\n\
         [data]\ndir = \"{tsm}\"\nwal-dir = \"{wal}\"\nquery-log-enabled = false\n\
         max-series-per-database = 0\nmax-values-per-tag = 0\n\
         [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\nmax-row-limit = 0\n{http}\n\
         [monitor]\nstore-enabled = false\n",
        free_port()
    );
    std::fs::write(&path, text).expect("a configuration");
    let log = folder.join("influxdb.log");
    let file = std::fs::File::create(&log).expect("a log");
    let mut command = Command::new("influxd");
    command.arg("-config").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let mut process = Process::start("influxd", "influxdb", &mut command);
    process.wait_for_port(port, &log);
    process
}
