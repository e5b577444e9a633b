//! The requests that a member of a consumer group sends, and the answers to them.
//!
//! Of each structure, what is not needed is read and left out.

use super::api::{Api, Code, METADATA_WITH_IDS};
use super::wire::{Malformed, Read, Reader, Writer};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Partition {
    pub topic: String,
    pub number: i32,
}

impl std::fmt::Display for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

fn code(reader: &mut Reader<'_>) -> Read<Code> {
    reader.i16().map(Code)
}

/// What begins most answers: how long the broker has delayed it.
fn throttle(reader: &mut Reader<'_>) -> Read<()> {
    reader.i32().map(drop)
}

// Versions.

/// Key, first and last version.
pub(super) type Versions = Vec<(i16, i16, i16)>;

pub(super) fn versions(answer: &[u8]) -> Read<(Code, Versions)> {
    let reader = &mut Reader::new(answer);
    Ok((code(reader)?, reader.list(|reader| Ok((reader.i16()?, reader.i16()?, reader.i16()?)))?))
}

// SASL.

pub(super) fn handshake_request(mechanism: &str) -> Vec<u8> {
    Writer::default().text(mechanism).finish()
}

/// The code, and the mechanisms that are enabled.
pub(super) fn handshake(answer: &[u8]) -> Read<(Code, Vec<String>)> {
    let reader = &mut Reader::new(answer);
    Ok((code(reader)?, reader.list(Reader::text)?))
}

pub(super) fn authenticate_request(message: &[u8]) -> Vec<u8> {
    Writer::default().bytes(message).finish()
}

/// The code and the server's message. Its explanation of the code is left out, because it may repeat a password.
pub(super) fn authenticate(answer: &[u8]) -> Read<(Code, Vec<u8>)> {
    let reader = &mut Reader::new(answer);
    let code = code(reader)?;
    reader.optional_text()?;
    Ok((code, reader.bytes()?.to_vec()))
}

// Metadata.

/// A cluster.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub brokers: Vec<Broker>,
    pub cluster: Option<String>,
    pub topics: Vec<Topic>,
}

/// A broker, as the cluster advertises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broker {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub code: Code,
    pub name: String,
    /// Zeros if the broker is older than that.
    pub id: [u8; 16],
    pub is_internal: bool,
    /// Number and leader of each partition.
    pub partitions: Vec<(i32, i32)>,
}

/// `None`: all topics. None is created.
pub(super) fn metadata_request(api: Api, topics: Option<&[String]>) -> Vec<u8> {
    let has_ids = api == METADATA_WITH_IDS;
    let writer = if has_ids { Writer::flexible() } else { Writer::default() };
    let writer = match topics {
        None => writer.null_list(),
        Some(topics) if has_ids => {
            writer.list(topics, |writer, topic| writer.raw(&[0; 16]).optional_text(Some(topic)).tags())
        }
        Some(topics) => writer.list(topics, |writer, topic| writer.text(topic)),
    };
    let (no_creation, no_rights) = (0, 0);
    let writer = writer.i8(no_creation);
    if has_ids { writer.i8(no_rights).i8(no_rights).tags().finish() } else { writer.finish() }
}

pub(super) fn metadata(api: Api, answer: &[u8]) -> Read<Metadata> {
    let has_ids = api == METADATA_WITH_IDS;
    let reader = &mut if has_ids { Reader::flexible(answer) } else { Reader::new(answer) };
    // Those of the answer's own header.
    reader.tags()?;
    throttle(reader)?;
    let brokers = reader.list(|reader| {
        let (id, host) = (reader.i32()?, reader.text()?);
        let port = u16::try_from(reader.i32()?).map_err(|_| Malformed)?;
        reader.optional_text()?;
        reader.tags()?;
        Ok(Broker { id, host, port })
    })?;
    let cluster = reader.optional_text()?;
    reader.i32()?;
    let topics = reader.list(|reader| {
        let (code, name) = (code(reader)?, reader.optional_text()?.unwrap_or_default());
        let id = if has_ids { reader.uuid()? } else { [0; 16] };
        let is_internal = reader.i8()? != 0;
        let partitions = reader.list(|reader| {
            reader.i16()?;
            let (number, leader) = (reader.i32()?, reader.i32()?);
            if has_ids {
                reader.i32()?;
            }
            let replicas = if has_ids { 3 } else { 2 };
            for _ in 0..replicas {
                reader.list(Reader::i32)?;
            }
            reader.tags()?;
            Ok((number, leader))
        })?;
        if has_ids {
            reader.i32()?;
        }
        reader.tags()?;
        Ok(Topic { code, name, id, is_internal, partitions })
    })?;
    Ok(Metadata { brokers, cluster, topics })
}

