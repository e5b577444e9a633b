//! A process under measurement.
//!
//! **It is ended by its own process id and never outlives the bench**: dropping a [`Child`] kills
//! it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::arrived::{self, Where};

/// How long a contender may take to start: a first start compiles the filters.
const START: Duration = Duration::from_secs(60);

/// How long it may take from the last answer until the last record is in the sink.
const ARRIVE: Duration = Duration::from_secs(120);

/// A running contender.
pub struct Child {
    process: std::process::Child,
    folder: PathBuf,
    pub address: SocketAddr,
    /// The path that takes the records.
    pub path: String,
}

/// Processor time used so far, in clock ticks.
pub struct Usage {
    ticks: u64,
}

impl Usage {
    /// Seconds of processor time between the two.
    pub fn since(&self, before: &Self) -> f64 {
        // Linux counts in ticks of a hundredth of a second for every program (USER_HZ).
        (self.ticks - before.ticks) as f64 / 100.0
    }
}

impl Child {
    /// A router with this configuration, in an empty folder.
    pub fn weir(folder: &Path, configuration: &str) -> anyhow::Result<Self> {
        let file = folder.join("weir.toml");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["run", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(&file);
        Self::start(command, folder)
    }

    /// The floor, in an empty folder.
    pub fn floor(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench-floor", "--folder"]).arg(folder);
        Self::start(command, folder)
    }

    /// Another router. Its command is given the port in `$PORT` and the file that it must write
    /// JSON lines to in `$OUT`; it must take JSON arrays posted to `/`.
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
                bail!("`{command}` does not listen on {address}; it is told so in $PORT");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(child)
    }

    /// Starts one of ours, which says on standard error where it listens.
    fn start(mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let mut process =
            command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(process.stderr.take().context("no standard error")?).lines();
        let mut address = None;
        let mut before = String::new();
        for line in said.by_ref() {
            let line = line?;
            if let Some(at) = line.find("http://") {
                let text = line[at + 7..].split_whitespace().next().unwrap_or("");
                address = Some(text.trim_end_matches('/').parse()?);
                break;
            }
            before.push_str(&line);
            before.push('\n');
        }
        // Go on reading, or the child would stop at a full pipe.
        std::thread::spawn(move || said.for_each(drop));
        let Some(address) = address else {
            let _ = process.wait();
            bail!("the router did not start:\n{before}");
        };
        Ok(Self { process, folder: folder.to_path_buf(), address, path: "/ingest".into() })
    }

    /// Processor time used so far, all threads, user and system.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let stat = self.proc_file("stat")?;
        // Fields 14 and 15, counted after the name, which may hold spaces.
        let after = stat.rsplit_once(") ").context("unreadable stat")?.1;
        let fields: Vec<&str> = after.split(' ').collect();
        let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
        Ok(Usage { ticks })
    }

    /// The most memory it has held, in bytes.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Waits until `expected` records have arrived; returns how many did.
    pub fn wait_for(&self, place: Where, expected: u64) -> anyhow::Result<u64> {
        let until = Instant::now() + ARRIVE;
        let mut count = arrived::Counter::new(place, &self.folder);
        loop {
            let arrived = count.look(expected)?;
            if arrived >= expected || Instant::now() > until {
                return Ok(arrived);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to stop and waits.
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

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
