//! The `nats` source: takes the messages of a JetStream stream, or of plain subjects, as records.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options; from a consumer or a subscription to the destination |
//! | `message.rs` | where a message comes from, in its record |
//! | `seen.rs` | the messages of a stream that are stored |
//! | `waiting.rs` | the messages of plain subjects that are not stored yet |
//!
//! Of a stream: a durable pull consumer, created if missing, which any number of routers can share; the server gives each
//! message to one of them. A message is acknowledged when its record is in the journal. What the server delivers again, to
//! this router, is recognised by its number in the stream, which is stored with the record: **one router stores each
//! message once**, whoever was killed. If a router dies, the others get what it had not acknowledged, which it may
//! have stored; so for several routers with one database, the record carries the number too (`nats.id`), and the
//! `postgres` sink can be told to store each once (`unique = "nats.id"`).
//!
//! Of plain subjects, the server keeps nothing: what is published while no router is subscribed is not received, and
//! what exceeds the room for those that wait is dropped.

mod message;
mod seen;
mod waiting;

use std::iter;
use std::path::PathBuf;
use std::pin::pin;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{self, AckPolicy, PullConsumer, pull};
use async_trait::async_trait;
use futures::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_document::Secret;
use weir_document::units::TimeSpan;
use weir_nats::{Access, Address, Certificates, Link};

use self::message::Origin;
use self::seen::Seen;
use self::waiting::Waiting;
use crate::destination::{Delivery, Destination, Position, Stopping};
use crate::limits;
use crate::message::{Format, compose};
use crate::registry::{Kind, options, schema_of};
use crate::socket::Tls;
use crate::source::Source;

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "nats",
    summary: "takes the messages of a NATS JetStream stream or of plain NATS subjects",
    example: r#"[source.bus]
type = "nats"
url = "nats://localhost:4222"    # several: "nats://a:4222,nats://b:4222"
stream = "LOGS"                  # without it, plain subjects: `subject`
consumer = "weir"                # durable; routers with the same name share the messages
"#,
    schema: schema_of::<Options>,
    build: |name, value, _| Nats::new(name, options(name, value)?).map(|source| Box::new(source) as Box<dyn Source>),
};

/// Options of a `nats` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The server, `nats://host:4222` or `tls://host:4222`; several separated by commas.
    url: Secret,
    /// The JetStream stream whose messages are taken. Without it, plain subjects are subscribed to.
    #[schemars(length(min = 1))]
    stream: Option<String>,
    /// The name of the durable consumer of `stream`, created if missing; for plain subjects, of the queue group. Routers
    /// with the same name share the messages.
    #[schemars(length(min = 1))]
    consumer: String,
    /// Which subjects: of a stream, all if this is left out.
    #[schemars(length(min = 1), example = &"logs.>")]
    subject: Option<String>,
    /// What a message holds: one JSON object or one MessagePack map is a record (`auto` tells which, and takes anything
    /// else as text); `json` and `msgpack` put anything else into the quarantine; `text` is the message of a record.
    format: Format,
    /// After this time, the server gives a message that is not acknowledged to a router again. Default: 30s for a
    /// consumer that is created.
    ack_wait: Option<TimeSpan>,
    /// The user.
    user: Option<String>,
    /// The user's password.
    password: Option<Secret>,
    /// A token, in place of user and password.
    token: Option<Secret>,
    /// A `.creds` file with a JWT and its key.
    credentials: Option<PathBuf>,
    /// TLS, which a `tls://` in `url` requests too; here `ca` replaces the system's authorities.
    tls: Option<Tls>,
    /// Time limit for a connection or an answer.
    timeout: TimeSpan,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "nats://localhost:4222".to_owned().into(),
            stream: None,
            consumer: "weir".to_owned(),
            subject: None,
            format: Format::Auto,
            ack_wait: None,
            user: None,
            password: None,
            token: None,
            credentials: None,
            tls: None,
            timeout: TimeSpan(limits::NATS_TIMEOUT),
        }
    }
}

struct Nats {
    address: Address,
    options: Options,
}

