//! Fluent Forward, as Fluent Bit, Fluentd, Docker's `fluentd` driver and the fluent-logger libraries send it.
//!
//! A message is a MessagePack array, in one of four modes:
//!
//! | mode | message |
//! |---|---|
//! | Message | `[tag, time, record, options?]` |
//! | Forward | `[tag, [[time, record], …], options?]` |
//! | `PackedForward` | `[tag, bytes of [time, record]…, options?]` |
//! | `CompressedPackedForward` | the same, with `compressed` (`gzip` or `zstd`) in its options |
//!
//! | in a message | in a record |
//! |---|---|
//! | time | `timestamp`: seconds, or an `EventTime` with nanoseconds |
//! | tag | `tag`, and `source` if the record has none |
//! | metadata, `[[time, metadata], record]` | `metadata` |
//! | record | its entries, as on `/ingest` |
//!
//! If the options have a `chunk`, the sender gets `{"ack": chunk}` once the records are durable. While there is no room,
//! nothing is acknowledged and nothing more is read, so the sender keeps what it has. A message that is repeated with the
//! same `chunk` arrives once.
//!
//! With a `shared_key`, a connection begins with the handshake (HELO, PING, PONG); with `users` too, the sender also
//! shows a name and a password. Neither is ever sent, only a hash with a nonce. An address that shows too many wrong ones
//! has to wait before it may try again.
//!
//! Invariants: each acknowledgement is one write; a message that can't be read closes the connection before anything of
//! it is stored.

use ring::digest::{SHA512, digest};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use weir_record::{Batch, ComposeError, Composer, Token, Value, time, token, write};

use crate::budget::HeldBytes;
use crate::decompress::{DecompressError, decompress};
use crate::request::Encoding;
use crate::sockets::{Decoded, Kind, Listener, NotStored, Reader, Session, SocketProtocol, Transport};
use crate::traffic::AnyStream;
use crate::{DeliveryKey, key, limits};

pub(crate) const SOCKET: SocketProtocol = SocketProtocol {
    name: "forward",
    summary: "Fluent Forward: Fluent Bit, Fluentd, Docker and fluent-logger, acknowledged if they ask for it",
    transports: &[Transport::Tcp, Transport::Tls, Transport::Unix],
    has_key: true,
    kind: Kind::Forward,
};

const MALFORMED: &str = "it sent something that is not Fluent Forward";

/// Serves a connection until its end. The error is the reason why it is closed.
pub(crate) async fn serve(session: &Session, stream: AnyStream) -> Result<(), String> {
    let mut reader = Reader::new(session, stream)?;
    if session.listener.options.shared_key.is_some() {
        session.admit_guess()?;
        let shaken = timeout(session.listener.handshake_timeout(), shake_hands(session, &mut reader));
        match shaken.await.map_err(|_| "its handshake took too long")?? {
            true => {}
            false => return Ok(()),
        }
    }
    while let Some(length) = next_message(session, &mut reader).await? {
        let received_ns = time::now_ns();
        let Reader { buffer, held, .. } = &mut reader;
        let message = Message::read(&buffer[..length])?;
        if let Some(message) = &message {
            let entries = message.entries(session.listener.max_decompressed_bytes(), held)?;
            let key = message.chunk.map(|chunk| key::of_message(SOCKET.name, chunk, &buffer[..length]));
            let mut decode = || decode(&session.listener, message, &entries, length, received_ns, key);
            match session.store(&mut decode).await {
                Ok(_) => {}
                Err(NotStored::Refused(reason)) => return Err(reason),
                // Without an acknowledgement, the sender sends it again.
                Err(NotStored::Stopping) => return Ok(()),
            }
        }
        let answer = message.and_then(|message| message.chunk).map(acknowledgement);
        reader.consume(length);
        if let Some(answer) = answer
            && !answered(session, &mut reader, &answer).await?
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends an answer. Returns false if the sender is gone.
async fn answered(session: &Session, reader: &mut Reader, answer: &[u8]) -> Result<bool, String> {
    let sent = async {
        reader.stream.write_all(answer).await?;
        reader.stream.flush().await
    };
    match timeout(session.listener.handshake_timeout(), sent).await {
        Ok(sent) => Ok(sent.is_ok()),
        Err(_) => Err("it doesn't read its acknowledgements".to_owned()),
    }
}

fn acknowledgement(chunk: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(chunk.len() + 8);
    write::map_header(&mut answer, 1);
    write::str(&mut answer, "ack");
    answer.extend_from_slice(chunk);
    answer
}

/// Waits for a whole message, and returns its length; `None` at the end of the connection.
async fn next_message(session: &Session, reader: &mut Reader) -> Result<Option<usize>, String> {
    let most = session.listener.options.max_message_bytes;
    let mut end = MessageEnd::default();
    loop {
        match end.find(&reader.buffer)? {
            Some(length) if length <= most => return Ok(Some(length)),
            None if reader.buffer.len() <= most => {}
            _ => return Err(format!("a message is longer than `max_message`, {most} bytes")),
        }
        if reader.more(session, most + limits::SOCKET_READ_BYTES).await? == 0 {
            return Ok(None);
        }
    }
}

/// Finds the end of a message while it arrives, and looks at each of its tokens once.
struct MessageEnd {
    at: usize,
    /// Values that must follow.
    missing: u64,
}

impl Default for MessageEnd {
    fn default() -> MessageEnd {
        MessageEnd { at: 0, missing: 1 }
    }
}

impl MessageEnd {
    fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        while self.missing > 0 {
            let rest = &bytes[self.at..];
            let Some((first, length)) = token(rest) else {
                // The only marker that nothing begins with.
                return if rest.first() == Some(&0xc1) { Err(MALFORMED) } else { Ok(None) };
            };
            self.at += length;
            self.missing += match first {
                Token::Array(items) => u64::from(items),
                Token::Map(entries) => 2 * u64::from(entries),
                _ => 0,
            };
            self.missing -= 1;
        }
        Ok(Some(self.at))
    }
}

/// A message that was read, apart from its entries.
struct Message<'m> {
    tag: &'m [u8],
    content: Content<'m>,
    compression: Encoding,
    /// As it was sent: MessagePack.
    chunk: Option<&'m [u8]>,
}