// The group.

pub(super) fn coordinator_request(group: &str) -> Vec<u8> {
    let of_a_group = 0;
    Writer::default().text(group).i8(of_a_group).finish()
}

pub(super) fn coordinator(answer: &[u8]) -> Read<(Code, Broker)> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    let code = code(reader)?;
    reader.optional_text()?;
    let (id, host, port) = (reader.i32()?, reader.text()?, reader.i32()?);
    Ok((code, Broker { id, host, port: u16::try_from(port).unwrap_or(0) }))
}

/// A member, as the coordinator knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub group: String,
    pub generation: i32,
    /// Empty: it has none yet.
    pub id: String,
    pub instance: Option<String>,
}

impl Member {
    fn write(&self) -> Writer {
        Writer::default().text(&self.group).i32(self.generation).text(&self.id).optional_text(self.instance.as_deref())
    }
}

pub(super) fn join_request(
    member: &Member,
    session_ms: i32,
    rebalance_ms: i32,
    protocol: &str,
    subscription: &[u8],
) -> Vec<u8> {
    let writer = Writer::default().text(&member.group).i32(session_ms).i32(rebalance_ms);
    let writer = writer.text(&member.id).optional_text(member.instance.as_deref()).text("consumer");
    writer.list(&[protocol], |writer, protocol| writer.text(protocol).bytes(subscription)).finish()
}

#[derive(Debug)]
pub(super) struct Joined {
    pub code: Code,
    pub generation: i32,
    pub leader: String,
    pub member: String,
    /// The id and the subscription of each, if this is the leader.
    pub members: Vec<(String, Vec<u8>)>,
}

pub(super) fn joined(answer: &[u8]) -> Read<Joined> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    let (code, generation) = (code(reader)?, reader.i32()?);
    reader.optional_text()?;
    let (leader, member) = (reader.text()?, reader.text()?);
    let members = reader.list(|reader| {
        let id = reader.text()?;
        reader.optional_text()?;
        Ok((id, reader.bytes()?.to_vec()))
    })?;
    Ok(Joined { code, generation, leader, member, members })
}

pub(super) fn sync_request(member: &Member, assignments: &[(String, Vec<u8>)]) -> Vec<u8> {
    member.write().list(assignments, |writer, (id, assignment)| writer.text(id).bytes(assignment)).finish()
}

/// The code and this member's assignment.
pub(super) fn synced(answer: &[u8]) -> Read<(Code, Vec<u8>)> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    Ok((code(reader)?, reader.bytes()?.to_vec()))
}

pub(super) fn heartbeat_request(member: &Member) -> Vec<u8> {
    member.write().finish()
}

pub(super) fn leave_request(member: &Member) -> Vec<u8> {
    Writer::default().text(&member.group).text(&member.id).finish()
}

/// The answer to heartbeats, and to those that leave.
pub(super) fn only_code(answer: &[u8]) -> Read<Code> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    code(reader)
}

pub(super) fn subscription(topics: &[String]) -> Vec<u8> {
    let version = 0;
    Writer::default().i16(version).list(topics, |writer, topic| writer.text(topic)).i32(-1).finish()
}

pub(super) fn subscribed(subscription: &[u8]) -> Read<Vec<String>> {
    let reader = &mut Reader::new(subscription);
    reader.i16()?;
    reader.list(Reader::text)
}

/// Partitions by topic, as most requests want them.
type ByTopic<T> = Vec<(String, Vec<(i32, T)>)>;

fn by_topic<T: Copy>(partitions: &[(Partition, T)]) -> ByTopic<T> {
    let mut topics: ByTopic<T> = Vec::new();
    for (partition, what) in partitions {
        match topics.iter_mut().find(|(topic, _)| *topic == partition.topic) {
            Some((_, numbers)) => numbers.push((partition.number, *what)),
            None => topics.push((partition.topic.clone(), vec![(partition.number, *what)])),
        }
    }
    topics
}

fn write_by_topic<T: Copy>(
    writer: Writer,
    partitions: &[(Partition, T)],
    each: impl Fn(Writer, T) -> Writer,
) -> Writer {
    writer.list(&by_topic(partitions), |writer, (topic, numbers)| {
        writer.text(topic).list(numbers, |writer, (number, what)| each(writer.i32(*number), *what))
    })
}

fn read_by_topic<'b, T>(
    reader: &mut Reader<'b>,
    mut each: impl FnMut(&mut Reader<'b>) -> Read<T>,
) -> Read<Vec<(Partition, T)>> {
    let topics = reader.list(|reader| {
        let topic = reader.text()?;
        reader.list(|reader| Ok((Partition { topic: topic.clone(), number: reader.i32()? }, each(reader)?)))
    })?;
    Ok(topics.into_iter().flatten().collect())
}

