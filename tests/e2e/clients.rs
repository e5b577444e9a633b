//! Real clients: curl, the sqlite3 shell, Python's requests. A missing one is a failure; `tests/run` installs them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::router::{Router, repository};

/// An answer as received by curl.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Runs curl on a path of the router, with the body on standard input.
pub fn curl(router: &Router, path: &str, arguments: &[&str], body: &[u8]) -> Answer {
    curl_at(&format!("{}{path}", router.url), arguments, body)
}

/// Runs curl on a URL.
pub fn curl_at(url: &str, arguments: &[&str], body: &[u8]) -> Answer {
    let mut child = Command::new("curl")
        .args(["-sS", "-i", "--max-time", "60"])
        .args(arguments)
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl is installed");
    // curl may get an answer before it has read its input; for a decompression bomb it comes early.
    let _ = child.stdin.take().expect("piped").write_all(body);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `100 Continue` has its own head.
    let text = match text.starts_with("HTTP/1.1 100") {
        true => text.split_once("\r\n\r\n").unwrap().1.to_string(),
        false => text,
    };
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        panic!("curl: {}", String::from_utf8_lossy(&output.stderr));
    };
    Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head: head.to_string(), body: body.to_string() }
}

/// Posts JSON records.
pub fn post(router: &Router, body: &str) -> Answer {
    curl(router, "/ingest", &["-H", "Content-Type: application/json", "--data-binary", "@-"], body.as_bytes())
}

/// The output of the sqlite3 shell for a query.
pub fn sqlite(database: &Path, query: &str) -> String {
    let output =
        run(Command::new("sqlite3").arg("-readonly").args(["-cmd", ".timeout 10000"]).arg(database).arg(query));
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; `tests/run` installs what is needed"));
    assert!(
        output.status.success(),
        "{command:?}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Python with the client libraries that `tests/run` installs.
pub fn python() -> Command {
    let python = std::env::var_os("WEIR_TEST_PYTHON").map_or("python3".into(), PathBuf::from);
    Command::new(python)
}

/// A sender of numbered records that runs during a test: Python's requests in several threads, which write each
/// acknowledged number to a file.
pub struct Sender {
    process: Child,
    acknowledged: PathBuf,
}

impl Sender {
    /// Starts sending; numbers start with `prefix`.
    pub fn start(url: &str, prefix: &str, acknowledged: PathBuf) -> Self {
        let process = python()
            .arg(repository().join("tests/clients/send.py"))
            .args([url, prefix])
            .arg(&acknowledged)
            .stdin(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        Self { process, acknowledged }
    }

    /// The ids acknowledged so far.
    pub fn acknowledged(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.acknowledged).unwrap_or_default();
        // The last line may be incomplete.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(String::from).collect()
    }

    /// Stops it after the pending answers, and returns the acknowledged ids.
    pub fn stop(mut self) -> Vec<String> {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success(), "the sender failed");
        self.acknowledged()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
