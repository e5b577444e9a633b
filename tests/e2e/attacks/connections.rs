//! Slow and idle connections.

use std::process::{Command, Stdio};

use super::{Cost, Target};
use crate::clients::{python, run};
use crate::live::Watcher;

/// Opens connections that send nothing, prints how many are open in the end, and waits.
const IDLE: &str = "
import resource, socket, sys
host, port = sys.argv[1].split(':')
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
connections = [socket.create_connection((host, int(port))) for _ in range(int(sys.argv[2]))]
print(len(connections), flush=True)
sys.stdin.read()
";

#[test]
fn ten_thousand_idle_connections_keep_nobody_else_out() {
    let target = Target::with("10,000 idle connections", "[limits]\nconnections = 256\n");
    let mut idle = Command::new(python().get_program());
    let idle = Watcher::start(idle.args(["-c", IDLE, target.address(), "10000"]).stdin(Stdio::piped()));
    assert_eq!(idle.line(), "10000");
    target.others_are_served();
    drop(idle);
    target.ends("all but 256 are refused", Cost { mib: 100, descriptors: 400 });
}

/// Runs slowhttptest with 1,000 connections for some seconds.
fn slow(name: &'static str, arguments: &[&str]) {
    let target = Target::new(name);
    let url = format!("{}/ingest", target.router.url);
    let mut command = Command::new("slowhttptest");
    command.args(["-c", "1000", "-r", "1000", "-i", "1", "-l", "5", "-p", "2", "-u", &url]).args(arguments);
    let attacking = std::thread::spawn(move || run(&mut command).stdout);
    while !attacking.is_finished() {
        target.others_are_served();
    }
    let said = String::from_utf8_lossy(&attacking.join().unwrap()).into_owned();
    assert!(said.contains("SLOW"), "{said}");
    target.ends("others are served", Cost { mib: 100, descriptors: 1200 });
}

#[test]
fn slow_heads_keep_nobody_else_out() {
    slow("slow heads (`slowhttptest -H`)", &["-H"]);
}

#[test]
fn slow_bodies_keep_nobody_else_out() {
    slow("slow bodies (`slowhttptest -B`)", &["-B", "-s", "100000", "-f", "application/json"]);
}

#[test]
fn slow_readers_keep_nobody_else_out() {
    slow("slow readers (`slowhttptest -X`)", &["-X", "-w", "1", "-y", "10", "-n", "1", "-z", "1", "-k", "3"]);
}