fn unit<T>(partitions: &[T]) -> Vec<(T, ())>
where
    T: Clone,
{
    partitions.iter().map(|partition| (partition.clone(), ())).collect()
}

pub(super) fn assignment(partitions: &[Partition]) -> Vec<u8> {
    let version = 0;
    write_by_topic(Writer::default().i16(version), &unit(partitions), |writer, ()| writer).i32(-1).finish()
}

pub(super) fn assigned(assignment: &[u8]) -> Read<Vec<Partition>> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let reader = &mut Reader::new(assignment);
    reader.i16()?;
    Ok(read_by_topic(reader, |_| Ok(()))?.into_iter().map(|(partition, ())| partition).collect())
}

// Offsets.

pub(super) fn commit_request(member: &Member, offsets: &[(Partition, i64)]) -> Vec<u8> {
    let (no_epoch, no_metadata) = (-1, None);
    write_by_topic(member.write(), offsets, |writer, offset| {
        writer.i64(offset).i32(no_epoch).optional_text(no_metadata)
    })
    .finish()
}

pub(super) fn committed(answer: &[u8]) -> Read<Vec<(Partition, Code)>> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    read_by_topic(reader, code)
}

pub(super) fn offsets_request(group: &str, partitions: &[Partition]) -> Vec<u8> {
    write_by_topic(Writer::default().text(group), &unit(partitions), |writer, ()| writer).finish()
}

/// The offset that the group has committed for each partition, or -1.
pub(super) type Offsets = Vec<(Partition, (i64, Code))>;

pub(super) fn offsets(answer: &[u8]) -> Read<(Code, Offsets)> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    let offsets = read_by_topic(reader, |reader| {
        let offset = reader.i64()?;
        reader.i32()?;
        reader.optional_text()?;
        Ok((offset, code(reader)?))
    })?;
    Ok((code(reader)?, offsets))
}

/// The time that stands for the first offset of a partition.
pub(super) const FIRST: i64 = -2;
/// The one for the offset after the last.
pub(super) const END: i64 = -1;

const CONSUMER: i32 = -1;
const READ_COMMITTED: i8 = 1;

pub(super) fn list_offsets_request(times: &[(Partition, i64)]) -> Vec<u8> {
    let writer = Writer::default().i32(CONSUMER).i8(READ_COMMITTED);
    write_by_topic(writer, times, Writer::i64).finish()
}

pub(super) fn listed_offsets(answer: &[u8]) -> Read<Vec<(Partition, (Code, i64))>> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    read_by_topic(reader, |reader| {
        let code = code(reader)?;
        reader.i64()?;
        Ok((code, reader.i64()?))
    })
}

/// How much a broker may send, and how long it may wait for something.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub wait_ms: i32,
    pub bytes: i32,
    pub partition_bytes: i32,
}

pub(super) fn fetch_request(offsets: &[(Partition, i64)], bounds: Bounds) -> Vec<u8> {
    let (at_least, no_session, no_session_epoch) = (1, 0, -1);
    let (no_epoch, no_log_start) = (-1, -1);
    let writer = Writer::default().i32(CONSUMER).i32(bounds.wait_ms).i32(at_least).i32(bounds.bytes);
    let writer = writer.i8(READ_COMMITTED).i32(no_session).i32(no_session_epoch);
    let writer = write_by_topic(writer, offsets, |writer, offset| {
        writer.i32(no_epoch).i64(offset).i64(no_log_start).i32(bounds.partition_bytes)
    });
    writer.list(&[] as &[()], |writer, ()| writer).finish()
}

/// What a broker has sent of a partition.
#[derive(Clone, Debug)]
pub(super) struct Fetched<'b> {
    pub code: Code,
    /// The producer and the first offset of each transaction in it that was aborted.
    pub aborted: Vec<(i64, i64)>,
    /// Batches, the last of which may be cut off.
    pub batches: &'b [u8],
}

pub(super) fn fetched(answer: &[u8]) -> Read<(Code, Vec<(Partition, Fetched<'_>)>)> {
    let reader = &mut Reader::new(answer);
    throttle(reader)?;
    let of_all = code(reader)?;
    reader.i32()?;
    let partitions = read_by_topic(reader, |reader| {
        let code = code(reader)?;
        // End of the log, end of what transactions have completed, begin of the log.
        for _ in 0..3 {
            reader.i64()?;
        }
        let aborted = reader.list(|reader| Ok((reader.i64()?, reader.i64()?)))?;
        Ok(Fetched { code, aborted, batches: reader.bytes()? })
    })?;
    Ok((of_all, partitions))
}
