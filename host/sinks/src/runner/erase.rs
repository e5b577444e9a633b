//! Holds a running sink while records are erased from the journal and from the sink itself.
//!
//! A sink that is held has nothing in memory that was read from the journal before: its session has ended as after a
//! failure, so the next one reads everything from its position on again, without what was erased meanwhile. So **no sink
//! gets an erased record afterwards**, and whatever it got before is in it when it erases.
//!
//! Copies of a failing sink's records may be on their way to this sink then. It leaves out those that were erased.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use weir_query::Query;

use super::fallback::{FallbackQueues, Request};
use super::session::{Runner, SessionEnd, drain_over};
use crate::erasure::{Erased, Erasure};
use crate::limits;
use crate::sink::{Indexes, Selected};

/// A request to hold and then to erase.
pub(crate) struct EraseRequest {
    erasure: Erasure,
    held: oneshot::Sender<()>,
    /// The last frame from which records are erased. An error: nothing is.
    begin: oneshot::Receiver<u64>,
    answer: oneshot::Sender<Result<Erased, String>>,
}

/// A sink that delivers nothing until this is dropped or it has erased.
#[derive(Debug)]
pub struct HeldSink {
    begin: oneshot::Sender<u64>,
    answered: oneshot::Receiver<Result<Erased, String>>,
}

impl HeldSink {
    /// Erases, and lets it deliver again. `up_to`: records of later frames of the journal stay.
    pub async fn erase(self, up_to: u64) -> Result<Erased, String> {
        // If it has stopped, so has the answer.
        let _ = self.begin.send(up_to);
        self.answered.await.unwrap_or_else(|_| Err("it stopped meanwhile; run it again".into()))
    }
}

impl FallbackQueues {
    /// Holds a running sink as soon as it has ended its current delivery.
    pub async fn hold(&self, sink: &str, erasure: &Erasure) -> Result<HeldSink, String> {
        let queue = self.to(sink).ok_or("it is not running")?;
        let (held, is_held) = oneshot::channel();
        let (begin, begun) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let request = EraseRequest { erasure: erasure.clone(), held, begin: begun, answer };
        let exchange = async {
            queue.send(Request::Erase(request)).await.map_err(|_| "it has stopped")?;
            is_held.await.map_err(|_| "it stopped meanwhile")
        };
        match timeout(limits::ERASE_HOLD, exchange).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                let seconds = limits::ERASE_HOLD.as_secs();
                return Err(format!("its current delivery took longer than {seconds} s; run it again"));
            }
        }
        Ok(HeldSink { begin, answered })
    }
}

impl Runner {
    /// Serves a request between two deliveries.
    pub(super) async fn serve(&mut self, request: Request) -> Result<(), SessionEnd> {
        match request {
            Request::StandIn(request) => self.stand_in(request).await,
            // To count, no session has to end.
            Request::Erase(request) if request.erasure.dry_run => {
                self.erase(request).await;
                Ok(())
            }
            Request::Erase(request) => Err(SessionEnd::Erase(Box::new(request))),
        }
    }

    /// Says that the sink is held, waits, and erases. Ends early if the sink is stopped.
    pub(super) async fn erase(&mut self, request: EraseRequest) {
        let EraseRequest { erasure, held, begin, answer } = request;
        if !erasure.dry_run && self.undurable_since.is_some() && self.flush().await.is_err() {
            tracing::debug!(sink = self.name, "what is not durable is delivered again after the erasure");
        }
        // An error: nobody waits for it any more, and so for `begin`.
        let _ = held.send(());
        let begun = tokio::select! {
            begun = begin => begun,
            () = drain_over(&mut self.stop, Duration::ZERO) => return,
        };
        let Ok(up_to) = begun else { return };
        if !erasure.dry_run {
            self.erased.remember(up_to, &erasure.query);
        }
        let outcome = tokio::select! {
            outcome = self.sink.erase(&erasure, self.last_sequence.max(up_to)) => outcome,
            () = drain_over(&mut self.stop, Duration::ZERO) => return,
        };
        // Nobody receives if it was cancelled.
        let _ = answer.send(outcome.map_err(|error| error.to_string()));
    }
}

/// The last erasures: up to which frame, and which records.
#[derive(Default)]
pub(crate) struct Remembered(VecDeque<(u64, Query)>);

impl Remembered {
    pub fn remember(&mut self, up_to: u64, query: &Query) {
        if self.0.len() >= limits::REMEMBERED_ERASURES {
            self.0.pop_front();
        }
        self.0.push_back((up_to, query.clone()));
    }

    /// The frames without records that were erased since they were read.
    pub fn left_out_of(&self, mut frames: Vec<Selected>) -> Vec<Selected> {
        for (up_to, query) in &self.0 {
            for frame in frames.iter_mut().filter(|frame| frame.sequence <= *up_to) {
                let stays = frame.iter().filter(|(_, record)| !query.matches(*record)).map(|(at, _)| at.index);
                frame.indexes = Indexes::These(stays.collect());
            }
        }
        frames
    }
}