/// Its entries.
enum Content<'m> {
    /// `time, record`, without an array around them.
    One(&'m [u8]),
    /// `[time, record]`, one after the other.
    Many(&'m [u8]),
}

impl<'m> Message<'m> {
    /// Reads a message; `None` if it is a heartbeat.
    fn read(bytes: &'m [u8]) -> Result<Option<Message<'m>>, &'static str> {
        let (parts, mut rest) = match token(bytes).ok_or(MALFORMED)? {
            (Token::Nil, _) => return Ok(None),
            (Token::Array(parts @ 2..=4), length) => (parts, &bytes[length..]),
            _ => return Err(MALFORMED),
        };
        let (Token::Str(tag) | Token::Bin(tag), length) = token(rest).ok_or(MALFORMED)? else {
            return Err(MALFORMED);
        };
        rest = &rest[length..];
        let (content, used) = match token(rest).ok_or(MALFORMED)? {
            (Token::Str(packed) | Token::Bin(packed), length) if parts <= 3 => {
                rest = &rest[length..];
                (Content::Many(packed), 2)
            }
            // In the mode of one record, an array is a time with metadata.
            (Token::Array(_), header) if parts <= 3 && !is_time_with_metadata(rest) => {
                let length = value_length(rest)?;
                let entries = &rest[header..length];
                rest = &rest[length..];
                (Content::Many(entries), 2)
            }
            _ if parts >= 3 => {
                let time = value_length(rest)?;
                let length = time + value_length(&rest[time..])?;
                let entry = &rest[..length];
                rest = &rest[length..];
                (Content::One(entry), 3)
            }
            _ => return Err(MALFORMED),
        };
        let mut message = Message { tag, content, compression: Encoding::Identity, chunk: None };
        if parts > used {
            message.read_options(rest)?;
        }
        Ok(Some(message))
    }

    fn read_options(&mut self, bytes: &'m [u8]) -> Result<(), &'static str> {
        let (Token::Map(entries), mut at) = token(bytes).ok_or(MALFORMED)? else {
            // Some senders write nil.
            return Ok(());
        };
        for _ in 0..entries {
            let (key, length) = token(&bytes[at..]).ok_or(MALFORMED)?;
            at += length;
            let (value, value_bytes) = token(&bytes[at..]).ok_or(MALFORMED)?;
            match (key, value) {
                (Token::Str(b"chunk"), Token::Str(_) | Token::Bin(_)) => {
                    self.chunk = Some(&bytes[at..at + value_bytes]);
                }
                (Token::Str(b"compressed"), Token::Str(name)) => {
                    self.compression = match name {
                        b"gzip" => Encoding::Gzip,
                        b"zstd" => Encoding::Zstd,
                        b"text" => Encoding::Identity,
                        _ => return Err("it uses a compression that isn't supported; use gzip, zstd or none"),
                    }
                }
                _ => {}
            }
            at += value_length(&bytes[at..])?;
        }
        Ok(())
    }

    /// Its entries, decompressed.
    fn entries(&self, max_bytes: usize, held: &mut HeldBytes) -> Result<Entries<'m>, String> {
        match (&self.content, self.compression) {
            (Content::One(entry), _) => Ok(Entries::One(entry)),
            (Content::Many(entries), Encoding::Identity) => Ok(Entries::Many(std::borrow::Cow::Borrowed(*entries))),
            (Content::Many(entries), encoding) => match decompress(encoding, entries, max_bytes, held) {
                Ok(entries) => Ok(Entries::Many(entries.into())),
                Err(DecompressError::Bound) => Err(format!("a message has more than {max_bytes} bytes decompressed")),
                Err(DecompressError::Broken(reason)) => Err(format!("a message can't be decompressed: {reason}")),
                Err(DecompressError::Refused(refused)) => Err(refused.error),
            },
        }
    }
}

enum Entries<'m> {
    One(&'m [u8]),
    Many(std::borrow::Cow<'m, [u8]>),
}

/// Whether this is `[time, {…}]` and not a list of entries.
fn is_time_with_metadata(bytes: &[u8]) -> bool {
    let Some((Token::Array(2), header)) = token(bytes) else { return false };
    !matches!(token(&bytes[header..]), Some((Token::Array(_), _)))
}

fn value_length(bytes: &[u8]) -> Result<usize, &'static str> {
    MessageEnd::default().find(bytes)?.ok_or(MALFORMED)
}

fn decode(
    listener: &Listener,
    message: &Message<'_>,
    entries: &Entries<'_>,
    length: usize,
    received_ns: i64,
    key: Option<DeliveryKey>,
) -> Result<Decoded, String> {
    let defaults = listener.defaults(received_ns);
    let size = match entries {
        Entries::One(entry) => entry.len(),
        Entries::Many(entries) => entries.len(),
    };
    let mut batch = Batch::with_capacity(size + size / 2, size / 128);
    let mut composer = Composer::new(&defaults, &mut batch);
    compose_all(message.tag, entries, &mut composer)?;
    let bad = composer.finish();
    Ok(Decoded { batch, bad, key, bytes: length })
}

fn compose_all(tag: &[u8], entries: &Entries<'_>, composer: &mut Composer<'_, '_>) -> Result<(), String> {
    let mut rest = match entries {
        Entries::One(entry) => return compose(tag, entry, composer),
        Entries::Many(entries) => &entries[..],
    };
    while !rest.is_empty() {
        let (Token::Array(2), header) = token(rest).ok_or(MALFORMED)? else { return Err(MALFORMED.to_owned()) };
        let length = value_length(rest)?;
        compose(tag, &rest[header..length], composer)?;
        rest = &rest[length..];
    }
    Ok(())
}

/// Adds a record: a time, perhaps with metadata, and a map.
fn compose(tag: &[u8], entry: &[u8], composer: &mut Composer<'_, '_>) -> Result<(), String> {
    let (first, header) = token(entry).ok_or(MALFORMED)?;
    let (time, metadata, record) = match first {
        Token::Array(2) => {
            let inside = &entry[header..];
            let (time, length) = token(inside).ok_or(MALFORMED)?;
            let metadata = &inside[length..];
            let length = value_length(metadata)?;
            (time, Some(&metadata[..length]), &metadata[length..])
        }
        time => (time, None, &entry[header..]),
    };
    composer.begin();
    let composed = compose_entries(tag, time, metadata, record, composer);
    composer.end(composed, || entry.to_vec()).map_err(|error| error.to_string())
}

fn compose_entries(
    tag: &[u8],
    time: Token<'_>,
    metadata: Option<&[u8]>,
    record: &[u8],
    composer: &mut Composer<'_, '_>,
) -> Result<(), ComposeError> {
    let time = match time {
        Token::Int(seconds) => seconds.checked_mul(1_000_000_000),
        Token::Float(seconds) => time::from_float(seconds),
        Token::Ext(kind, body) => time::from_ext(kind, body),
        _ => None,
    };
    if let Some(time) = time {
        composer.time(time);
    }
    if !tag.is_empty() {
        composer.fallback_source(tag);
        composer.text("tag", tag)?;
    }
    // Fluent Bit sends an empty map if there is none.
    if let Some(metadata) = metadata
        && !matches!(token(metadata), Some((Token::Map(0), _)))
    {
        composer.entry(b"metadata", |value| value.msgpack(metadata).map(drop))?;
    }
    composer.msgpack_map(record).map(drop)
}

/// Begins a connection. Returns false if the sender has ended it.
async fn shake_hands(session: &Session, reader: &mut Reader) -> Result<bool, String> {
    let options = &session.listener.options;
    let needs_user = !options.users.is_empty();
    let random = SystemRandom::new();
    let (mut nonce, mut auth_salt) = ([0; 16], [0; 16]);
    for bytes in [&mut nonce, &mut auth_salt] {
        random.fill(bytes).map_err(|_| "there are no random numbers")?;
    }
    let mut hello = Vec::new();
    write::array_header(&mut hello, 2);
    write::str(&mut hello, "HELO");
    write::map_header(&mut hello, 3);
    write::str(&mut hello, "nonce");
    write::bin(&mut hello, &nonce);
    write::str(&mut hello, "auth");
    write::bin(&mut hello, if needs_user { &auth_salt } else { b"" });
    write::str(&mut hello, "keepalive");
    write::bool(&mut hello, true);
    if !answered(session, reader, &hello).await? {
        return Ok(false);
    }
    let Some(length) = next_message(session, reader).await? else { return Ok(false) };
    let ping = Ping::read(&reader.buffer[..length]).ok_or(MALFORMED)?;
    let key = options.shared_key.as_deref().unwrap_or_default().as_bytes();
    let is_known = |digest: &[u8], parts: &[&[u8]]| is_same(digest, hex_digest(parts).as_bytes());
    let has_key = is_known(ping.key_digest, &[ping.salt, ping.host, &nonce, key]);
    let is_user = options.users.iter().fold(false, |found, (name, password)| {
        let fits = is_known(ping.password_digest, &[&auth_salt, name.as_bytes(), password.as_bytes()]);
        found | (fits & (name.as_bytes() == ping.user))
    });
    let refused = match (has_key, !needs_user || is_user) {
        (false, _) => Some("shared key mismatch"),
        (true, false) => Some("username/password mismatch"),
        (true, true) => None,
    };
    let host = "weir";
    let mut pong = Vec::new();
    write::array_header(&mut pong, 5);
    write::str(&mut pong, "PONG");
    write::bool(&mut pong, refused.is_none());
    write::str(&mut pong, refused.unwrap_or_default());
    write::str(&mut pong, host);
    let proof = refused.is_none().then(|| hex_digest(&[ping.salt, host.as_bytes(), &nonce, key]));
    write::str(&mut pong, proof.as_deref().unwrap_or_default());
    reader.consume(length);
    let is_told = answered(session, reader, &pong).await?;
    match refused {
        None => Ok(is_told),
        Some(reason) => Err(session.refused_credentials(reason)),
    }
}

/// `["PING", host, salt, digest of the key, user, digest of the password]`
struct Ping<'m> {
    host: &'m [u8],
    salt: &'m [u8],
    key_digest: &'m [u8],
    user: &'m [u8],
    password_digest: &'m [u8],
}

impl<'m> Ping<'m> {
    fn read(message: &'m [u8]) -> Option<Ping<'m>> {
        let (Value::Array(parts), _) = Value::read(message)? else { return None };
        let mut texts = parts.iter().map(|part| match part {
            Value::Str(text) => Some(text.as_bytes()),
            Value::Bin(bytes) => Some(bytes),
            _ => None,
        });
        let mut next = || texts.next().flatten();
        if next()? != b"PING" {
            return None;
        }
        Some(Ping { host: next()?, salt: next()?, key_digest: next()?, user: next()?, password_digest: next()? })
    }
}

fn hex_digest(parts: &[&[u8]]) -> String {
    use std::fmt::Write;
    let digest = digest(&SHA512, &parts.concat());
    digest.as_ref().iter().fold(String::with_capacity(128), |mut hex, byte| {
        // Writing to a String can't fail.
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Compares in constant time.
fn is_same(shown: &[u8], due: &[u8]) -> bool {
    shown.iter().zip(due).fold(shown.len() ^ due.len(), |sum, (a, b)| sum | usize::from(a ^ b)) == 0
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
