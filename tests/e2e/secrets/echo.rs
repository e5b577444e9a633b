//! A server that repeats what its clients say.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that refuses every client, and repeats in its error everything that the client said.
pub struct Echo {
    pub port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Echo {
    pub fn start(scheme: &str) -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let answer: fn(&mut TcpStream) -> std::io::Result<Vec<u8>> = match scheme {
            "postgres" => as_postgres,
            "nats" => as_nats,
            "redis" => as_redis,
            "mqtt" => as_mqtt,
            _ => as_http,
        };
        let all = heard.clone();
        // It ends with the process: a test that fails must not wait for it.
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let all = all.clone();
                thread::spawn(move || {
                    let said = answer(&mut client).unwrap_or_default();
                    all.lock().unwrap().extend(said);
                });
            }
        });
        Echo { port, heard }
    }

    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

fn as_http(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    let head = loop {
        let read = client.read(&mut piece)?;
        said.extend_from_slice(&piece[..read]);
        if let Some(end) = said.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if read == 0 {
            return Ok(said);
        }
    };
    let text = String::from_utf8_lossy(&said[..head]).into_owned();
    let length = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut rest = (head + length.unwrap_or(0usize)).saturating_sub(said.len());
    while rest > 0 {
        let read = client.read(&mut piece)?;
        rest = if read == 0 { 0 } else { rest.saturating_sub(read) };
    }
    // Some clients put a refused record into quarantine, with the reason.
    let status = if text.contains("refuse-for-good") { "400 Bad Request" } else { "401 Unauthorized" };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    client.write_all(format!("{head}{text}").as_bytes())?;
    Ok(text.into_bytes())
}

fn as_nats(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    client.write_all(b"INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"max_payload\":1048576,\"headers\":true,\"auth_required\":true}\r\n")?;
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    while !said.windows(6).any(|six| six == b"PING\r\n") {
        let read = client.read(&mut piece)?;
        said.extend_from_slice(&piece[..read]);
        if read == 0 {
            return Ok(said);
        }
    }
    let text = String::from_utf8_lossy(&said).replace(['\r', '\n'], " ");
    // The client may have gone; what it said counts.
    _ = client.write_all(format!("-ERR 'no permission for {text}'\r\n").as_bytes());
    Ok(said)
}

fn as_redis(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut piece = [0; 4096];
    let read = client.read(&mut piece)?;
    let text = String::from_utf8_lossy(&piece[..read]).replace(['\r', '\n'], " ");
    client.write_all(format!("-ERR no permission for {text}\r\n").as_bytes())?;
    Ok(piece[..read].into())
}

/// MQTT 5, which has a text beside the code.
fn as_mqtt(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut piece = [0; 4096];
    let read = client.read(&mut piece)?;
    // At most 100 bytes, so that every length fits into one byte.
    let said = String::from_utf8_lossy(&piece[read.saturating_sub(100)..read]).into_owned();
    let length = said.len() as u8;
    client.write_all(&[0x20, length + 6, 0, 0x87, length + 3, 0x1f, 0, length])?;
    client.write_all(said.as_bytes())?;
    Ok(piece[..read].into())
}

fn as_postgres(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    /// The request for TLS, which is refused.
    const SSL: u32 = 80_877_103;
    let message = |client: &mut TcpStream| {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        let mut rest = vec![0; (u32::from_be_bytes(length) as usize).clamp(4, 1 << 16) - 4];
        client.read_exact(&mut rest)?;
        Ok::<_, std::io::Error>(rest)
    };
    let mut first = message(client)?;
    if first.starts_with(&SSL.to_be_bytes()) {
        client.write_all(b"N")?;
        first = message(client)?;
    }
    // Asks for the password in clear text.
    client.write_all(b"R\0\0\0\x08\0\0\0\x03")?;
    let mut kind = [0];
    client.read_exact(&mut kind)?;
    let password = message(client)?;
    let text = String::from_utf8_lossy(&password).replace('\0', "");
    let fields = format!("SFATAL\0VFATAL\0C28P01\0Mno user with the password {text}\0\0");
    let mut refusal = vec![b'E'];
    refusal.extend((fields.len() as u32 + 4).to_be_bytes());
    refusal.extend(fields.as_bytes());
    client.write_all(&refusal)?;
    Ok([first, password].concat())
}
