//! A separate PostgreSQL server for a test: `fsync` on, the socket in the server's folder, a password over TCP.
//!
//! PostgreSQL refuses to run as root, so root runs it as the user that Debian's package creates.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{PATIENCE, Process, free_port};

/// The password of the user `postgres` over TCP.
pub const PASSWORD: &str = "secret-of-the-test";

/// A server and its folder, which is removed with it.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    /// Additional settings, as `name=value`.
    settings: Vec<String>,
    /// Size in bytes of the small disk at `small/`, for tablespaces; `None`: no such disk.
    small_disk: Option<u64>,
    process: Option<Child>,
}

impl Postgres {
    /// Starts an empty server.
    pub fn start() -> Postgres {
        Postgres::start_with(&[], None)
    }

    /// The same with settings, and with a small disk for tablespaces.
    pub fn start_with(settings: &[&str], small_disk: Option<u64>) -> Postgres {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("weir-postgres-{}-{port}", std::process::id()));
        fs::create_dir_all(folder.join("small")).expect("a folder for the server");
        let password = folder.join("password");
        fs::write(&password, PASSWORD).expect("written");
        if let Some((user, group)) = other_user() {
            for path in [&folder, &folder.join("small"), &password] {
                chown(path, Some(user), Some(group)).expect("root gives files away");
            }
        }
        let mut initdb = as_owner(&program("initdb"));
        initdb.args(["--no-sync", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(folder.join("data"));
        let made = initdb.current_dir(&folder).stdin(Stdio::null()).output().expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Postgres { folder, port, settings, small_disk, process: None };
        server.run();
        server
    }

    /// Starts it again on the same port and data.
    pub fn run(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // The remains of a killed server may use its memory or port for a moment.
        while !self.try_run(deadline) {
            assert!(Instant::now() < deadline, "postgres never came up: {}", self.log());
        }
    }

    fn try_run(&mut self, deadline: Instant) -> bool {
        let log = File::options().append(true).create(true).open(self.folder.join("log")).expect("a log");
        let mut command = as_owner(&program("postgres"));
        if let Some(bytes) = self.small_disk {
            let owner = other_user().map_or(String::new(), |(user, group)| format!(",uid={user},gid={group}"));
            let mount = format!("mount -t tmpfs -o size={bytes}{owner} tmpfs small && exec \"$0\" \"$@\"");
            let inner = command;
            command = Command::new("unshare");
            // Without root, this is root of a user namespace, where postgres refuses to run: so use another one inside.
            match other_user() {
                Some(_) => command.args(["--mount", "sh", "-c", &mount]),
                None => command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]),
            };
            if other_user().is_none() {
                command.args(["unshare", "--user", "--map-user=1000"]);
            }
            command.arg(inner.get_program()).args(inner.get_args());
        }
        command.arg("-D").arg(self.folder.join("data")).arg("-p").arg(self.port.to_string());
        command.arg("-k").arg(&self.folder).args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=on"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = self.process.insert(command.spawn().expect("postgres; install `postgresql`"));
        while Instant::now() < deadline {
            if matches!(process.try_wait(), Ok(Some(_))) {
                std::thread::sleep(Duration::from_millis(50));
                return false;
            }
            if psql(&self.folder, self.port, "postgres", "SELECT 1").is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server: its socket, `small/`, `data/`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The connection string for TCP.
    pub fn url(&self) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The output of `psql` for some SQL: rows as lines, columns separated by `|`.
    pub fn ask(&self, sql: &str) -> String {
        psql(&self.folder, self.port, "postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs `psql` in the background, for example to hold a lock.
    pub fn session(&self, sql: &str) -> Process {
        let mut command = psql_command(&self.folder, self.port, "postgres", sql);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process::start("psql", "postgresql-client", &mut command)
    }

    /// The server's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Stops it as an operator does: sessions are ended, everything is written.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, signal: &str) {
        let Some(mut process) = self.process.take() else { return };
        // It is a child of this process that was not waited for, so the id is still its own.
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(process.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "can't send SIG{signal} to postgres");
        process.wait().expect("a child");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Immediate, but with all its processes: a killed server leaves some that write for another moment.
        self.end("QUIT");
        // An error leaves a temporary folder behind, which is no failure of the test.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The user that runs the server if this process is root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").expect("Linux").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("readable");
    let line =
        users.lines().find(|line| line.starts_with("postgres:")).expect("a user `postgres`; install `postgresql`");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().expect("a user id"), fields[3].parse().expect("a group id")))
}

fn as_owner(program: &Path) -> Command {
    let Some((user, group)) = other_user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups").arg(program);
    command
}

/// A program of the newest server from Debian's packages, or from PATH.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists());
    found.max().unwrap_or_else(|| name.into())
}

fn psql_command(folder: &Path, port: u16, database: &str, sql: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql]);
    command.arg("-h").arg(folder).arg("-p").arg(port.to_string());
    command
}

fn psql(folder: &Path, port: u16, database: &str, sql: &str) -> Result<String, String> {
    let run = psql_command(folder, port, database, sql).output().expect("psql; install `postgresql-client`");
    match run.status.success() {
        true => Ok(String::from_utf8(run.stdout).expect("text").trim_end().to_string()),
        false => Err(String::from_utf8_lossy(&run.stderr).into_owned()),
    }
}
