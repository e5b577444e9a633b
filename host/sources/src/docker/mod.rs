//! Containers of a Docker engine: what they write, and changes of their health.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options; containers as they come and go |
//! | `engine.rs` | the requests to the engine |
//! | `container.rs` | what is known about a container, and whether it is wanted |
//! | `follow.rs` | follows one container |
//! | `frames.rs` | bytes to entries, entries to lines |
//! | `resume.rs` | how far a container was read |
//!
//! The stream of events is opened before the containers are listed, so none is missed in between. Each container has a task
//! and a position of its own. If the stream of events breaks, all tasks end, and the source begins again: what was not
//! delivered is read again from the positions.

mod container;
mod engine;
mod follow;
mod frames;
mod resume;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use weir_document::units::TimeSpan;
use weir_record::time::now_ns;
use weir_record::{Batch, Composer, Level};

pub(crate) use self::container::is_like;
use self::container::{Container, Selection};
use self::engine::Engine;
use self::follow::Follower;
use self::resume::Resume;
use crate::destination::{Delivery, Destination, Position, Stopping};
use crate::limits;
use crate::registry::{BuildContext, Kind, options, schema_of};
use crate::source::Source;
use crate::text::Lines;

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "docker",
    summary: "reads what the containers of a Docker engine write, every line once, and changes of their health",
    example: r#"[source.containers]
type = "docker"
# socket = "/var/run/docker.sock"
include = ["shop-*", "label:team=shop", "image:nginx*"]   # all without
exclude = ["*-test"]
labels = ["version"]
# backlog = "1h"
"#,
    schema: schema_of::<Options>,
    build,
};

/// The key of the position in the events; those of containers are their ids.
const EVENTS: &[u8] = b"events";

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The socket of the engine.
    socket: PathBuf,
    /// Only these containers: `NAME`, `image:NAME`, `label:KEY` or `label:KEY=VALUE`, with `*` for any text. Default: all.
    include: Vec<String>,
    /// None of these, written in the same way.
    exclude: Vec<String>,
    /// Labels to keep in records, under `container.labels`.
    labels: Vec<String>,
    /// How old the lines of a container may be that is read for the first time. Default: all that the engine has.
    backlog: Option<TimeSpan>,
}

impl Default for Options {
    fn default() -> Self {
        let (include, exclude, labels) = Default::default();
        Options { socket: "/var/run/docker.sock".into(), include, exclude, labels, backlog: None }
    }
}

struct Docker {
    options: Options,
    engine: Engine,
}

/// What all tasks use.
struct Shared {
    engine: Engine,
    selection: Selection,
    labels: Vec<String>,
    /// From which time on a container is read that has no position.
    backlog_ns: i64,
}

fn build(name: &str, value: Value, context: &BuildContext) -> Result<Box<dyn Source>, String> {
    let options: Options = options(name, value)?;
    Selection::new(&options.include, &options.exclude).map_err(|error| format!("source `{name}`: {error}"))?;
    let engine = Engine::new(context.base.join(&options.socket));
    Ok(Box::new(Docker { options, engine }))
}

#[async_trait]
impl Source for Docker {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let mut selection = Selection::new(&self.options.include, &self.options.exclude)?;
        selection.without_own();
        let age = self.options.backlog.and_then(|TimeSpan(age)| i64::try_from(age.as_nanos()).ok());
        let shared = Arc::new(Shared {
            engine: self.engine.clone(),
            selection,
            labels: self.options.labels.clone(),
            backlog_ns: age.map_or(0, |age| now_ns().saturating_sub(age)),
        });
        let mut followed = Followed {
            shared,
            to: to.clone(),
            positions: HashMap::new(),
            tasks: JoinSet::new(),
            changed: HashMap::new(),
        };
        let ended = self.follow(&mut followed, &to).await;
        // A task that is composing lines would still deliver them, after the next run has read the positions.
        followed.tasks.shutdown().await;
        ended
    }
}