impl Nats {
    fn new(name: &str, options: Options) -> Result<Nats, String> {
        let refuse = |error: &str| Err(format!("source `{name}`: {error}"));
        if options.stream.is_none() && options.subject.is_none() {
            return refuse("set `stream`, or `subject` for plain subjects");
        }
        let is_name = |name: &str| !name.contains(['.', '*', '>', ' ', '/', '\\']);
        if !options.stream.as_deref().is_none_or(is_name) || !is_name(&options.consumer) {
            return refuse("names of streams and consumers contain no dots, spaces, slashes or wildcards");
        }
        let is_short = |time: TimeSpan| time.duration() < limits::NATS_MIN_ACK_WAIT;
        if options.timeout.duration().is_zero() || options.ack_wait.is_some_and(is_short) {
            return refuse("`timeout` must be more than 0, and `ack_wait` at least 1s");
        }
        let tls = options.tls.clone().map(|Tls { ca, certificate, key }| Certificates { ca, certificate, key });
        let access = Access {
            url: Some(options.url.clone()),
            user: options.user.clone(),
            password: options.password.clone(),
            token: options.token.clone(),
            credentials: options.credentials.clone(),
            tls,
            timeout: options.timeout.duration(),
        };
        Ok(Nats { address: Address::new(&format!("source `{name}`"), access)?, options })
    }

    fn fault(&self, what: &str, error: &dyn std::fmt::Display) -> String {
        format!("{}: {what}: {error}", self.address.place())
    }

    /// The consumer, and what identifies its stream: a stream that was deleted and made again counts from one.
    async fn consumer(&self, link: &Link, stream: &str) -> Result<(PullConsumer, Vec<u8>), String> {
        let found = link.context().get_stream(stream).await;
        let found = found.map_err(|error| self.fault(&format!("stream `{stream}`"), &error))?;
        let identity = format!("{stream} {}", found.cached_info().created.unix_timestamp_nanos());
        let wanted = pull::Config {
            durable_name: Some(self.options.consumer.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.options.ack_wait.map_or(limits::NATS_ACK_WAIT, |TimeSpan(time)| time),
            filter_subject: self.options.subject.clone().unwrap_or_default(),
            max_ack_pending: limits::NATS_PENDING,
            ..pull::Config::default()
        };
        let consumer = found.get_or_create_consumer(&self.options.consumer, wanted).await;
        let what = format!("consumer `{}`", self.options.consumer);
        let consumer = consumer.map_err(|error| self.fault(&what, &error))?;
        // It may have existed.
        match refusal(&self.options, &consumer.cached_info().config, &found.cached_info().config.subjects) {
            Some(why) => Err(self.fault(&what, &why)),
            None => Ok((consumer, identity.into_bytes())),
        }
    }

    async fn consume(&self, link: &Link, stream: &str, to: &Destination) -> Result<(), String> {
        let (consumer, identity) = self.consumer(link, stream).await?;
        let (now, before): (Vec<_>, Vec<_>) =
            to.positions().await.into_iter().partition(|position| position.key == identity);
        let mut seen =
            now.iter().find_map(|position| position.value.as_deref()).map_or_else(Seen::default, Seen::decode);
        // Of streams that were made again, or are no longer configured.
        let mut forgotten: Vec<Position> =
            before.into_iter().map(|position| Position { value: None, ..position }).collect();
        let pulls = consumer.stream().max_messages_per_batch(limits::BATCH_RECORDS);
        let messages = pulls.max_bytes_per_batch(limits::NATS_PULL_BYTES).messages().await;
        let messages = messages.map_err(|error| self.fault("can't take messages", &error))?;
        let mut arrived = messages.ready_chunks(limits::BATCH_RECORDS);
        while let Some(messages) = arrived.next().await {
            let messages: Result<Vec<Message>, _> = messages.into_iter().collect();
            let messages = messages.map_err(|error| self.fault("can't take messages", &error))?;
            let mut rest = &messages[..];
            while !rest.is_empty() {
                let of_stream = rest.iter().map(|message| self.of_stream(message));
                let (mut delivery, taken) = self.delivery(of_stream, &mut seen, to)?;
                if !delivery.batch.is_empty() || !delivery.bad.is_empty() {
                    delivery.positions.append(&mut forgotten);
                    delivery.positions.push(Position { key: identity.clone(), value: Some(seen.encode()) });
                }
                if to.deliver(delivery).await == Err(Stopping) {
                    return Ok(());
                }
                let (stored, later) = rest.split_at(taken);
                for message in stored {
                    message.ack().await.map_err(|error| self.fault("can't acknowledge", &error))?;
                }
                rest = later;
            }
        }
        Err(self.fault("can't take messages", &"the consumer was deleted"))
    }

    /// What a message of a stream holds, and where it comes from.
    fn of_stream<'m>(&self, message: &'m Message) -> Result<(&'m [u8], Origin<'m>), String> {
        let info = message.info().map_err(|error| self.fault("not a message of a stream", &error))?;
        let origin = Origin { subject: &message.subject, stream: Some((info.stream, info.stream_sequence)) };
        Ok((&message.payload[..], origin))
    }

