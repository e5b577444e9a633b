//! A Redis server that keeps its streams over restarts, and a client that shares no code with Weir.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{PATIENCE, Process, free_port};

const PROGRAM: &str = "redis-server";

/// A server on its own port.
pub struct Redis {
    folder: PathBuf,
    port: u16,
    arguments: Vec<String>,
    process: Process,
}

impl Redis {
    /// Starts a server that stores its data in `folder`.
    pub fn start(folder: &Path) -> Redis {
        Redis::start_with(folder, &[])
    }

    /// The same, with more arguments, such as `--requirepass`.
    pub fn start_with(folder: &Path, arguments: &[&str]) -> Redis {
        let port = free_port();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let process = launch(folder, port, &arguments);
        Redis { folder: folder.into(), port, arguments, process }
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same port and data.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder, self.port, &self.arguments);
    }

    /// Runs a command on a connection of its own.
    pub fn ask(&self, command: &[&str]) -> Value {
        self.client().ask(command)
    }

    /// Adds an entry. Returns whether the server has it; it may be killed meanwhile.
    pub fn add(&self, stream: &str, field: &str, value: &str) -> bool {
        let added = Client::open(self.port).and_then(|mut client| client.try_ask(&["XADD", stream, "*", field, value]));
        added.is_ok_and(|id| id.as_str().is_some_and(|id| id.contains('-')))
    }

    /// A connection for many commands.
    pub fn client(&self) -> Client {
        Client::open(self.port).expect("connects")
    }
}

fn launch(folder: &Path, port: u16, arguments: &[String]) -> Process {
    let log = folder.join("redis.log");
    let file = std::fs::File::options().create(true).append(true).open(&log).expect("a log");
    let mut command = Command::new(PROGRAM);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--appendonly", "yes", "--dir"]).arg(folder);
    command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
    let mut process = Process::start(PROGRAM, "redis-server", &mut command);
    process.wait_for_port(port, &log);
    process
}

/// A connection.
pub struct Client {
    out: TcpStream,
    replies: BufReader<TcpStream>,
}

impl Client {
    fn open(port: u16) -> io::Result<Client> {
        let out = TcpStream::connect(("127.0.0.1", port))?;
        out.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { replies: BufReader::new(out.try_clone()?), out })
    }

    /// Runs a command.
    pub fn ask(&mut self, command: &[&str]) -> Value {
        self.try_ask(command).expect("a reply")
    }

    fn try_ask(&mut self, command: &[&str]) -> io::Result<Value> {
        self.send(command)?;
        self.reply()
    }

    /// Runs many commands.
    pub fn ask_all(&mut self, commands: &[Vec<&str>]) {
        commands.iter().for_each(|command| self.send(command).expect("sends"));
        for command in commands {
            let reply = self.reply().expect("a reply");
            assert!(!reply.to_string().contains("ERR"), "{command:?}: {reply}");
        }
    }

    fn send(&mut self, command: &[&str]) -> io::Result<()> {
        let mut text = format!("*{}\r\n", command.len());
        command.iter().for_each(|part| text.push_str(&format!("${}\r\n{part}\r\n", part.len())));
        self.out.write_all(text.as_bytes())
    }

    fn reply(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = line[1..].trim_end();
        let length = rest.parse::<usize>();
        Ok(match line.as_bytes()[0] {
            b':' => rest.parse::<i64>().expect("a number").into(),
            b'*' => (0..length.unwrap_or(0)).map(|_| self.reply()).collect::<io::Result<Vec<Value>>>()?.into(),
            b'$' if length.is_err() => Value::Null,
            b'$' => {
                let mut bytes = vec![0; length.expect("just looked") + 2];
                self.replies.read_exact(&mut bytes)?;
                String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned().into()
            }
            _ => rest.into(),
        })
    }
}
