//! Reads the partitions that one broker leads, and stores their messages.
//!
//! The next answer is asked for before the last one is stored, so one of each is in memory, and the broker waits meanwhile.

use std::collections::{BTreeMap, VecDeque};

use weir_record::{ComposeError, Composer};

use super::Shared;
use super::api::{self, Code};
use super::batches::{self, Batches, Item, Message};
use super::cluster::{Cluster, Known};
use super::connection::Connection;
use super::progress::{End, Progress, position};
use super::protocol::{self, Bounds, Fetched, Partition};
use crate::destination::{Delivery, Destination, Stopping};
use crate::limits;
use crate::message::compose;

/// One broker, and what is read from it.
pub(super) struct Reading<'r> {
    pub shared: &'r Shared,
    pub cluster: &'r Cluster,
    pub progress: &'r Progress,
    pub to: &'r Destination,
    pub broker: (String, u16),
    /// The offset at which each partition is continued, or a time that stands for it.
    pub next: BTreeMap<Partition, i64>,
}

/// A partition whose answer is being stored.
struct Arrived<'b> {
    partition: Partition,
    batches: Batches<'b>,
}

impl Reading<'_> {
    /// Reads until the generation ends. What was read before that is stored first.
    pub async fn run(mut self) -> Result<(), String> {
        let progress = self.progress;
        let begin = async {
            let mut connection = self.shared.access.connect(&self.broker.0, self.broker.1).await?;
            self.find_starts(&mut connection).await?;
            ask(&mut connection, &self.next, 0).await?;
            Ok::<_, String>(connection)
        };
        let Some(connection) = unless_ended(progress, begin).await else { return Ok(()) };
        let mut connection = connection?;
        for turn in 1.. {
            let time = limits::KAFKA_WAIT + connection.timeout();
            let Some(answer) = unless_ended(progress, connection.receive(time)).await else { return Ok(()) };
            let answer = answer?;
            let fetched = self.read(&connection, &answer)?;
            let Some(arrived) = unless_ended(progress, self.ask_for_more(&mut connection, fetched, turn)).await else {
                return Ok(());
            };
            if self.store(arrived?).await? == Err(Stopping) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Replaces times by the offsets that they stand for.
    async fn find_starts(&mut self, connection: &mut Connection) -> Result<(), String> {
        let times: Vec<_> =
            self.next.iter().filter(|(_, at)| **at < 0).map(|(partition, at)| (partition.clone(), *at)).collect();
        if !times.is_empty() {
            let found = self.look_up(connection, &times).await?;
            self.next.extend(found);
        }
        for (partition, offset) in self.next.iter().filter(|(_, at)| **at >= 0) {
            self.progress.store(partition, *offset);
        }
        Ok(())
    }

    async fn look_up(
        &self,
        connection: &mut Connection,
        times: &[(Partition, i64)],
    ) -> Result<BTreeMap<Partition, i64>, String> {
        let (api, request) = (api::LIST_OFFSETS, protocol::list_offsets_request(times));
        let time = connection.timeout();
        let mut found = BTreeMap::new();
        for (partition, (code, offset)) in connection.ask(api, &request, time, protocol::listed_offsets).await? {
            if code.is_moved() {
                self.progress.end(End::Moved);
                continue;
            }
            connection.refuse(api, code).map_err(|error| format!("{partition}: {error}"))?;
            found.insert(partition, offset);
        }
        Ok(found)
    }

    /// What has arrived of the partitions that are read.
    fn read<'a>(&self, connection: &Connection, answer: &'a [u8]) -> Result<Vec<(Partition, Fetched<'a>)>, String> {
        let api = api::FETCH;
        let (code, fetched) = protocol::fetched(answer)
            .map_err(|_| format!("{}: the answer to Fetch is malformed", connection.place()))?;
        connection.refuse(api, code)?;
        for (partition, fetched) in &fetched {
            if fetched.code.is_moved() {
                self.progress.end(End::Moved);
            } else if fetched.code != Code::OFFSET_OUT_OF_RANGE {
                connection.refuse(api, fetched.code).map_err(|error| format!("{partition}: {error}"))?;
            }
        }
        Ok(fetched.into_iter().filter(|(partition, _)| self.next.contains_key(partition)).collect())
    }

    /// Asks for what follows this.
    async fn ask_for_more<'a>(
        &mut self,
        connection: &mut Connection,
        fetched: Vec<(Partition, Fetched<'a>)>,
        turn: usize,
    ) -> Result<VecDeque<Arrived<'a>>, String> {
        let mut arrived = VecDeque::new();
        let mut lost = Vec::new();
        for (partition, fetched) in fetched {
            let Some(next) = self.next.get_mut(&partition) else { continue };
            if fetched.code == Code::OFFSET_OUT_OF_RANGE {
                lost.push(partition);
            } else if let Some(end) = batches::end(fetched.batches) {
                // Half a batch is sent again, whole when its partition is asked for first.
                let batches = Batches::new(fetched.batches, fetched.aborted, *next);
                *next = end.max(*next);
                arrived.push_back(Arrived { partition, batches });
            }
        }
        if !lost.is_empty() {
            self.find_again(connection, &lost).await?;
        }
        ask(connection, &self.next, turn).await?;
        Ok(arrived)
    }

    /// The log of these partitions does not have their next offset.
    async fn find_again(&mut self, connection: &mut Connection, lost: &[Partition]) -> Result<(), String> {
        let at = |time| lost.iter().map(|partition| (partition.clone(), time)).collect::<Vec<_>>();
        let firsts = self.look_up(connection, &at(protocol::FIRST)).await?;
        let ends = self.look_up(connection, &at(protocol::END)).await?;
        for partition in lost {
            let (Some(first), Some(end)) = (firsts.get(partition), ends.get(partition)) else { continue };
            let Some(next) = self.next.get_mut(partition) else { continue };
            let name = self.to.name();
            if *next < *first {
                let last = first - 1;
                tracing::warn!(
                    "source `{name}`: {partition}: messages {next} to {last} were deleted before they were read"
                );
                *next = *first;
            } else if *next > *end {
                // It is another log: that of a topic, or of a cluster, that was made again.
                tracing::warn!(
                    "source `{name}`: {partition} ends at {end}, before {next}; it is read from its beginning"
                );
                *next = *first;
            }
            self.progress.store(partition, *next);
        }
        Ok(())
    }

    /// Stores what has arrived.
    async fn store(&self, mut arrived: VecDeque<Arrived<'_>>) -> Result<Result<(), Stopping>, String> {
        while !arrived.is_empty() {
            let (delivery, read) =
                self.delivery(&mut arrived).map_err(|error| format!("{}: {error}", self.broker.0))?;
            if self.to.deliver(delivery).await == Err(Stopping) {
                return Ok(Err(Stopping));
            }
            for (partition, offset) in read {
                self.progress.store(&partition, offset);
            }
        }
        Ok(Ok(()))
    }

    /// The records of the first messages, up to the limits, and the offsets after them.
    fn delivery(&self, arrived: &mut VecDeque<Arrived<'_>>) -> Result<(Delivery, Vec<(Partition, i64)>), String> {
        let mut read = BTreeMap::new();
        let mut delivery = self.to.compose(|composer| {
            let (mut taken, mut bytes) = (0, 0);
            while let Some(first) = arrived.front_mut()
                && taken < limits::BATCH_RECORDS
                && bytes < limits::BATCH_BYTES
            {
                let item = first.batches.next().map_err(|error| format!("{}: {error}", first.partition))?;
                let is_over = item.is_none();
                let composed = match item {
                    Some(Item::Message(message)) => {
                        taken += 1;
                        bytes += message.byte_len();
                        let origin = |composer: &mut Composer<'_, '_>| describe(composer, &first.partition, &message);
                        compose(composer, self.shared.format, message.value, origin)
                    }
                    Some(Item::Unreadable(why, sent)) => {
                        bytes += sent.len();
                        composer.reject(format!("{}: {why}", first.partition), sent.to_vec())
                    }
                    None => Ok(()),
                };
                composed.map_err(|error| format!("{}: {error}", first.partition))?;
                read.insert(first.partition.clone(), first.batches.next_offset());
                if is_over {
                    arrived.pop_front();
                }
            }
            Ok(())
        })?;
        // What has no records, such as the end of a transaction, is worth no frame.
        if !delivery.batch.is_empty() || !delivery.bad.is_empty() {
            delivery.positions = self.progress.take_forgotten();
            let positions = read.iter().filter_map(|(partition, offset)| {
                let Known { identity, .. } = self.cluster.topics.get(&partition.topic)?;
                Some(position(partition, &self.shared.group, *offset, identity))
            });
            delivery.positions.extend(positions);
        }
        Ok((delivery, read.into_iter().collect()))
    }
}