    /// The records of the first of these messages that are not stored yet, up to the limits. Returns how many messages
    /// that are.
    fn delivery<'m>(
        &self,
        messages: impl Iterator<Item = Result<(&'m [u8], Origin<'m>), String>>,
        seen: &mut Seen,
        to: &Destination,
    ) -> Result<(Delivery, usize), String> {
        let (mut taken, mut bytes) = (0, 0);
        let delivery = to.compose(|composer| {
            for message in messages.take(limits::BATCH_RECORDS) {
                let (payload, origin) = message?;
                if taken > 0 && bytes + payload.len() > limits::BATCH_BYTES {
                    break;
                }
                taken += 1;
                bytes += payload.len();
                if let Some((_, number)) = origin.stream {
                    if seen.contains(number) {
                        continue;
                    }
                    seen.insert(number);
                }
                let composed = compose(composer, self.options.format, payload, |composer| origin.add_to(composer));
                composed.map_err(|error| self.fault("can't read messages", &error))?;
            }
            Ok(())
        })?;
        Ok((delivery, taken))
    }

    async fn subscribe(&self, link: &Link, subject: &str, to: &Destination) -> Result<(), String> {
        let subscription = link.client().queue_subscribe(subject.to_owned(), self.options.consumer.clone()).await;
        let mut subscription =
            subscription.map_err(|error| self.fault(&format!("can't subscribe to `{subject}`"), &error))?;
        let ended = || self.fault(&format!("can't receive from `{subject}`"), &"the subscription has ended");
        let mut waiting = Waiting::new(to.name());
        loop {
            let first = subscription.next().await;
            waiting.add(first.ok_or_else(ended)?);
            while !waiting.is_empty() {
                let messages = waiting.messages().map(|message| {
                    let origin = Origin { subject: &message.subject, stream: None };
                    Ok((&message.payload[..], origin))
                });
                let (delivery, taken) = self.delivery(messages, &mut Seen::default(), to)?;
                waiting.remove(taken);
                let mut delivering = pin!(to.deliver(delivery));
                let delivered = loop {
                    tokio::select! {
                        biased;
                        delivered = &mut delivering => break delivered,
                        // However long that takes, the server and its client would drop what is not taken from them.
                        message = subscription.next() => waiting.add(message.ok_or_else(ended)?),
                    }
                };
                if delivered == Err(Stopping) {
                    return Ok(());
                }
            }
        }
    }
}

