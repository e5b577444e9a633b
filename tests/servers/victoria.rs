//! A VictoriaMetrics server, which accepts InfluxDB's protocol and stores
//! numbers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Process, free_port, http};

/// A server on its own port.
pub struct Victoria {
    folder: PathBuf,
    port: u16,
    process: Process,
}

impl Victoria {
    /// Starts a server that stores its data in `folder`.
    pub fn start(folder: &Path) -> Victoria {
        let port = free_port();
        Victoria { folder: folder.into(), port, process: launch(folder, port) }
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
        self.process = launch(&self.folder, self.port);
    }

    /// All series, each with `metric` (labels), `values` and `timestamps` (milliseconds).
    pub fn held(&self) -> Vec<Value> {
        // Data of the last second is only in memory, and can't be found yet.
        let (status, _) = http(self.port, "GET", "/internal/force_flush", "");
        assert_eq!(status, 200);
        let (status, lines) = http(self.port, "GET", "/api/v1/export?match[]=%7B__name__!=%22%22%7D", "");
        assert_eq!(status, 200, "{lines}");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn launch(folder: &Path, port: u16) -> Process {
    let log = folder.join("victoria.log");
    let file = std::fs::File::create(&log).expect("a log");
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-storageDataPath={}", folder.join("victoria").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-retentionPeriod=100y", "-memory.allowedBytes=64MB"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file);
    let mut process = Process::start("victoria-metrics", "victoria-metrics", &mut command);
    process.wait_for_port(port, &log);
    process
}
