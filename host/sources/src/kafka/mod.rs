//! The `kafka` source: takes the messages of topics as a member of a consumer group.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | from one generation of the group to the next |
//! | `options.rs` | the options |
//! | `group.rs` | a member of a group: joining, dividing, heartbeats, committing |
//! | `cluster.rs` | topics, partitions and their leaders |
//! | `fetch.rs` | what one broker leads, to the destination |
//! | `progress.rs` | how far partitions are read, and where they are continued |
//! | `batches.rs`, `compression.rs` | what a broker sends, as messages |
//! | `connection.rs`, `scram.rs` | a connection with TLS and SASL |
//! | `api.rs`, `protocol.rs`, `wire.rs` | requests and answers, and their encoding |
//!
//! Any number of routers share a group; each partition is read by one of them. The offset of a partition is stored in the
//! same frame of the journal as its records, and committed to the group after that: **one router stores each message once**,
//! whoever was killed. If partitions go from a router that has died to others, these repeat what it had stored and not
//! committed; so for several routers with one database, the record carries its place too (`kafka.id`), and the `postgres`
//! sink can be told to store each once (`unique = "kafka.id"`).
//!
//! The protocol is spoken here, with the thirteen requests that a consumer needs: the libraries would add 110 s
//! (`rdkafka`) or 140 s (`krafka`) of processor time to a first build.
//!
//! Invariant: what is committed to the group is durable in the journal of the router that commits it.

mod api;
mod batches;
mod cluster;
mod compression;
mod connection;
mod fetch;
mod group;
mod options;
mod progress;
mod protocol;
mod scram;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{try_join, try_join_all};
use tokio::sync::Notify;
use tokio::time::{Instant, interval, sleep, timeout};

use self::cluster::Cluster;
use self::connection::{Access, Connection};
use self::fetch::Reading;
use self::group::{Group, Standing};
use self::options::{Options, Start};
use self::progress::{End, Own, Progress};
use self::protocol::{Member, Partition};
use crate::destination::{Destination, Position};
use crate::limits;
use crate::message::Format;
use crate::registry::{Kind, options, schema_of};
use crate::source::Source;

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "kafka",
    summary: "takes the messages of Kafka topics as a member of a consumer group",
    example: r#"[source.events]
type = "kafka"
brokers = ["localhost:9092"]     # some of them: they name the others
topics = ["log.entry", "app-*"]
group = "weir"                   # routers in the same group share the partitions
start = "beginning"              # of topics that the group has not read yet
"#,
    schema: schema_of::<Options>,
    build: |name, value, _| Kafka::new(name, options(name, value)?).map(|source| Box::new(source) as Box<dyn Source>),
};

struct Kafka {
    /// Host and port of each.
    brokers: Vec<(String, u16)>,
    topics: Vec<String>,
    starts_at_end: bool,
    instance: Option<String>,
    session: Duration,
    shared: Shared,
    /// What the coordinator calls this member, from one run to the next, so that it does not wait for the earlier one.
    member_id: Mutex<String>,
}

/// What everything that reads needs.
struct Shared {
    access: Access,
    group: String,
    format: Format,
}

