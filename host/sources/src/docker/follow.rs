//! Follows one container, from its first line to its removal, over restarts of it.
//!
//! Invariant: a position is stored with the lines before it, and only where no line of either stream is incomplete.

use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use weir_record::time::now_ns;
use weir_record::{Batch, Composer};

use super::Shared;
use super::container::Container;
use super::engine::{Answer, EngineError};
use super::frames::Frames;
use super::resume::{Resume, Skip, Window};
use crate::destination::{Delivery, Destination, Position, Stopping};
use crate::parts::{Joiner, Line};
use crate::{limits, text};

/// One container.
pub(super) struct Follower {
    pub id: String,
    pub shared: Arc<Shared>,
    pub to: Destination,
    pub resume: Option<Resume>,
    /// It was started again, or removed.
    pub changed: Arc<Notify>,
}

/// Why lines are no longer read.
enum Ended {
    /// The container doesn't run.
    End,
    Stopping,
    Failed(String),
}

impl From<Stopping> for Ended {
    fn from(_: Stopping) -> Ended {
        Ended::Stopping
    }
}

impl Follower {
    /// Follows the container until it is removed, or the source is to stop. Returns its id.
    pub async fn run(mut self) -> String {
        let mut pause = limits::DOCKER_RETRY_FIRST;
        let mut said = String::new();
        loop {
            let began = Instant::now();
            let failed = match self.shared.engine.inspect(&self.id).await {
                Err(EngineError::NotFound) => {
                    self.forget().await;
                    return self.id;
                }
                Err(error) => Some(String::from(error)),
                Ok(answer) => {
                    let container = Container::inspected(&answer);
                    if !self.shared.selection.wants(&container) {
                        return self.id;
                    }
                    match self.read(&container).await {
                        Ended::Stopping => return self.id,
                        Ended::Failed(error) => Some(error),
                        Ended::End if container.is_running => None,
                        // All that it wrote was read.
                        Ended::End => {
                            tokio::select! {
                                () = self.to.stopped() => return self.id,
                                () = self.changed.notified() => {}
                            }
                            continue;
                        }
                    }
                }
            };
            if let Some(error) = failed.filter(|error| *error != said) {
                tracing::warn!("source `{}`, container {}: {error}; trying again", self.to.name(), self.id);
                said = error;
            }
            if began.elapsed() > limits::DOCKER_RETRY_LONGEST {
                pause = limits::DOCKER_RETRY_FIRST;
            }
            if self.to.pause(pause).await.is_err() {
                return self.id;
            }
            pause = (2 * pause).min(limits::DOCKER_RETRY_LONGEST);
        }
    }

    /// The container is gone: so is its position.
    async fn forget(&mut self) {
        if self.resume.take().is_some() {
            let positions = vec![Position { key: self.id.clone().into_bytes(), value: None }];
            // An error: the next start finds that it is gone.
            _ = self.to.deliver(Delivery { positions, ..Delivery::default() }).await;
        }
    }

    /// Reads and delivers what the container writes, until it ends.
    async fn read(&mut self, container: &Container) -> Ended {
        let since_ns = self.resume.as_ref().map_or(self.shared.backlog_ns, Resume::since_ns);
        let answer = match self.shared.engine.logs(&self.id, since_ns).await {
            Ok(answer) => answer,
            // The next inspection meets it again.
            Err(EngineError::NotFound) => return Ended::End,
            Err(error) => return Ended::Failed(error.into()),
        };
        let reading = Reading {
            window: Window::new(since_ns),
            skip: self.resume.clone().map_or(Skip::None, Skip::Undecided),
            frames: Frames::new(container.has_terminal),
            joiner: Joiner::default(),
            lines: Vec::new(),
            bytes: 0,
            since: None,
        };
        match self.deliver_all(container, answer, reading).await {
            Ok(()) => Ended::End,
            Err(ended) => ended,
        }
    }

    async fn deliver_all(
        &mut self,
        container: &Container,
        mut answer: Answer,
        mut reading: Reading,
    ) -> Result<(), Ended> {
        loop {
            match reading.next(&mut answer, &self.to).await? {
                Next::Chunk(bytes) => reading.push(&bytes)?,
                Next::Quiet => self.deliver(container, &mut reading).await?,
                Next::End => {
                    reading.flush();
                    return Ok(self.deliver(container, &mut reading).await?);
                }
            }
            if reading.is_late() {
                reading.flush();
            }
            if reading.is_full() {
                self.deliver(container, &mut reading).await?;
            }
        }
    }

