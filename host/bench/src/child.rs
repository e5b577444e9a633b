//! A process being measured.
//!
//! **It is stopped by its process id and never outlives the benchmark**: dropping a [`Child`] kills it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::arrived::{self, Destination};

/// Time for a process to start. The first start compiles the filters.
const START: Duration = Duration::from_secs(60);

/// A running process.
pub struct Child {
    process: std::process::Child,
    folder: PathBuf,
    pub address: SocketAddr,
    /// The path to post records to.
    pub path: String,
}

/// CPU time used so far, in clock ticks.
pub struct Usage {
    ticks: u64,
}

impl Usage {
    /// Seconds of CPU time between two measurements.
    pub fn since(&self, before: &Self) -> f64 {
        // Linux reports ticks of 1/100 s to every program (USER_HZ).
        (self.ticks - before.ticks) as f64 / 100.0
    }
}

impl Child {
    /// Starts a router with this configuration in an empty folder.
    pub fn weir(folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        Self::weir_of(&std::env::current_exe()?, folder, configuration)
    }

    /// The same, of another binary.
    pub fn weir_of(binary: &Path, folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        Self::run(Command::new(binary), folder, configuration)
    }

    /// Starts a router that uses only these cores, such as `0,1`.
    pub fn weir_on(cores: &str, folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(std::env::current_exe()?);
        Self::run(command, folder, configuration)
    }

    fn run(mut command: Command, folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        let file = folder.join("weir.toml");
        std::fs::write(&file, configuration)?;
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(&file);
        Self::start(command, folder)
    }

    /// Creates a token in the data folder `data` for a router that is to be started in this folder.
    pub fn token(folder: &Path) -> anyhow::Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["token", "new", "bench", "--role", "ingest", "--data"]).arg(folder.join("data"));
        let printed = command.stdin(Stdio::null()).output()?;
        if !printed.status.success() {
            bail!("can't create a token: {}", String::from_utf8_lossy(&printed.stderr));
        }
        Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
    }

    /// Starts the floor in an empty folder.
    pub fn floor(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench-floor", "--folder"]).arg(folder);
        Self::start(command, folder)
    }

    /// Starts another router. Its command gets the port in `$PORT` and the file to write JSON lines to in `$OUT`, and
    /// must accept JSON arrays posted to `/`.
    pub fn peer(folder: &Path, command: &str) -> anyhow::Result<Self> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = free.local_addr()?;
        drop(free);
        let process = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .env("PORT", address.port().to_string())
            .env("OUT", folder.join("out.jsonl"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start `{command}`"))?;
        let child = Self { process, folder: folder.to_path_buf(), address, path: "/".into() };
        let until = Instant::now() + START;
        while std::net::TcpStream::connect(address).is_err() {
            if Instant::now() > until {
                bail!("`{command}` does not listen on {address}; it must use the port in $PORT");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(child)
    }

    /// Starts one of our own servers, which prints its address on standard error.
    fn start(mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let mut process =
            command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(process.stderr.take().context("no standard error")?).lines();
        let mut address = None;
        let mut before = String::new();
        for line in said.by_ref() {
            let line = line?;
            if let Some(at) = line.find("listens on http").and_then(|at| Some(at + line[at..].find("://")? + 3)) {
                let text = line[at..].split_whitespace().next().unwrap_or("");
                address = Some(text.trim_end_matches('/').parse()?);
                break;
            }
            before.push_str(&line);
            before.push('\n');
        }
        // Keep reading, or the child would block on a full pipe.
        std::thread::spawn(move || said.for_each(drop));
        let Some(address) = address else {
            let _ = process.wait();
            bail!("the router did not start:\n{before}");
        };
        Ok(Self { process, folder: folder.to_path_buf(), address, path: "/ingest".into() })
    }

    /// CPU time used so far by all threads, user and system.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        usage(&self.proc_file("stat")?)
    }

    /// CPU time used so far by the threads of this name.
    pub fn usage_of(&self, thread: &str) -> anyhow::Result<Usage> {
        let mut ticks = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let task = task?.path();
            // A thread may end meanwhile.
            if std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim_end() == thread)
                && let Ok(stat) = std::fs::read_to_string(task.join("stat"))
            {
                ticks += usage(&stat)?.ticks;
            }
        }
        Ok(Usage { ticks })
    }

    /// Peak memory in bytes.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Waits until `expected` records have arrived. Returns how many did.
    pub fn wait_for(&self, place: Destination, expected: u64) -> anyhow::Result<u64> {
        arrived::wait(place, &self.folder, expected)
    }

    /// Stops the process gracefully and waits for it.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status()?;
        if !asked.success() {
            bail!("can't stop process {}", self.process.id());
        }
        self.process.wait()?;
        Ok(())
    }

    fn status_bytes(&self, field: &str) -> anyhow::Result<u64> {
        let status = self.proc_file("status")?;
        let line = status.lines().find_map(|l| l.strip_prefix(field)).context("no such field")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    fn proc_file(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{name}", self.process.id());
        std::fs::read_to_string(&path).with_context(|| format!("can't read {path}"))
    }
}

/// CPU time used so far by the process or thread of a folder in `/proc`.
pub fn usage_in(folder: &Path) -> anyhow::Result<Usage> {
    usage(&std::fs::read_to_string(folder.join("stat"))?)
}

/// CPU time from the file `stat` of a process or a thread.
fn usage(stat: &str) -> anyhow::Result<Usage> {
    // Fields 14 and 15, counted after the name, which may contain spaces.
    let after = stat.rsplit_once(") ").context("unreadable stat")?.1;
    let fields: Vec<&str> = after.split(' ').collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Usage { ticks })
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail if it has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