impl Kafka {
    fn new(name: &str, options: Options) -> Result<Kafka, String> {
        let refuse = |error: &str| Err(format!("source `{name}`: {error}"));
        let address = |text: &String| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some((host.to_owned(), port.parse().ok()?)).filter(|(host, port)| !host.is_empty() && *port > 0)
        };
        let brokers: Option<Vec<(String, u16)>> = options.brokers.iter().map(address).collect();
        let Some(brokers) = brokers.filter(|brokers| !brokers.is_empty()) else {
            return refuse("`brokers` must be a list of `host:port`");
        };
        let is_name = |name: &String| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte);
            (1..=limits::KAFKA_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_allowed)
        };
        if options.topics.is_empty() || !options.topics.iter().all(is_name) {
            return refuse(
                "`topics` must be a list of names of letters, digits, `.`, `_` and `-`, in which `*` stands for any",
            );
        }
        let has_length = |text: &String| (1..=limits::KAFKA_NAME_BYTES).contains(&text.len());
        if !has_length(&options.group) || !options.instance.as_ref().is_none_or(has_length) {
            return refuse("`group` and `instance` must have 1 to 249 bytes");
        }
        if options.timeout.duration().is_zero() || options.session.duration() < limits::KAFKA_MIN_SESSION {
            return refuse("`timeout` must be more than 0, and `session` at least 1s");
        }
        let sasl = match (options.sasl, options.user, options.password) {
            (Some(mechanism), Some(user), Some(password)) => Some((mechanism, user, password)),
            (None, None, None) => None,
            _ => return refuse("`sasl`, `user` and `password` must be given together"),
        };
        if options.tls.as_ref().is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()) {
            return refuse("`tls` needs both `certificate` and `key`, or neither");
        }
        let access = Access { tls: options.tls, sasl, timeout: options.timeout.duration() };
        Ok(Kafka {
            brokers,
            topics: options.topics,
            starts_at_end: options.start == Start::End,
            instance: options.instance,
            session: options.session.duration(),
            shared: Shared { access, group: options.group, format: options.format },
            member_id: Mutex::default(),
        })
    }

    fn keep_member_id(&self, group: &Group) {
        *self.member_id.lock().unwrap_or_else(PoisonError::into_inner) = group.member_id().to_owned();
    }

    /// Connects to the first broker that answers.
    async fn any(&self) -> Result<Connection, String> {
        let mut errors = Vec::new();
        for (host, port) in &self.brokers {
            match self.shared.access.connect(host, *port).await {
                Ok(connection) => return Ok(connection),
                Err(error) => errors.push(error),
            }
        }
        Err(errors.join("; "))
    }

    async fn group(&self) -> Result<Group, String> {
        let mut any = self.any().await?;
        let id = self.member_id.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let member = Member { group: self.shared.group.clone(), generation: -1, id, instance: self.instance.clone() };
        Group::find(&self.shared.access, &mut any, member, self.session).await
    }

    /// Reads for as long as this member has its partitions.
    async fn generation(&self, group: &mut Group, to: &Destination) -> Result<End, String> {
        let prepared = tokio::select! {
            biased;
            () = to.stopped() => None,
            prepared = self.prepare(group, to) => Some(prepared),
        };
        self.keep_member_id(group);
        let Some(prepared) = prepared else {
            // A request may be on its way, so the connection is of no use for the last one.
            *group = self.group().await?;
            return Ok(End::Stop);
        };
        let Prepared { mut cluster, forgotten, mut known, mut next } = prepared?;
        loop {
            let progress = Progress::new(known, forgotten.clone());
            let done = Notify::new();
            let reading = async {
                let read = self.read(&cluster, &progress, &next, to).await;
                done.notify_one();
                read
            };
            // The membership is kept until everything that was read is stored.
            let (read, kept) = tokio::join!(reading, self.keep(group, &cluster, &progress, &done));
            kept?;
            let left = progress.to_commit();
            if !left.is_empty() {
                group.commit(&left).await?;
                progress.committed(left);
            }
            match read? {
                End::Moved => {}
                end => return Ok(end),
            }
            next.extend(progress.stored());
            known = progress.into_committed();
            sleep(limits::KAFKA_MOVED).await;
            cluster = Cluster::look(group.connection(), &self.topics).await?;
        }
    }

    /// Joins the group, and finds out where to continue.
    async fn prepare(&self, group: &mut Group, to: &Destination) -> Result<Prepared, String> {
        let cluster = Cluster::look(group.connection(), &self.topics).await?;
        if cluster.topics.is_empty() {
            let (place, topics) = (group.connection().place(), self.topics.join(", "));
            return Err(format!("{place}: no topic has a name of `topics`: {topics}"));
        }
        if !cluster.missing.is_empty() {
            tracing::warn!("source `{}`: there is no topic {}", to.name(), cluster.missing.join(", "));
        }
        // First of all, so that nothing of an earlier generation is on its way.
        let own = Own::new(to.positions().await, &self.shared.group);
        let assigned = group.join(&cluster).await?;
        let is_assigned = |topic: &str| assigned.iter().any(|partition| partition.topic == topic);
        let known = group.offsets(&cluster.partitions(is_assigned)).await?;
        let next = own.continue_at(&assigned, &cluster, &known, self.starts_at_end);
        let list: Vec<String> = assigned.iter().map(Partition::to_string).collect();
        tracing::info!("source `{}` reads {} partitions: {}", to.name(), list.len(), list.join(" "));
        Ok(Prepared { cluster, forgotten: own.forgotten(&self.topics), known, next })
    }

    /// Reads these partitions from their leaders until the generation ends.
    async fn read(
        &self,
        cluster: &Cluster,
        progress: &Progress,
        next: &BTreeMap<Partition, i64>,
        to: &Destination,
    ) -> Result<End, String> {
        let mut leaders: BTreeMap<_, BTreeMap<Partition, i64>> = BTreeMap::new();
        let mut is_complete = true;
        for (partition, at) in next {
            match cluster.leader(partition) {
                Some(leader) => _ = leaders.entry(leader.clone()).or_default().insert(partition.clone(), *at),
                None => is_complete = false,
            }
        }
        let is_alone = leaders.len() == 1;
        let readings = leaders.into_iter().map(|(broker, next)| async move {
            let read = Reading { shared: &self.shared, cluster, progress, to, broker, next }.run().await;
            if read.is_err() && !is_alone {
                // Others can be read meanwhile.
                _ = timeout(limits::KAFKA_TOGETHER, progress.ended()).await;
            }
            read
        });
        let until_ended = async {
            if !is_complete && timeout(limits::KAFKA_LEADERLESS, progress.ended()).await.is_err() {
                progress.end(End::Moved);
            }
            Ok(progress.ended().await)
        };
        let stop = async {
            to.stopped().await;
            progress.end(End::Stop);
            std::future::pending().await
        };
        // What is not stored by then may still be: the positions are read after that.
        let too_late = async {
            let end = progress.ended().await;
            sleep(limits::KAFKA_LAST).await;
            Ok(end.max(End::Rebalance))
        };
        tokio::select! {
            biased;
            read = try_join(try_join_all(readings), until_ended) => read.map(|(_, end)| end),
            end = too_late => end,
            end = stop => end,
        }
    }

    /// Keeps the membership until `done`, and commits what is stored. If it can't, the generation ends.
    async fn keep(
        &self,
        group: &mut Group,
        cluster: &Cluster,
        progress: &Progress,
        done: &Notify,
    ) -> Result<(), String> {
        let mut beats = interval((self.session / 4).min(limits::KAFKA_COMMIT));
        let mut looked = Instant::now();
        loop {
            // Only here: a request that was begun is answered before the connection is used again.
            tokio::select! {
                () = done.notified() => return Ok(()),
                _ = beats.tick() => {}
            }
            let standing = self.beat(group, cluster, progress, &mut looked).await.inspect_err(|_| {
                progress.end(End::Rebalance);
            })?;
            if standing == Standing::Out {
                progress.end(End::Rebalance);
            }
        }
    }

    async fn beat(
        &self,
        group: &mut Group,
        cluster: &Cluster,
        progress: &Progress,
        looked: &mut Instant,
    ) -> Result<Standing, String> {
        let offsets = progress.to_commit();
        let mut standing = group.beat().await?;
        if standing == Standing::Member && !offsets.is_empty() {
            standing = group.commit(&offsets).await?;
            if standing == Standing::Member {
                progress.committed(offsets);
            }
        }
        if standing == Standing::Member && looked.elapsed() >= limits::KAFKA_REFRESH {
            *looked = Instant::now();
            if !Cluster::look(group.connection(), &self.topics).await?.has_same_partitions(cluster) {
                standing = Standing::Out;
            }
        }
        Ok(standing)
    }
}

impl Kafka {
    /// Is a member of the group until the source is to stop.
    async fn take_part(&self, to: &Destination) -> Result<(), String> {
        let mut group = tokio::select! {
            biased;
            () = to.stopped() => return Ok(()),
            group = self.group() => group?,
        };
        loop {
            let end = self.generation(&mut group, to).await;
            self.keep_member_id(&group);
            if end? == End::Stop {
                break;
            }
        }
        let left = group.leave().await;
        self.keep_member_id(&group);
        left
    }
}

/// What a generation begins with.
struct Prepared {
    cluster: Cluster,
    /// Positions that are no longer needed.
    forgotten: Vec<Position>,
    /// The offsets that the group has committed.
    known: BTreeMap<Partition, i64>,
    /// Where the partitions of this member are continued.
    next: BTreeMap<Partition, i64>,
}

#[async_trait]
impl Source for Kafka {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let too_late = async {
            to.stopped().await;
            sleep(limits::KAFKA_LEAVE).await;
        };
        tokio::select! {
            biased;
            ended = self.take_part(&to) => ended,
            () = too_late => {
                tracing::warn!("source `{}` could not leave its group, which waits for it", to.name());
                Ok(())
            }
        }
    }
}
