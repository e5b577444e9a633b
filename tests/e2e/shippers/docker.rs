//! Docker's log driver `fluentd`, from a Docker engine of the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::clients::run;
use super::super::router::{Home, eventually};
use super::{all, arrived, home};

/// An engine with its own folder. It needs no network, and its containers have none.
struct Docker {
    engine: Child,
    folder: PathBuf,
}

impl Docker {
    fn start(home: &Home) -> Docker {
        let folder = home.path("docker");
        std::fs::create_dir_all(folder.join("image/bin")).unwrap();
        std::fs::copy("/bin/busybox", folder.join("image/bin/busybox")).unwrap();
        for name in ["sh", "usleep"] {
            std::os::unix::fs::symlink("busybox", folder.join("image/bin").join(name)).unwrap();
        }
        let mut docker = Docker { engine: Docker::launched(&folder), folder };
        eventually("the engine answers", || {
            // On a busy machine, it may give up before its own containerd has started.
            if docker.engine.try_wait().unwrap().is_some() {
                docker.engine = Docker::launched(&docker.folder);
            }
            let mut version = docker.command();
            version.args(["version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
        });
        let image = docker.folder.join("image.tar");
        run(Command::new("tar").arg("-C").arg(docker.folder.join("image")).arg("-cf").arg(&image).arg("."));
        run(docker.command().arg("import").arg(&image).arg("busybox:test"));
        docker
    }

    fn launched(folder: &Path) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let place = |name: &str| folder.join(name).display().to_string();
        as_root("dockerd")
            .args(["--data-root", &place("data"), "--exec-root", &place("exec"), "--pidfile", &place("pid")])
            .args(["-H", &format!("unix://{}", place("socket")), "--storage-driver=vfs"])
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed; `tests/run` installs it")
    }

    fn command(&self) -> Command {
        let mut command = as_root("docker");
        command.arg("-H").arg(format!("unix://{}/socket", self.folder.display()));
        command
    }

    /// Runs a program in a container whose log goes to a driver.
    fn run(&self, driver: &str, options: &[(&str, &str)], program: &str) {
        let mut command = self.command();
        command.args(["run", "--rm", "--network=none", "--log-driver", driver]);
        for (key, value) in options {
            command.arg("--log-opt").arg(format!("{key}={value}"));
        }
        run(command.args(["busybox:test", "/bin/sh", "-c", program]));
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        // It stops its own containerd. Without a pid, it has ended already.
        if let Ok(pid) = pid.trim().parse::<u32>() {
            let _ = as_root("kill").arg(pid.to_string()).status();
        }
        let _ = self.engine.wait();
    }
}

/// A command that needs to be root.
fn as_root(program: &str) -> Command {
    let id = String::from_utf8(run(Command::new("id").arg("-u")).stdout).unwrap();
    if id.trim() == "0" {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

#[test]
fn docker_repeats_what_a_killed_router_did_not_acknowledge_and_it_arrives_once() {
    const COUNT: usize = 400;
    let engine = Home::new();
    let docker = Docker::start(&engine);
    let home = home("[[listen]]\nprotocol = \"forward\"\naddress = \"unix:forward\"\n");
    let router = home.start();
    let address = format!("unix://{}", home.path("forward").display());
    let program = format!("i=0; while [ $i -lt {COUNT} ]; do echo line $i; i=$((i+1)); usleep 5000; done");
    let options = [("fluentd-address", &*address), ("fluentd-request-ack", "true"), ("fluentd-retry-wait", "100ms")];
    let records = std::thread::scope(|scope| {
        let ran = scope.spawn(|| docker.run("fluentd", &options, &program));
        arrived(&home, 50);
        router.kill();
        let router = home.start();
        ran.join().unwrap();
        arrived(&home, COUNT);
        all(&home, router)
    });
    let messages: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(messages, (0..COUNT).map(|n| format!("line {n}")).collect::<Vec<_>>());
}
