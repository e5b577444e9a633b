//! The memory of recent records.
//!
//! Invariant: a client's position is at or behind a frame in memory, or at the end. When a frame leaves, clients that
//! have not passed it are moved behind it, and its matches are added to what they missed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use weir_query::{EntryId, QueryError};

use crate::client::{Client, Progress, Start};
use crate::frame::Frame;
use crate::limits;
use crate::query::{Queries, SharedQuery};

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyClients;

/// Recent records, and the clients that watch them.
pub struct Live {
    /// Records that are kept without anybody watching.
    buffer: usize,
    session: String,
    queries: Queries,
    state: Mutex<State>,
    /// Changes when there is something new, and when the stream ends.
    news: watch::Sender<()>,
}

#[derive(Default)]
pub struct State {
    pub frames: VecDeque<Arc<Frame>>,
    /// Where the next record will be.
    pub end: EntryId,
    records: usize,
    size_bytes: usize,
    pub clients: BTreeMap<u64, Progress>,
    next_client: u64,
    pub is_closed: bool,
}

impl Live {
    /// An empty memory for this many records. `session` names this run of the router.
    pub fn new(buffer: usize, session: String) -> Arc<Live> {
        Arc::new(Live {
            buffer,
            session,
            queries: Queries::default(),
            state: Mutex::default(),
            news: watch::Sender::new(()),
        })
    }

    /// The name of this run of the router.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Adds a frame of the journal, with its payload as the journal has it.
    pub fn push(&self, sequence: u64, records: u32, payload: Bytes) {
        let frame = Arc::new(Frame::new(sequence, records, payload));
        let mut state = self.state();
        state.end = frame.end();
        state.records += records as usize;
        state.size_bytes += frame.size_bytes();
        state.frames.push_back(frame);
        while state.must_shrink(self.buffer) {
            state.remove_oldest();
        }
        drop(state);
        self.news.send_replace(());
    }

    /// Ends the stream for all clients, present and future.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.news.send_replace(());
    }

    /// The number of clients.
    pub fn clients(&self) -> usize {
        self.state().clients.len()
    }

    /// A new client, which begins where `start` says.
    ///
    /// # Errors
    /// The inner error if all places are taken.
    pub fn watch(self: &Arc<Live>, query: &str, start: Start) -> Result<Result<Client, TooManyClients>, QueryError> {
        let query = self.queries.get(query)?;
        Ok(Client::begin(self, query, start))
    }

    pub(crate) fn query(&self, text: &str) -> Result<Arc<SharedQuery>, QueryError> {
        self.queries.get(text)
    }

    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a client waits before it looks for news again.
    pub fn interval(&self) -> Duration {
        let clients = u32::try_from(self.clients()).unwrap_or(u32::MAX);
        limits::MIN_INTERVAL + limits::INTERVAL_PER_CLIENT * clients
    }
}

impl State {
    fn must_shrink(&self, buffer: usize) -> bool {
        let Some(oldest) = self.frames.front() else { return false };
        if self.frames.len() == 1 {
            return false;
        }
        let is_enough = self.records - oldest.records as usize >= buffer;
        let is_awaited = || self.clients.values().any(|client| client.at < oldest.end());
        self.size_bytes > limits::MAX_BUFFER_BYTES || (is_enough && !is_awaited())
    }

    fn remove_oldest(&mut self) {
        let Some(frame) = self.frames.pop_front() else { return };
        self.records -= frame.records as usize;
        self.size_bytes -= frame.size_bytes();
        for client in self.clients.values_mut().filter(|client| client.at < frame.end()) {
            client.miss(&frame);
        }
    }

    /// The frames at or after a place.
    pub fn frames_from(&self, at: EntryId) -> impl Iterator<Item = &Arc<Frame>> {
        let first = self.frames.partition_point(|frame| frame.end() <= at);
        self.frames.range(first..)
    }

    /// Whether the records after this one are in memory.
    pub fn has_all_after(&self, id: EntryId) -> bool {
        let is_in = |frame: &Arc<Frame>| frame.sequence == id.sequence && id.index < frame.records;
        self.frames.iter().any(is_in)
    }

    pub fn add_client(&mut self, progress: Progress) -> Result<u64, TooManyClients> {
        if self.clients.len() >= limits::MAX_CLIENTS {
            return Err(TooManyClients);
        }
        let number = self.next_client;
        self.next_client += 1;
        self.clients.insert(number, progress);
        Ok(number)
    }
}
