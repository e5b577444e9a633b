//! What a cluster has of the wanted topics: their partitions, and who leads them.

use std::collections::BTreeMap;

use super::api;
use super::connection::Connection;
use super::protocol::{self, Partition};
use crate::docker::is_like;

/// A cluster, as one of its brokers sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Host and port of each broker.
    brokers: BTreeMap<i32, (String, u16)>,
    /// Those of the wanted topics that exist.
    pub topics: BTreeMap<String, Known>,
    /// Those that don't, by name.
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The id of the topic, or of its cluster if that has none of topics. One that was made again has another id.
    pub identity: Vec<u8>,
    /// The leader of each partition.
    leaders: BTreeMap<i32, i32>,
}

impl Cluster {
    /// Asks for the topics that have these names or match these patterns.
    pub async fn look(connection: &mut Connection, wanted: &[String]) -> Result<Cluster, String> {
        let api = match connection.understands(api::METADATA_WITH_IDS) {
            true => api::METADATA_WITH_IDS,
            false => api::METADATA,
        };
        let are_names = wanted.iter().all(|wanted| !wanted.contains('*'));
        let request = protocol::metadata_request(api, are_names.then_some(wanted));
        let time = connection.timeout();
        let found = connection.ask(api, &request, time, |answer| protocol::metadata(api, answer)).await?;
        let cluster_id = found.cluster.unwrap_or_default();
        let brokers = found.brokers.into_iter().map(|broker| (broker.id, (broker.host, broker.port))).collect();
        let mut cluster = Cluster { brokers, ..Cluster::default() };
        for topic in found.topics {
            let is_wanted = |wanted: &String| {
                *wanted == topic.name
                    || !topic.is_internal && !topic.name.starts_with("__") && is_like(wanted, &topic.name)
            };
            if topic.partitions.is_empty() || !wanted.iter().any(is_wanted) {
                // It does not exist, or will soon.
                if !topic.code.is_moved() && wanted.contains(&topic.name) {
                    connection.refuse(api, topic.code).map_err(|error| format!("topic `{}`: {error}", topic.name))?;
                }
                continue;
            }
            let identity = if topic.id == [0; 16] { cluster_id.clone().into_bytes() } else { topic.id.to_vec() };
            let leaders = topic.partitions.into_iter().collect();
            cluster.topics.insert(topic.name, Known { identity, leaders });
        }
        let is_missing = |wanted: &&String| !wanted.contains('*') && !cluster.topics.contains_key(*wanted);
        cluster.missing = wanted.iter().filter(is_missing).cloned().collect();
        Ok(cluster)
    }

    /// All partitions of the topics for which `is_wanted` is true.
    pub fn partitions(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Partition> {
        let topics = self.topics.iter().filter(|(name, _)| is_wanted(name));
        let of = |(name, known): (&String, &Known)| {
            let name = name.clone();
            known
                .leaders
                .keys()
                .map(move |number| Partition { topic: name.clone(), number: *number })
                .collect::<Vec<_>>()
        };
        topics.flat_map(of).collect()
    }

    /// Host and port of the leader; `None` if the partition has none at the moment.
    pub fn leader(&self, partition: &Partition) -> Option<&(String, u16)> {
        let leader = self.topics.get(&partition.topic)?.leaders.get(&partition.number)?;
        self.brokers.get(leader)
    }

    /// Whether both have the same topics with the same partitions, whoever leads them.
    pub fn has_same_partitions(&self, other: &Cluster) -> bool {
        let of = |cluster: &Cluster| {
            (
                cluster.partitions(|_| true),
                cluster.topics.values().map(|known| known.identity.clone()).collect::<Vec<_>>(),
            )
        };
        of(self) == of(other)
    }
}
