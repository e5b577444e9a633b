//! A connection to Redis, and what the source asks of a consumer group.

use std::time::Duration;

use tokio::time::timeout;

use super::Access;
use super::entry::Entry;
use super::resp::{Connection, Reply};
use super::seen::{Id, Seen};

/// A connection as a consumer of a group.
pub(super) struct Group<'a> {
    access: &'a Access,
    connection: Connection,
    name: &'a str,
    consumer: Vec<u8>,
}

/// Entries of one stream.
pub(super) struct Entries {
    /// Which of the configured streams.
    pub stream: usize,
    pub entries: Vec<Entry>,
}

/// What entries are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// Those that no consumer got yet, of all streams. Waits for some.
    New,
    /// Those that this consumer got and did not acknowledge, of one stream, after this one.
    Own(usize, Id),
}

impl<'a> Group<'a> {
    /// Connects and logs in.
    pub async fn connect(access: &'a Access, name: &'a str, consumer: Vec<u8>) -> Result<Group<'a>, String> {
        let place = &access.place;
        let stream = access.server.connect(access.tls.as_ref(), access.timeout).await;
        let stream = stream.map_err(|error| format!("{place}: can't connect: {error}"))?;
        let mut group = Group { access, connection: Connection::new(stream), name, consumer };
        if let Some(password) = &access.password {
            let mut command = vec![&b"AUTH"[..]];
            command.extend(access.user.as_deref().map(str::as_bytes));
            command.push(password.expose().as_bytes());
            group.call("can't log in", command).await?;
        }
        if !access.database.is_empty() {
            group.call("can't select the database", vec![b"SELECT", access.database.as_bytes()]).await?;
        }
        Ok(group)
    }

    async fn call(&mut self, what: &str, command: Vec<&[u8]>) -> Result<Reply, String> {
        self.call_within(what, command, self.access.timeout).await
    }

    async fn call_within(&mut self, what: &str, command: Vec<&[u8]>, time: Duration) -> Result<Reply, String> {
        match self.call_all(what, &[command], time).await?.pop() {
            Some(Reply::Error(error)) => Err(self.fault(what, &error)),
            Some(reply) => Ok(reply),
            None => Err(self.fault(what, "no reply")),
        }
    }

    async fn call_all(&mut self, what: &str, commands: &[Vec<&[u8]>], time: Duration) -> Result<Vec<Reply>, String> {
        match timeout(time, self.connection.call(commands)).await {
            Ok(replies) => replies.map_err(|error| self.fault(what, &error.to_string())),
            Err(_) => Err(self.fault(what, &format!("no answer within {} s", time.as_secs_f32()))),
        }
    }

    pub fn fault(&self, what: &str, error: &str) -> String {
        let hint = match error.split(' ').next().unwrap_or_default() {
            "NOAUTH" => "; set `password`, or `user` and `password`",
            "WRONGPASS" => "; check `user` and `password`",
            "NOPERM" => "; the user needs the commands XREADGROUP, XACK, XAUTOCLAIM, XRANGE, XINFO and XGROUP",
            "MOVED" => "; connect to the node that has the stream, or use a server without cluster mode",
            "READONLY" => "; connect to the primary",
            "WRONGTYPE" => "; the key is not a stream",
            "NOGROUP" => "; it is created again",
            _ => "",
        };
        format!("{}: {what}: {error}{hint}", self.access.place)
    }

    /// Whether values of the last reply were cut.
    pub fn is_cut(&self) -> bool {
        self.connection.is_cut
    }

    /// The last id that the stream has given; `None` if there is no stream.
    pub async fn last_id(&mut self, stream: &str) -> Result<Option<Id>, String> {
        let what = format!("stream `{stream}`");
        let command = vec![&b"XINFO"[..], b"STREAM", stream.as_bytes()];
        let reply = match self.call_all(&what, &[command], self.access.timeout).await?.pop() {
            Some(Reply::Error(error)) if error.contains("no such key") => return Ok(None),
            Some(Reply::Error(error)) => return Err(self.fault(&what, &error)),
            reply => reply,
        };
        let id = reply.map(Reply::into_list).and_then(|pairs| value_of(pairs, b"last-generated-id"));
        match id.and_then(|id| str::from_utf8(&id).ok()?.parse().ok()) {
            Some(id) => Ok(Some(id)),
            None => Err(self.fault(&what, "it has no last id")),
        }
    }

    /// Whether an existing stream has the group.
    pub async fn exists(&mut self, stream: &str) -> Result<bool, String> {
        let what = format!("groups of stream `{stream}`");
        let reply = self.call(&what, vec![b"XINFO", b"GROUPS", stream.as_bytes()]).await?;
        let names = reply.into_list().into_iter().map(|group| value_of(group.into_list(), b"name"));
        Ok(names.flatten().any(|name| name == self.name.as_bytes()))
    }

    /// Creates the group, and the stream if there is none.
    pub async fn create(&mut self, stream: &str, from: &str) -> Result<(), String> {
        let what = format!("can't create group `{}` of stream `{stream}`", self.name);
        let command = vec![b"XGROUP", b"CREATE", stream.as_bytes(), self.name.as_bytes(), from.as_bytes(), b"MKSTREAM"];
        match self.call_all(&what, &[command], self.access.timeout).await?.pop() {
            // Another router was faster.
            Some(Reply::Error(error)) if !error.starts_with("BUSYGROUP") => Err(self.fault(&what, &error)),
            _ => Ok(()),
        }
    }

    /// Reads up to that many entries.
    pub async fn read(&mut self, streams: &[String], from: From, count: usize) -> Result<Vec<Entries>, String> {
        let (streams, first, id, wait) = match from {
            From::New => (streams, 0, ">".to_owned(), self.access.wait),
            From::Own(at, after) => (&streams[at..=at], at, after.to_string(), Duration::ZERO),
        };
        let consumer = std::mem::take(&mut self.consumer);
        // Of each stream as many, and at least one.
        let count = (count / streams.len()).max(1).to_string();
        let block = wait.as_millis().to_string();
        let mut command: Vec<&[u8]> = vec![b"XREADGROUP", b"GROUP", self.name.as_bytes(), &consumer];
        command.extend([b"COUNT", count.as_bytes()]);
        if !wait.is_zero() {
            command.extend([b"BLOCK", block.as_bytes()]);
        }
        command.push(b"STREAMS");
        command.extend(streams.iter().map(String::as_bytes));
        command.extend(streams.iter().map(|_| id.as_bytes()));
        let reply = self.call_within("can't read", command, self.access.timeout + wait).await;
        self.consumer = consumer;
        let mut read = Vec::new();
        for part in reply?.into_list() {
            let [Reply::Text(name), entries] = &mut part.into_list()[..] else { return Err(self.odd()) };
            let at = streams.iter().position(|stream| stream.as_bytes() == name).ok_or_else(|| self.odd())?;
            let entries = Entry::read_all(std::mem::replace(entries, Reply::Nil)).ok_or_else(|| self.odd())?;
            read.push(Entries { stream: first + at, entries });
        }
        Ok(read)
    }

    /// Takes over entries that some consumer did not acknowledge for this time. Returns from where on to look for more.
    pub async fn claim(
        &mut self,
        stream: &str,
        idle: Duration,
        from: &[u8],
        count: usize,
    ) -> Result<(Vec<u8>, Vec<Entry>), String> {
        let consumer = std::mem::take(&mut self.consumer);
        let (idle, count) = (idle.as_millis().to_string(), count.to_string());
        let mut command: Vec<&[u8]> = vec![b"XAUTOCLAIM", stream.as_bytes(), self.name.as_bytes(), &consumer];
        command.extend([idle.as_bytes(), from, b"COUNT", count.as_bytes()]);
        let reply = self.call("can't take over entries of other consumers", command).await;
        self.consumer = consumer;
        let mut parts = reply?.into_list().into_iter();
        let next = parts.next().and_then(Reply::into_text);
        match next.zip(parts.next().and_then(Entry::read_all)) {
            Some(claimed) => Ok(claimed),
            None => Err(self.odd()),
        }
    }

    /// Makes ranges one between which the stream has no entry.
    pub async fn join(&mut self, stream: &str, seen: &mut Seen, ids: impl Iterator<Item = Id>) -> Result<(), String> {
        let gaps = seen.gaps(ids);
        let bounds: Vec<_> = gaps.iter().map(|(last, first)| [format!("({last}"), format!("({first}")]).collect();
        let mut commands = Vec::new();
        for [after, before] in &bounds {
            commands.push(vec![b"XRANGE", stream.as_bytes(), after.as_bytes(), before.as_bytes(), b"COUNT", b"1"]);
        }
        if commands.is_empty() {
            return Ok(());
        }
        let replies = self.call_all("can't look into the stream", &commands, self.access.timeout).await?;
        for ((last, first), reply) in gaps.into_iter().zip(replies) {
            match reply {
                Reply::List(entries) if entries.is_empty() => seen.insert(last, first),
                Reply::Error(error) => return Err(self.fault("can't look into the stream", &error)),
                _ => {}
            }
        }
        seen.limit();
        Ok(())
    }

    /// Acknowledges entries.
    pub async fn acknowledge(&mut self, stream: &str, ids: impl Iterator<Item = Id>) -> Result<(), String> {
        let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
        let mut command: Vec<&[u8]> = vec![b"XACK", stream.as_bytes(), self.name.as_bytes()];
        command.extend(ids.iter().map(String::as_bytes));
        self.call("can't acknowledge", command).await.map(drop)
    }

    fn odd(&self) -> String {
        format!("{}: it does not answer as Redis does; version 6.2 or newer is needed", self.access.place)
    }
}

/// The text of a name in a list of names and values.
fn value_of(pairs: Vec<Reply>, name: &[u8]) -> Option<Vec<u8>> {
    let mut pairs = pairs.into_iter();
    while let Some(found) = pairs.next() {
        let value = pairs.next()?;
        if found == Reply::Text(name.to_vec()) {
            return value.into_text();
        }
    }
    None
}