/// Why a consumer of a stream with these subjects is not what the options say; `None` if it is.
fn refusal(options: &Options, has: &consumer::Config, subjects: &[String]) -> Option<String> {
    if has.ack_policy != AckPolicy::Explicit {
        return Some("it must acknowledge each message (`ack_policy` explicit)".to_owned());
    }
    if let Some(wanted) = options.ack_wait
        && wanted.duration() != has.ack_wait
    {
        return Some(format!("its `ack_wait` is {}, not {wanted}; change or delete it", TimeSpan(has.ack_wait)));
    }
    let is_part = |subject: &&String| !["", ">"].contains(&subject.as_str()) && subjects != [subject.as_str()];
    let taken: Vec<&String> = iter::once(&has.filter_subject).chain(&has.filter_subjects).filter(is_part).collect();
    let wanted: Vec<&String> = options.subject.iter().filter(is_part).collect();
    // Several subjects can't be configured here: it was made for them.
    if taken == wanted || options.subject.is_none() && taken.len() > 1 {
        return None;
    }
    let named = |subjects: &[&String]| match subjects {
        [] => "all subjects".to_owned(),
        some => some.iter().map(|subject| format!("`{subject}`")).collect::<Vec<_>>().join(" and "),
    };
    Some(format!("it takes {}, not {}; set `subject`, or change or delete it", named(&taken), named(&wanted)))
}

#[async_trait]
impl Source for Nats {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let mut link = tokio::select! {
            link = self.address.connect(limits::NATS_PENDING as usize) => link?,
            () = to.stopped() => return Ok(()),
        };
        let trouble = link.trouble();
        let taking = async {
            match (&self.options.stream, &self.options.subject) {
                (Some(stream), _) => self.consume(&link, stream, &to).await,
                (None, Some(subject)) => self.subscribe(&link, subject, &to).await,
                (None, None) => Ok(()),
            }
        };
        tokio::select! {
            biased;
            () = to.stopped() => Ok(()),
            taken = taking => taken,
            trouble = trouble => Err(format!("{}: {trouble}", self.address.place())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::destination::tests::destination;

    #[test]
    fn messages_of_plain_subjects_are_stored_up_to_the_limits_at_once() {
        let options = Options { subject: Some("events".to_owned()), ..Options::default() };
        let nats = Nats::new("bus", options).expect("they can be used");
        let (_stop, to) = destination();
        let taken = |payload: &[u8], count: usize| {
            let messages = (0..count).map(|_| Ok((payload, Origin { subject: "events", stream: None })));
            let (delivery, taken) = nats.delivery(messages, &mut Seen::default(), &to).expect("they are readable");
            assert_eq!(delivery.batch.len(), taken);
            taken
        };
        assert_eq!(taken(&vec![b'x'; limits::BATCH_BYTES / 2], 5), 2);
        assert_eq!(taken(&vec![b'x'; limits::BATCH_BYTES + 1], 5), 1);
        assert_eq!(taken(b"short", limits::BATCH_RECORDS + 1), limits::BATCH_RECORDS);
    }

    #[test]
    fn a_consumer_that_exists_must_be_what_the_options_say() {
        let consumer = |filters: &[&str]| consumer::Config {
            ack_wait: Duration::from_secs(30),
            filter_subjects: filters.iter().map(|filter| (*filter).to_owned()).collect(),
            ..consumer::Config::default()
        };
        let refused = |subject: Option<&str>, ack_wait: Option<u64>, has: &consumer::Config| {
            let ack_wait = ack_wait.map(|seconds| TimeSpan(Duration::from_secs(seconds)));
            let options = Options { subject: subject.map(str::to_owned), ack_wait, ..Options::default() };
            refusal(&options, has, &["log.>".to_owned()]).unwrap_or_default()
        };
        let (all, several) = (consumer(&[]), consumer(&["log.shop", "log.cart"]));
        let one = consumer::Config { filter_subject: "log.shop".to_owned(), ..consumer(&[]) };
        for (subject, has) in [(None, &all), (Some("log.>"), &all), (Some("log.shop"), &one), (None, &several)] {
            assert_eq!([refused(subject, None, has), refused(subject, Some(30), has)], ["", ""]);
        }
        for (subject, has) in
            [(Some("log.shop"), &all), (None, &one), (Some("log.cart"), &one), (Some("log.shop"), &several)]
        {
            let why = refused(subject, None, has);
            assert!(why.starts_with("it takes "), "{why}");
        }
        let why = refused(None, Some(10), &all);
        assert!(why.starts_with("its `ack_wait` is 30s, not 10s"), "{why}");
        let silent = consumer::Config { ack_policy: AckPolicy::None, ..consumer(&[]) };
        assert!(refused(None, None, &silent).contains("ack_policy"));
    }
}