impl Docker {
    /// Follows containers until the source is to stop, or the stream of events breaks.
    async fn follow(&self, followed: &mut Followed, to: &Destination) -> Result<(), String> {
        let health_ns = followed.take(to.positions().await);
        let mut events = self.engine.events(health_ns.unwrap_or_else(now_ns)).await?;
        followed.begin_all().await?;
        let mut health = Health { newest_ns: health_ns.unwrap_or(i64::MIN) };
        let mut lines = Lines::default();
        loop {
            let bytes = tokio::select! {
                () = to.stopped() => return Ok(()),
                ended = followed.tasks.join_next(), if !followed.tasks.is_empty() => {
                    followed.ended(ended)?;
                    continue;
                }
                bytes = events.next() => bytes?.ok_or("the Docker engine ended the stream of events")?,
            };
            let mut parsed = Vec::new();
            lines.push(&bytes, |line| {
                parsed.push(serde_json::from_slice::<Value>(line.text).map_err(|error| error.to_string())?);
                Ok::<(), String>(())
            })?;
            for event in parsed {
                let Some(id) = event["Actor"]["ID"].as_str() else { continue };
                match event["Action"].as_str().unwrap_or_default() {
                    "start" => followed.begin(id),
                    "destroy" => followed.look_again(id),
                    action => {
                        if let Some(status) = action.strip_prefix("health_status: ")
                            && health.report(status, &event, followed).await == Err(Stopping)
                        {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

/// The containers that are followed.
struct Followed {
    shared: Arc<Shared>,
    to: Destination,
    /// Of containers that are not followed yet.
    positions: HashMap<String, Resume>,
    /// Each returns the id of its container.
    tasks: JoinSet<String>,
    changed: HashMap<String, Arc<Notify>>,
}

impl Followed {
    /// Takes the positions of an earlier run, and returns that in the events.
    fn take(&mut self, positions: Vec<Position>) -> Option<i64> {
        let mut events = None;
        for Position { key, value } in positions {
            let (Ok(key), Some(value)) = (String::from_utf8(key), value) else { continue };
            if key.as_bytes() == EVENTS {
                events = std::str::from_utf8(&value).ok().and_then(|ns| ns.parse().ok());
            } else if let Some(resume) = Resume::decode(&value) {
                self.positions.insert(key, resume);
            }
        }
        events
    }

    /// Follows all containers that there are, and forgets those that there were.
    async fn begin_all(&mut self) -> Result<(), String> {
        let ids: HashSet<String> = self.shared.engine.containers().await?.into_iter().collect();
        let gone = self.positions.keys().filter(|id| !ids.contains(*id));
        let positions: Vec<_> = gone.map(|id| Position { key: id.clone().into_bytes(), value: None }).collect();
        // An error: the next start finds that they are gone.
        _ = self.to.deliver(Delivery { positions, ..Delivery::default() }).await;
        self.positions.retain(|id, _| ids.contains(id));
        ids.iter().for_each(|id| self.begin(id));
        Ok(())
    }

    /// Follows a container that has started, unless it is followed already.
    fn begin(&mut self, id: &str) {
        if self.changed.contains_key(id) {
            return self.look_again(id);
        }
        if self.changed.len() >= limits::DOCKER_CONTAINERS {
            tracing::error!(
                "source `{}`: container {id} is not read: {} are already",
                self.to.name(),
                limits::DOCKER_CONTAINERS
            );
            return;
        }
        let changed = Arc::new(Notify::new());
        self.changed.insert(id.to_owned(), changed.clone());
        let follower = Follower {
            id: id.to_owned(),
            shared: self.shared.clone(),
            to: self.to.clone(),
            resume: self.positions.remove(id),
            changed,
        };
        self.tasks.spawn(follower.run());
    }

    /// Tells the task of a container to look what has become of it.
    fn look_again(&self, id: &str) {
        if let Some(changed) = self.changed.get(id) {
            changed.notify_one();
        }
    }

    fn ended(&mut self, task: Option<Result<String, tokio::task::JoinError>>) -> Result<(), String> {
        match task {
            Some(Ok(id)) => _ = self.changed.remove(&id),
            Some(Err(error)) => return Err(format!("following a container failed: {error}")),
            None => {}
        }
        Ok(())
    }
}

/// Changes of the health of containers.
struct Health {
    /// The time of the newest that is delivered.
    newest_ns: i64,
}

impl Health {
    /// Delivers a change as a record.
    async fn report(&mut self, status: &str, event: &Value, followed: &Followed) -> Result<(), Stopping> {
        let container = Container::of_event(event);
        let at_ns = event["timeNano"].as_i64().unwrap_or_else(now_ns);
        if at_ns <= self.newest_ns || !followed.shared.selection.wants(&container) {
            return Ok(());
        }
        let to = &followed.to;
        let (defaults, mut batch) = (to.defaults(now_ns()), Batch::new());
        let mut composer = Composer::new(&defaults, &mut batch);
        composer.begin();
        composer.time(at_ns);
        composer.level(if status == "unhealthy" { Level::Error } else { Level::Info });
        composer.source(container.source().as_bytes());
        composer.message(format!("container {} is {status}", container.name()).as_bytes());
        let described = container.describe(&followed.shared.labels, &mut composer);
        let composed = described.and_then(|()| composer.text("health", status.as_bytes()));
        if let Err(error) = composer.end(composed, || event.to_string().into_bytes()) {
            // One event is far below the limits of a delivery.
            tracing::error!("source `{}`: {error}", to.name());
        }
        let bad = composer.finish();
        let positions = vec![Position { key: EVENTS.to_vec(), value: Some(at_ns.to_string().into_bytes()) }];
        to.deliver(Delivery { batch, routes: container.routes(), bad, positions }).await?;
        self.newest_ns = at_ns;
        Ok(())
    }
}
