//! A member of a consumer group: which partitions it has, and what the group has committed.
//!
//! The classic protocol, which all versions of Kafka speak: every member joins, the one that the coordinator calls the
//! leader divides the partitions, and heartbeats tell when to join again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::api::{self, Api, Code};
use super::cluster::Cluster;
use super::connection::{Access, Connection};
use super::protocol::{self, Joined, Member, Partition};
use crate::limits;

/// The way in which the leader divides. Members of other programs that divide otherwise are refused by the coordinator.
const ASSIGNOR: &str = "roundrobin";

/// A member, connected to the coordinator of its group.
pub(super) struct Group {
    connection: Connection,
    member: Member,
    session: Duration,
}

/// Whether the member keeps its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Member,
    /// It must join again.
    Out,
}

impl Group {
    /// Connects to the coordinator, for which any broker is asked.
    pub async fn find(
        access: &Access,
        any: &mut Connection,
        member: Member,
        session: Duration,
    ) -> Result<Group, String> {
        let api = api::FIND_COORDINATOR;
        let request = protocol::coordinator_request(&member.group);
        let (code, broker) = any.ask(api, &request, any.timeout(), protocol::coordinator).await?;
        any.refuse(api, code)?;
        Ok(Group { connection: access.connect(&broker.host, broker.port).await?, member, session })
    }

    /// The connection to the coordinator, which is a broker like others.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What the coordinator calls this member; empty if it doesn't know it.
    pub fn member_id(&self) -> &str {
        &self.member.id
    }

    /// Joins, and returns the partitions of this member.
    pub async fn join(&mut self, cluster: &Cluster) -> Result<Vec<Partition>, String> {
        let topics: Vec<String> = cluster.topics.keys().cloned().collect();
        for _ in 0..limits::KAFKA_JOINS {
            let joined = self.ask_to_join(&topics).await?;
            match joined.code {
                Code::NONE => {}
                Code::MEMBER_ID_REQUIRED => {
                    self.member.id = joined.member;
                    continue;
                }
                Code::UNKNOWN_MEMBER => {
                    self.member.id = String::new();
                    continue;
                }
                code => self.connection.refuse(api::JOIN_GROUP, code)?,
            }
            (self.member.generation, self.member.id) = (joined.generation, joined.member.clone());
            let is_leader = joined.leader == joined.member;
            let assignments = if is_leader { self.divide(&joined).await? } else { Vec::new() };
            let request = protocol::sync_request(&self.member, &assignments);
            let time = limits::KAFKA_REBALANCE + self.connection.timeout();
            let (code, assignment) = self.connection.ask(api::SYNC_GROUP, &request, time, protocol::synced).await?;
            if self.standing(api::SYNC_GROUP, code)? == Standing::Member {
                return protocol::assigned(&assignment).map_err(|_| "the leader's assignment is malformed".to_owned());
            }
        }
        Err(format!("{}: the group does not settle", self.connection.place()))
    }

    async fn ask_to_join(&mut self, topics: &[String]) -> Result<Joined, String> {
        let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let request = protocol::join_request(
            &self.member,
            milliseconds(self.session),
            milliseconds(limits::KAFKA_REBALANCE),
            ASSIGNOR,
            &protocol::subscription(topics),
        );
        // The answer comes once all members have joined, or their time is over.
        let time = limits::KAFKA_REBALANCE.max(self.session) + self.connection.timeout();
        self.connection.ask(api::JOIN_GROUP, &request, time, protocol::joined).await
    }

    /// As the leader: the assignment of each member.
    async fn divide(&mut self, joined: &Joined) -> Result<Vec<(String, Vec<u8>)>, String> {
        let members = joined.members.iter().map(|(id, subscription)| {
            let topics =
                protocol::subscribed(subscription).map_err(|_| format!("the subscription of `{id}` is malformed"));
            Ok((id.clone(), topics?.into_iter().collect()))
        });
        let members: BTreeMap<String, BTreeSet<String>> = members.collect::<Result<_, String>>()?;
        // Those of members that want others, too.
        let topics: BTreeSet<&String> = members.values().flatten().collect();
        let topics: Vec<String> = topics.into_iter().cloned().collect();
        let cluster = Cluster::look(&mut self.connection, &topics).await?;
        let divided = divide(&members, cluster.partitions(|_| true));
        Ok(divided.into_iter().map(|(id, partitions)| (id, protocol::assignment(&partitions))).collect())
    }

