//! A client that writes raw HTTP/2 frames and discards or ignores the answers.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::timeout,
};

use crate::support::{PATIENCE, Server};

/// Frame types.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;

/// Frame flags.
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The head of a request as HPACK, with a header of `padding` bytes.
pub fn head(method: &str, path: &str, padding: usize) -> Vec<u8> {
    let mut block = vec![if method == "POST" { 0x83 } else { 0x82 }, 0x86];
    block.push(0x04);
    text(path, &mut block);
    block.push(0x01);
    text("localhost", &mut block);
    if padding > 0 {
        block.push(0);
        text("x-padding", &mut block);
        text(&"x".repeat(padding), &mut block);
    }
    block
}

/// An uncompressed HPACK string: its length with a 7-bit prefix, then its bytes.
fn text(text: &str, block: &mut Vec<u8>) {
    let mut length = text.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push((length % 128 + 128) as u8);
            length /= 128;
        }
        block.push(length as u8);
    }
    block.extend_from_slice(text.as_bytes());
}

/// A connection that discards all answers except the acknowledgement of a PING.
pub struct Connection {
    writer: OwnedWriteHalf,
    reader: JoinHandle<OwnedReadHalf>,
}

impl Connection {
    /// Connects with these settings.
    pub async fn open(server: &Server, settings: &[u8]) -> Connection {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (reader, mut writer) = stream.into_split();
        writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await.unwrap();
        Connection { writer, reader: tokio::spawn(until_acknowledged(reader)) }
    }

    /// Sends bytes. Returns false if the server has closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        timeout(PATIENCE, self.writer.write_all(bytes)).await.expect("the server reads or closes").is_ok()
    }

    /// Waits until the server has processed everything that was sent.
    pub async fn all_is_seen(&mut self) {
        assert!(self.send(&frame(PING, 0, 0, &[7; 8])).await);
        let reader = timeout(PATIENCE, &mut self.reader).await.expect("a PING is answered").unwrap();
        self.reader = tokio::spawn(until_acknowledged(reader));
    }

    /// Sends the same bytes repeatedly until the server closes the connection. Returns how many it accepted.
    pub async fn send_until_closed(mut self, bytes: &[u8], most_bytes: usize) -> usize {
        let mut sent = 0;
        while sent < most_bytes && self.send(bytes).await {
            sent += bytes.len();
        }
        sent
    }
}

/// Reads frames until the acknowledgement of the PING, or the end.
async fn until_acknowledged(mut reader: OwnedReadHalf) -> OwnedReadHalf {
    loop {
        let mut start = [0; 9];
        if reader.read_exact(&mut start).await.is_err() {
            return reader;
        }
        let length = u32::from_be_bytes([0, start[0], start[1], start[2]]);
        let mut payload = vec![0; length as usize];
        if reader.read_exact(&mut payload).await.is_err() {
            return reader;
        }
        if start[3] == PING && start[4] & ACK != 0 && payload == [7; 8] {
            return reader;
        }
    }
}