    /// Delivers the lines that were read, with the position after them.
    async fn deliver(&mut self, container: &Container, reading: &mut Reading) -> Result<(), Stopping> {
        if reading.lines.is_empty() {
            return Ok(());
        }
        let (defaults, mut batch) = (self.to.defaults(now_ns()), Batch::new());
        let mut composer = Composer::new(&defaults, &mut batch);
        for line in reading.lines.drain(..) {
            if line.shown().is_empty() {
                continue;
            }
            composer.begin();
            let composed = self.compose(container, &line, &mut composer);
            if let Err(error) = composer.end(composed, || line.text.clone()) {
                // The lines of a delivery are far below the limits of one.
                tracing::error!("source `{}`, container {}: {error}", self.to.name(), self.id);
            }
        }
        let bad = composer.finish();
        (reading.bytes, reading.since) = (0, None);
        let resume = reading.window.resume();
        let position = |resume: &Resume| Position { key: self.id.clone().into_bytes(), value: Some(resume.encode()) };
        let positions = resume.iter().map(position).collect();
        self.to.deliver(Delivery { batch, routes: container.routes(), bad, positions }).await?;
        self.resume = resume.or(self.resume.take());
        Ok(())
    }

    fn compose(
        &self,
        container: &Container,
        line: &Line,
        composer: &mut Composer<'_, '_>,
    ) -> Result<(), weir_record::ComposeError> {
        text::content(composer, text::Line { text: line.shown(), is_partial: line.is_partial }, |composer| {
            composer.text("stream", line.stream.name().as_bytes())
        })?;
        composer.fallback_time(line.at_ns);
        composer.fallback_source(container.source().as_bytes());
        if let Some(level) = container.level {
            composer.fallback_level(level);
        }
        container.describe(&self.shared.labels, composer)
    }
}

/// A stream of a container that is being read.
struct Reading {
    window: Window,
    skip: Skip,
    frames: Frames,
    joiner: Joiner,
    /// Complete, and not delivered yet.
    lines: Vec<Line>,
    bytes: usize,
    /// Since when something is not delivered.
    since: Option<Instant>,
}

enum Next {
    Chunk(Bytes),
    /// Nothing more has arrived, and no line is incomplete.
    Quiet,
    End,
}

impl Reading {
    /// Waits for what arrives next, if nothing is to be delivered before.
    async fn next(&self, answer: &mut Answer, to: &Destination) -> Result<Next, Ended> {
        let read = async {
            match answer.next().await {
                Ok(Some(bytes)) => Ok(Next::Chunk(bytes)),
                Ok(None) => Ok(Next::End),
                Err(error) => Err(Ended::Failed(error)),
            }
        };
        let can_deliver = !self.lines.is_empty() && !self.joiner.is_open();
        tokio::select! {
            biased;
            () = to.stopped() => Err(Ended::Stopping),
            read = read => read,
            () = std::future::ready(()), if can_deliver => Ok(Next::Quiet),
            // The rest of a line follows at once, or the container has ended in the middle of one.
            () = self.overdue() => Ok(Next::Chunk(Bytes::new())),
        }
    }

    /// Completes when an incomplete line has waited for long enough.
    async fn overdue(&self) {
        match self.since.filter(|_| self.joiner.is_open()) {
            Some(since) => tokio::time::sleep_until(since + limits::CONTAINER_PART).await,
            None => std::future::pending().await,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let Reading { window, skip, frames, joiner, lines, bytes: held, .. } = self;
        let read = frames.push(bytes, |entry| {
            let is_new = !skip.skips(&entry);
            window.add(&entry);
            if is_new {
                *held += entry.text.len();
                lines.extend(joiner.add(&entry));
            }
        });
        read.map_err(Ended::Failed)?;
        if self.since.is_none() && (self.joiner.is_open() || !self.lines.is_empty()) {
            self.since = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether an incomplete line keeps others waiting for too long, or too many.
    fn is_late(&self) -> bool {
        let is_overdue = self.since.is_some_and(|since| since.elapsed() >= limits::CONTAINER_PART);
        self.joiner.is_open() && (is_overdue || self.bytes >= 2 * limits::BATCH_BYTES)
    }

    fn is_full(&self) -> bool {
        let is_full = self.bytes >= limits::BATCH_BYTES || self.lines.len() >= limits::BATCH_RECORDS;
        is_full && !self.joiner.is_open()
    }

    /// Takes incomplete lines as they are.
    fn flush(&mut self) {
        self.lines.extend(self.joiner.flush());
    }
}
