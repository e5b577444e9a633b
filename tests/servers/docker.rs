//! A Docker engine of its own, with an image that has only busybox.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{PATIENCE, Process};

/// The only image.
pub const IMAGE: &str = "bb:1";

/// Engines share the machine's control groups, so there is one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A running engine. Its containers and files are gone when it is dropped.
pub struct Engine {
    folder: TempDir,
    process: Option<Process>,
    _alone: MutexGuard<'static, ()>,
}

impl Engine {
    /// Starts an engine without networks.
    pub fn start() -> Engine {
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut engine = Engine { folder, process: None, _alone: alone };
        engine.run();
        engine.import();
        engine
    }

    /// Starts the engine again after [`Engine::stop`]; containers are as it left them.
    pub fn run(&mut self) {
        self.process = Some(self.launch());
        let until = Instant::now() + PATIENCE;
        while !self.command(&["version"]).output().expect("docker is installed").status.success() {
            let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "dockerd does not answer:\n{said}");
            // On a busy machine, it may give up before its own containerd has started.
            if self.process.as_mut().is_some_and(Process::has_ended) {
                self.process = Some(self.launch());
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn launch(&self) -> Process {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        let mut command = Command::new("dockerd");
        command
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["-H", &format!("unix://{}", path("socket"))])
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        Process::start("dockerd", "docker.io", &mut command)
    }

    /// Stops the engine, and its containers with it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// A command of `docker`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.socket().display())).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command of `docker`, and returns what it writes. On a busy machine, the engine gives up on some because its
    /// containerd has not answered in time, so a command that fails is tried twice more.
    pub fn docker(&self, arguments: &[&str]) -> String {
        self.attempt(arguments, || ())
    }

    /// Starts a container that runs a script, without waiting for its end.
    pub fn container(&self, name: &str, options: &[&str], script: &str) -> String {
        let run = ["run", "--detach", "--network=none", "--name", name];
        // What could not be started is there nevertheless, and has the name.
        let remove = || _ = self.command(&["rm", "--force", name]).output();
        self.attempt(&[&run, options, &[IMAGE, "sh", "-c", script]].concat(), remove)
    }

    fn attempt(&self, arguments: &[&str], clean: impl Fn()) -> String {
        let mut errors = String::new();
        for _ in 0..3 {
            let Output { status, stdout, stderr } = self.command(arguments).output().expect("docker is installed");
            if status.success() {
                return String::from_utf8_lossy(&stdout).trim().to_owned();
            }
            errors += &String::from_utf8_lossy(&stderr);
            eprintln!("docker {arguments:?}: {errors}");
            clean();
        }
        panic!("docker {arguments:?}: {errors}");
    }

    fn import(&self) {
        let root = self.folder.path().join("root");
        fs::create_dir_all(root.join("bin")).expect("a folder");
        fs::copy(busybox(), root.join("bin/busybox")).expect("busybox is copied");
        for name in ["sh", "cat", "echo", "head", "printf", "seq", "sleep", "test", "tr", "true", "usleep"] {
            symlink("busybox", root.join("bin").join(name)).expect("a link");
        }
        let archive = self.folder.path().join("root.tar");
        let mut tar = Command::new("tar");
        assert!(tar.arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status().expect("tar").success());
        self.docker(&["import", &archive.display().to_string(), IMAGE]);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.is_some() {
            let ids =
                self.command(&["ps", "--all", "--quiet"]).output().map(|output| output.stdout).unwrap_or_default();
            let ids = String::from_utf8_lossy(&ids).into_owned();
            let ids: Vec<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                _ = self.command(&[&["rm", "--force"][..], &ids].concat()).output();
            }
        }
        self.stop();
    }
}

fn busybox() -> &'static Path {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    places.into_iter().find(|path| path.exists()).expect("busybox; it is in the package `busybox-static`")
}