/// What a future returns; `None` if the generation ends before.
async fn unless_ended<T>(progress: &Progress, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = progress.ended() => None,
        value = future => Some(value),
    }
}

/// Asks for the next messages, first for those of another partition with each turn.
async fn ask(connection: &mut Connection, next: &BTreeMap<Partition, i64>, turn: usize) -> Result<(), String> {
    let mut offsets: Vec<_> =
        next.iter().filter(|(_, at)| **at >= 0).map(|(partition, at)| (partition.clone(), *at)).collect();
    let first = turn % offsets.len().max(1);
    offsets.rotate_left(first);
    let bounds = Bounds {
        wait_ms: i32::try_from(limits::KAFKA_WAIT.as_millis()).unwrap_or(i32::MAX),
        bytes: limits::KAFKA_FETCH_BYTES,
        partition_bytes: limits::KAFKA_PARTITION_BYTES,
    };
    connection.send(api::FETCH, &protocol::fetch_request(&offsets, bounds)).await
}

/// Adds where a message comes from.
fn describe(composer: &mut Composer<'_, '_>, partition: &Partition, message: &Message<'_>) -> Result<(), ComposeError> {
    if let Some(ns) = message.time_ns {
        composer.fallback_time(ns);
    }
    composer.entry(b"kafka", |value| {
        value.map(|map| {
            map.entry(b"topic").text(partition.topic.as_bytes());
            map.entry(b"partition").int(partition.number.into());
            map.entry(b"offset").int(message.offset);
            map.entry(b"id").text(format!("{partition}/{}", message.offset).as_bytes());
            if let Some(key) = message.key.filter(|key| str::from_utf8(key).is_ok()) {
                map.entry(b"key").text(key);
            }
            let is_text =
                |(name, value): &&(&[u8], &[u8])| str::from_utf8(name).is_ok() && str::from_utf8(value).is_ok();
            let mut headers = message.headers.iter().filter(is_text).peekable();
            if headers.peek().is_none() {
                return Ok(());
            }
            map.entry(b"headers").map(|map| {
                headers.for_each(|(name, value)| map.entry(name).text(value));
                Ok(())
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::destination::tests::destination;
    use crate::kafka::batches::tests::batch_with_header;
    use crate::kafka::connection::Access;
    use crate::message::Format;

    #[test]
    fn a_delivery_ends_where_values_and_headers_together_reach_its_limit() {
        let access = Access { tls: None, sasl: None, timeout: Duration::ZERO };
        let shared = Shared { access, group: "weir".to_owned(), format: Format::Auto };
        let (cluster, progress) = (Cluster::default(), Progress::new(BTreeMap::new(), Vec::new()));
        let (_stop, to) = destination();
        let broker = ("localhost".to_owned(), 9092);
        let reading =
            Reading { shared: &shared, cluster: &cluster, progress: &progress, to: &to, broker, next: BTreeMap::new() };
        let bytes = batch_with_header(0..5, "h".repeat(limits::BATCH_BYTES / 2).as_bytes());
        let partition = Partition { topic: "events".to_owned(), number: 0 };
        let batches = Batches::new(&bytes, Vec::new(), 0);
        let mut arrived = VecDeque::from([Arrived { partition: partition.clone(), batches }]);
        let (delivery, read) = reading.delivery(&mut arrived).expect("it can be read");
        assert_eq!((delivery.batch.len(), delivery.bad.len(), read), (2, 0, vec![(partition, 2)]));
    }
}
