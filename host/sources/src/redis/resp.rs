//! The protocol of Redis (RESP 2): commands are lists of texts, and each has one reply.
//!
//! The leanest client library would add 26 s of processor time to a first build, for six commands.
//! What a server sends is not trusted: memory is allocated only for bytes that have arrived, and beyond the limits the
//! rest of a value is read and left out, so that no entry of a stream can stop the source.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::limits;
use crate::socket::Stream;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(Vec<u8>),
    Integer(i64),
    Nil,
    List(Vec<Reply>),
    Error(String),
}

/// A connection.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    /// Bytes that the reply which is read may still take.
    room: usize,
    /// Values of the last reply were too large and lack their end.
    pub is_cut: bool,
}

impl Connection {
    pub fn new(stream: Box<dyn Stream>) -> Connection {
        Connection { stream: BufReader::with_capacity(limits::CHUNK_BYTES, stream), room: 0, is_cut: false }
    }

    /// Sends commands, and returns their replies.
    pub async fn call(&mut self, commands: &[Vec<&[u8]>]) -> io::Result<Vec<Reply>> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| encode(command, &mut bytes));
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await?;
        (self.room, self.is_cut) = (limits::REDIS_REPLY_BYTES, false);
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        // Lists that are not complete, with the number of items that each still lacks.
        let mut lists: Vec<(usize, Vec<Reply>)> = Vec::new();
        loop {
            let line = self.line().await?;
            let (kind, text) = line.split_first().ok_or_else(malformed)?;
            let mut reply = match kind {
                b'+' => Reply::Text(text.to_vec()),
                b'-' => Reply::Error(String::from_utf8_lossy(text).into_owned()),
                b':' => Reply::Integer(integer(text)?),
                b'$' | b'*' if text == b"-1" => Reply::Nil,
                b'$' => Reply::Text(self.bulk(length(text)?).await?),
                b'*' => match length(text)? {
                    0 => Reply::List(Vec::new()),
                    items if lists.len() < limits::REDIS_DEPTH => {
                        lists.push((items, Vec::new()));
                        continue;
                    }
                    _ => return Err(malformed()),
                },
                _ => return Err(malformed()),
            };
            loop {
                let Some((lacking, items)) = lists.last_mut() else { return Ok(reply) };
                items.push(reply);
                *lacking -= 1;
                if *lacking > 0 {
                    break;
                }
                reply = Reply::List(std::mem::take(items));
                lists.pop();
            }
        }
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.stream).take(limits::REDIS_LINE_BYTES).read_until(b'\n', &mut line).await?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(text.to_vec()),
            None if line.is_empty() => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
            None => Err(malformed()),
        }
    }

    async fn bulk(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let kept = length.min(limits::BUS_VALUE_BYTES).min(self.room);
        self.is_cut |= kept < length;
        self.room -= kept;
        let mut text = Vec::new();
        let read = (&mut self.stream).take(kept as u64).read_to_end(&mut text).await?;
        let rest = (length - kept + 2) as u64;
        let left_out = tokio::io::copy_buf(&mut (&mut self.stream).take(rest), &mut tokio::io::sink()).await?;
        if read < kept || left_out < rest {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
        }
        Ok(text)
    }
}

impl Reply {
    /// The items of a list, none of anything else.
    pub fn into_list(self) -> Vec<Reply> {
        match self {
            Reply::List(items) => items,
            _ => Vec::new(),
        }
    }

    /// A text.
    pub fn into_text(self) -> Option<Vec<u8>> {
        match self {
            Reply::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn encode(command: &[&[u8]], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for part in command {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
}

fn integer(text: &[u8]) -> io::Result<i64> {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)
}

fn length(text: &[u8]) -> io::Result<usize> {
    usize::try_from(integer(text)?).ok().filter(|length| *length <= limits::REDIS_LENGTH).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it does not answer as Redis does")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    /// Sends one command to a server that answers this.
    async fn answer(bytes: &[u8]) -> (io::Result<Reply>, bool) {
        let (client, mut server) = duplex(1 << 10);
        let bytes = bytes.to_vec();
        let serving = tokio::spawn(async move {
            let mut asked = [0; 14];
            server.read_exact(&mut asked).await.expect("a command");
            assert_eq!(&asked, b"*1\r\n$4\r\nPING\r\n");
            // An error: the client has seen enough.
            _ = server.write_all(&bytes).await;
        });
        let mut connection = Connection::new(Box::new(client));
        let replies = connection.call(&[vec![b"PING"]]).await;
        let is_cut = connection.is_cut;
        drop(connection);
        serving.await.expect("no panic");
        (replies.map(|mut replies| replies.remove(0)), is_cut)
    }

    #[tokio::test]
    async fn replies_are_read_whatever_is_in_them() {
        let text = |text: &str| Reply::Text(text.into());
        let (reply, is_cut) = answer(b"*4\r\n*2\r\n$4\r\na\r\nb\r\n:-7\r\n*0\r\n$-1\r\n+OK\r\n").await;
        let inner = Reply::List(vec![text("a\r\nb"), Reply::Integer(-7)]);
        let due = Reply::List(vec![inner, Reply::List(vec![]), Reply::Nil, text("OK")]);
        assert_eq!((reply.expect("a reply"), is_cut), (due, false));
        let (reply, _) = answer(b"-NOAUTH needed\r\n").await;
        assert_eq!(reply.expect("a reply"), Reply::Error("NOAUTH needed".into()));
    }

    #[tokio::test]
    async fn a_value_beyond_the_limit_loses_its_end_and_nothing_after_it() {
        let long = limits::BUS_VALUE_BYTES + 1;
        let bytes = [format!("*2\r\n${long}\r\n").as_bytes(), &vec![b'x'; long], b"\r\n:1\r\n"].concat();
        let (reply, is_cut) = answer(&bytes).await;
        let items = reply.expect("a reply").into_list();
        assert!(is_cut);
        assert_eq!(items[0], Reply::Text(vec![b'x'; limits::BUS_VALUE_BYTES]));
        assert_eq!(items[1], Reply::Integer(1));
    }

    #[tokio::test]
    async fn what_is_no_reply_is_refused() {
        let deep = "*1\r\n".repeat(limits::REDIS_DEPTH + 1);
        for wrong in ["HTTP/1.1 400\r\n", "$x\r\n", "$-2\r\n", "$5\r\nab", "*2\r\n:1\r\n", ":1\n", "", "\r\n", &deep] {
            assert!(answer(wrong.as_bytes()).await.0.is_err(), "{wrong}");
        }
    }
}
