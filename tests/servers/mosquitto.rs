//! A Mosquitto server that keeps sessions over restarts, and a client that shares no code with Weir.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{PATIENCE, Process, free_port};

const PROGRAM: &str = "mosquitto";

/// A server on its own port.
pub struct Mosquitto {
    folder: PathBuf,
    port: u16,
    configuration: String,
    process: Process,
}

impl Mosquitto {
    /// Starts a server that stores its sessions in `folder`.
    pub fn start(folder: &Path) -> Mosquitto {
        Mosquitto::start_with(folder, "allow_anonymous true")
    }

    /// The same with this configuration of its listener, and of others.
    pub fn start_with(folder: &Path, configuration: &str) -> Mosquitto {
        let port = free_port();
        let process = launch(folder, port, configuration);
        Mosquitto { folder: folder.into(), port, configuration: configuration.into(), process }
    }

    /// `mqtt://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Stops it cleanly, and starts it again on the same port and sessions.
    pub fn restart(&mut self) {
        self.process.stop();
        self.launch();
    }

    /// Kills it with `kill -9`, and starts it again. Mosquitto acknowledges messages before it writes them, so it is told
    /// to write them first: what is published meanwhile would be lost.
    pub fn kill_and_restart(&mut self) {
        let file = self.folder.join("mosquitto.db");
        let version = || file.metadata().map(|metadata| metadata.ino()).ok();
        let before = version();
        let asked = Command::new("kill").arg("-USR1").arg(self.process.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "{PROGRAM} is not there");
        let deadline = Instant::now() + PATIENCE;
        while version().is_none() || version() == before {
            assert!(Instant::now() < deadline, "{PROGRAM} never wrote its sessions");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.process.kill();
        self.launch();
    }

    fn launch(&mut self) {
        self.process = launch(&self.folder, self.port, &self.configuration);
    }

    /// A connection.
    pub fn client(&self) -> Client {
        Client::open(self.port).expect("connects")
    }
}

fn launch(folder: &Path, port: u16, configuration: &str) -> Process {
    let path = folder.join("mosquitto.conf");
    // Otherwise it becomes the user that Debian's package creates, who has no rights in the folder.
    let user = if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) { "user root\n" } else { "" };
    let text = format!(
        "{user}persistence true\npersistence_location {}/\nmax_queued_messages 0\nlistener {port} 127.0.0.1\n{configuration}\n",
        folder.display()
    );
    std::fs::write(&path, text).expect("a configuration");
    let log = folder.join("mosquitto.log");
    let file = std::fs::File::options().create(true).append(true).open(&log).expect("a log");
    let mut command = Command::new(PROGRAM);
    command.arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let mut process = Process::start(PROGRAM, "mosquitto", &mut command);
    process.wait_for_port(port, &log);
    process
}

/// A connection with MQTT 3.1.1.
pub struct Client(TcpStream);

impl Client {
    fn open(port: u16) -> io::Result<Client> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // A clean session, without keep-alive and a client id.
        stream.write_all(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, [0x20, 2, 0, 0]);
        Ok(Client(stream))
    }

    /// Publishes with QoS 1, and waits until the server has acknowledged it.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.send(0x32, topic, payload);
    }

    /// The same, and the server keeps it for those who subscribe later.
    pub fn publish_retained(&mut self, topic: &str, payload: &[u8]) {
        self.send(0x33, topic, payload);
    }

    fn send(&mut self, first: u8, topic: &str, payload: &[u8]) {
        let mut packet = vec![first];
        let mut length = 4 + topic.len() + payload.len();
        while length >= 128 {
            packet.push((length % 128) as u8 | 128);
            length /= 128;
        }
        packet.push(length as u8);
        packet.extend((topic.len() as u16).to_be_bytes());
        packet.extend(topic.as_bytes());
        packet.extend([0, 1]);
        packet.extend(payload);
        self.0.write_all(&packet).expect("sends");
        let mut answer = [0; 4];
        self.0.read_exact(&mut answer).expect("an acknowledgement");
        assert_eq!(answer, [0x40, 2, 0, 1]);
    }
}