    fn standing(&mut self, api: Api, code: Code) -> Result<Standing, String> {
        match code {
            Code::NONE => return Ok(Standing::Member),
            Code::REBALANCE | Code::ILLEGAL_GENERATION => {}
            Code::UNKNOWN_MEMBER => self.member.id = String::new(),
            code => self.connection.refuse(api, code)?,
        }
        Ok(Standing::Out)
    }

    /// Says that this member is alive.
    pub async fn beat(&mut self) -> Result<Standing, String> {
        let (api, request) = (api::HEARTBEAT, protocol::heartbeat_request(&self.member));
        let time = self.connection.timeout();
        let code = self.connection.ask(api, &request, time, protocol::only_code).await?;
        self.standing(api, code)
    }

    /// Commits offsets. If the member is out, those that follow read from the last ones.
    pub async fn commit(&mut self, offsets: &[(Partition, i64)]) -> Result<Standing, String> {
        let (api, request) = (api::OFFSET_COMMIT, protocol::commit_request(&self.member, offsets));
        let time = self.connection.timeout();
        let codes = self.connection.ask(api, &request, time, protocol::committed).await?;
        let mut standing = Standing::Member;
        for (_, code) in codes {
            if self.standing(api, code)? == Standing::Out {
                standing = Standing::Out;
            }
        }
        Ok(standing)
    }

    /// The offsets that the group has committed.
    pub async fn offsets(&mut self, partitions: &[Partition]) -> Result<BTreeMap<Partition, i64>, String> {
        let (api, request) = (api::OFFSET_FETCH, protocol::offsets_request(&self.member.group, partitions));
        let time = self.connection.timeout();
        let (code, offsets) = self.connection.ask(api, &request, time, protocol::offsets).await?;
        self.connection.refuse(api, code)?;
        let mut committed = BTreeMap::new();
        for (partition, (offset, code)) in offsets {
            self.connection.refuse(api, code)?;
            if offset >= 0 {
                committed.insert(partition, offset);
            }
        }
        Ok(committed)
    }

    /// Leaves, so that others take over at once. A member with a name of its own is waited for instead.
    pub async fn leave(&mut self) -> Result<(), String> {
        if self.member.instance.is_some() || self.member.id.is_empty() {
            return Ok(());
        }
        let (api, request) = (api::LEAVE_GROUP, protocol::leave_request(&self.member));
        let time = self.connection.timeout();
        let code = self.connection.ask(api, &request, time, protocol::only_code).await?;
        self.standing(api, code)?;
        self.member.id = String::new();
        Ok(())
    }
}

/// Gives each partition to the member with the fewest of those that want its topic.
fn divide(
    members: &BTreeMap<String, BTreeSet<String>>,
    partitions: Vec<Partition>,
) -> BTreeMap<String, Vec<Partition>> {
    let mut divided: BTreeMap<String, Vec<Partition>> = members.keys().map(|id| (id.clone(), Vec::new())).collect();
    for partition in partitions {
        let wants = |id: &String| members.get(id).is_some_and(|topics| topics.contains(&partition.topic));
        let fewest = divided.iter_mut().filter(|(id, _)| wants(id)).min_by_key(|(_, given)| given.len());
        if let Some((_, given)) = fewest {
            given.push(partition);
        }
    }
    divided
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_divided_evenly_among_those_that_want_them() {
        let topics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let partition = |topic: &str, number| Partition { topic: topic.to_owned(), number };
        let all: Vec<_> = ["a", "b"].iter().flat_map(|topic| (0..5).map(|number| partition(topic, number))).collect();
        let mut members: BTreeMap<_, _> =
            ["one", "two", "three"].map(|id| (id.to_owned(), topics(&["a", "b"]))).into_iter().collect();
        let divided = divide(&members, [all.clone(), vec![partition("c", 0)]].concat());
        assert!(divided.values().all(|given| (3..=4).contains(&given.len())), "{divided:?}");
        let mut given: Vec<_> = divided.into_values().flatten().collect();
        given.sort();
        assert_eq!(given, all);
        members.insert("four".to_owned(), topics(&["b"]));
        let divided = divide(&members, all);
        assert!(divided["four"].len() >= 2 && divided["four"].iter().all(|given| given.topic == "b"), "{divided:?}");
    }
}
