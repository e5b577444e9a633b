//! A router in its own folder, started by a test and ended with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_engine::{Engine, EngineOptions};

/// Timeout of everything that a test waits for. Only failing tests take this long: a filter of several megabytes is
/// compiled at the lowest priority, which takes a while on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The binary under test.
pub fn weir() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for name in
        ["WEIR_CONFIG", "WEIR_LOG", "NO_COLOR", "WEIR_SINKS", "LOG_BACKENDS", "WEIR_CA", "WEIR_CLIENT_CERTIFICATE"]
    {
        command.env_remove(name);
    }
    command.env("WEIR_CACHE", compiled());
    command
}

/// Compiled filters, kept between tests and runs: compiling took half of the tests' processor time. Tests about the
/// cache, or about what happens while a filter is compiled, don't use it; see [`Home::with_own_cache`].
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// An engine in this process, for one worker.
pub fn engine() -> Arc<Engine> {
    Engine::new(EngineOptions { cache_folder: Some(compiled()), workers: 1 }).unwrap()
}

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A bundled filter as built from source by `tests/run`, otherwise as bundled.
pub fn module(name: &str) -> PathBuf {
    match std::env::var_os("WEIR_FRESH_FILTERS") {
        Some(folder) => Path::new(&folder).join(format!("{name}.wasm")),
        None => repository().join(format!("filters/bundled/{name}.wasm")),
    }
}

/// The folder of a router; it outlives the router, which can be started again.
pub struct Home {
    folder: TempDir,
    has_own_cache: bool,
}

impl Home {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), has_own_cache: false }
    }

    /// A folder with a configuration in it.
    pub fn with(configuration: &str) -> Self {
        let home = Self::new();
        home.configure(configuration);
        home
    }

    /// Its routers keep compiled filters in the data folder, as they do for users.
    pub fn with_own_cache(self) -> Self {
        Self { has_own_cache: true, ..self }
    }

    /// Replaces the configuration atomically: writes a new file and renames it.
    pub fn configure(&self, configuration: &str) {
        let beside = self.path("weir.toml.new");
        std::fs::write(&beside, configuration).unwrap();
        std::fs::rename(beside, self.path("weir.toml")).unwrap();
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Copies a module into the filters folder under this name.
    pub fn put_filter(&self, name: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path("filters")).unwrap();
        let beside = self.path("filters/module.new");
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, self.path(&format!("filters/{name}.wasm"))).unwrap();
    }

    /// Starts a router here, with the configuration if there is one.
    pub fn start(&self) -> Router {
        self.start_with(&[])
    }

    /// Like [`Home::start`], with more arguments.
    pub fn start_with(&self, arguments: &[&str]) -> Router {
        let mut command = weir();
        command.current_dir(self.folder.path());
        if self.has_own_cache {
            command.env_remove("WEIR_CACHE");
        }
        command.args(["run", "--listen", "127.0.0.1:0"]);
        if self.path("weir.toml").exists() {
            command.args(["--config", "weir.toml"]);
        }
        command.args(arguments);
        Router::start(command)
    }

    /// The content of all files here. A running router may remove some meanwhile.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    match std::fs::read(&path) {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                        read => found.push((path, read.unwrap())),
                    }
                }
            }
        }
        found
    }
}

/// A running router. It is killed when dropped.
pub struct Router {
    process: Child,
    /// Its address, such as `http://127.0.0.1:40123`; with TLS, `https:`.
    pub url: String,
    said: Arc<Mutex<String>>,
    printed: Arc<Mutex<String>>,
    reading: Vec<JoinHandle<()>>,
}

impl Router {
    /// Starts a command that runs a router.
    pub fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (said, reading_said) = collect(process.stderr.take().expect("piped"));
        let (printed, reading_printed) = collect(process.stdout.take().expect("piped"));
        let reading = vec![reading_said, reading_printed];
        let mut router = Self { process, url: String::new(), said, printed, reading };
        let line = router.wait_for_line("listens on http");
        let at = line.find("http").expect("just found");
        router.url = line[at..].split_whitespace().next().expect("an address").to_string();
        router
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Everything on standard error so far.
    pub fn stderr(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Everything on standard output so far.
    pub fn stdout(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Waits for a line on standard error that contains `text`, and returns it.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.stderr();
            if let Some(line) = said.lines().find(|l| l.contains(text)) {
                return line.to_string();
            }
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "no line with {text:?} on standard error ({ended:?}):\n{said}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal, such as `-INT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it as Ctrl-C does, and waits for its end.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal("-INT");
        let status = self.wait();
        (status, self.stderr())
    }

    /// Waits for its end, and for all of its output.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                self.reading.drain(..).for_each(|reading| reading.join().unwrap());
                return status;
            }
            assert!(Instant::now() < until, "it does not stop:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it; returns its standard output.
    pub fn kill(mut self) -> String {
        self.process.kill().unwrap();
        self.wait();
        self.stdout()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // Why a test failed is often there. A second panic would end all tests.
        if std::thread::panicking()
            && let Ok(said) = self.said.lock()
        {
            eprintln!("the router at {} has said:\n{said}", self.url);
        }
        // Both fail if it has ended already, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until a condition is true. Most conditions start a process, so the longer it takes, the less often it asks.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::sleep((begun.elapsed() / 8).clamp(Duration::from_millis(20), Duration::from_millis(250)));
    }
}

fn collect(stream: impl std::io::Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let all = Arc::new(Mutex::new(String::new()));
    let into = all.clone();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let mut all = into.lock().unwrap();
            all.push_str(&line);
            all.push('\n');
        }
    });
    (all, reading)
}
