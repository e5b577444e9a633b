//! How far the partitions are read, and where a partition is to be continued.
//!
//! Two places know it: the group, which the cluster keeps, and the positions in the router's own journal, which are in the
//! same frames as the records. **The larger one is right.** The own one is ahead after a crash between storing and
//! committing. The group's one is ahead if another router has had the partition in between, and what lies before it
//! is stored there. Neither is ever ahead of what is stored somewhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::cluster::Cluster;
use super::protocol::{self, Partition};
use crate::destination::Position;
use crate::docker::is_like;

/// Why the partitions of a generation are read no further. Later ones matter more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Partitions have other leaders.
    Moved,
    /// The group divides its partitions again.
    Rebalance,
    /// The source is to stop.
    Stop,
}

/// What those that read have in common.
pub(super) struct Progress {
    end: watch::Sender<Option<End>>,
    /// The offset to commit of each partition.
    stored: Mutex<BTreeMap<Partition, i64>>,
    /// Those that the group knows.
    committed: Mutex<BTreeMap<Partition, i64>>,
    /// Positions that are no longer needed.
    forgotten: Mutex<Vec<Position>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic leaves nothing half done in here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    pub fn new(committed: BTreeMap<Partition, i64>, forgotten: Vec<Position>) -> Progress {
        Progress {
            end: watch::Sender::new(None),
            stored: Mutex::default(),
            committed: Mutex::new(committed),
            forgotten: Mutex::new(forgotten),
        }
    }

    /// Nothing more is read; what was read is still stored.
    pub fn end(&self, why: End) {
        self.end.send_if_modified(|end| {
            let is_more = *end < Some(why);
            if is_more {
                *end = Some(why);
            }
            is_more
        });
    }

    /// Completes once nothing more is to be read.
    pub async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        // The sender lives as long as this.
        end.wait_for(Option::is_some).await.ok().and_then(|end| *end).unwrap_or(End::Stop)
    }

    /// Everything before this offset of a partition is stored.
    pub fn store(&self, partition: &Partition, offset: i64) {
        lock(&self.stored).insert(partition.clone(), offset);
    }

    pub fn stored(&self) -> BTreeMap<Partition, i64> {
        lock(&self.stored).clone()
    }

    /// What the group does not know yet.
    pub fn to_commit(&self) -> Vec<(Partition, i64)> {
        let committed = lock(&self.committed);
        let stored = lock(&self.stored);
        let is_new = |(partition, offset): &(&Partition, &i64)| committed.get(partition) != Some(offset);
        stored.iter().filter(is_new).map(|(partition, offset)| (partition.clone(), *offset)).collect()
    }

    pub fn committed(&self, offsets: Vec<(Partition, i64)>) {
        lock(&self.committed).extend(offsets);
    }

    /// The offsets that the group knows.
    pub fn into_committed(self) -> BTreeMap<Partition, i64> {
        self.committed.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take_forgotten(&self) -> Vec<Position> {
        std::mem::take(&mut lock(&self.forgotten))
    }
}

/// The positions in the journal. Key: topic, partition and group; value: the offset to continue at, and the identity of the
/// topic.
pub(super) struct Own {
    positions: Vec<Position>,
    group: String,
}

impl Own {
    pub fn new(positions: Vec<Position>, group: &str) -> Own {
        Own { positions, group: group.to_owned() }
    }

    /// The offset to continue at, unless the topic was made again.
    fn offset(&self, partition: &Partition, identity: &[u8]) -> Option<i64> {
        let key = key(partition, &self.group);
        let position = self.positions.iter().find(|position| position.key == key)?;
        let (offset, of) = position.value.as_ref()?.split_first_chunk()?;
        (of == identity).then_some(i64::from_le_bytes(*offset))
    }

    /// Deletions of those of topics and groups that are no longer configured.
    pub fn forgotten(&self, wanted: &[String]) -> Vec<Position> {
        let is_read = |key: &[u8]| {
            let mut parts = str::from_utf8(key).unwrap_or_default().splitn(3, '/');
            let topic = parts.next().unwrap_or_default();
            parts.nth(1) == Some(self.group.as_str()) && wanted.iter().any(|wanted| is_like(wanted, topic))
        };
        let left = self.positions.iter().filter(|position| !is_read(&position.key));
        left.map(|position| Position { key: position.key.clone(), value: None }).collect()
    }

    /// The offset at which to continue each of these partitions of the cluster; a time that stands for one if nobody has
    /// read the partition.
    pub fn continue_at(
        &self,
        assigned: &[Partition],
        cluster: &Cluster,
        committed: &BTreeMap<Partition, i64>,
        starts_at_end: bool,
    ) -> BTreeMap<Partition, i64> {
        let own = |partition: &Partition| self.offset(partition, &cluster.topics.get(&partition.topic)?.identity);
        let continued = |partition: &Partition| own(partition).max(committed.get(partition).copied());
        let start = |partition: &Partition| {
            // A partition that was added to a topic that is read already is new from its beginning.
            let others = cluster.partitions(|topic| topic == partition.topic);
            let is_known = others.iter().any(|other| continued(other).is_some());
            if starts_at_end && !is_known { protocol::END } else { protocol::FIRST }
        };
        let at = |partition: &Partition| continued(partition).unwrap_or_else(|| start(partition));
        assigned.iter().map(|partition| (partition.clone(), at(partition))).collect()
    }
}

fn key(partition: &Partition, group: &str) -> Vec<u8> {
    format!("{partition}/{group}").into_bytes()
}

/// A position, as it is stored.
pub(super) fn position(partition: &Partition, group: &str, offset: i64, identity: &[u8]) -> Position {
    Position { key: key(partition, group), value: Some([&offset.to_le_bytes()[..], identity].concat()) }
}
