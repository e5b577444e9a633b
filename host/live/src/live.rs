//! The memory of recent records.
//!
//! Invariant: a client's position is at or behind a frame in memory, or at the end, or the client is overtaken: then it
//! continues with the oldest frame, and what it missed is counted by its group (see `progress`).
//!
//! New frames are published to clients at intervals, at once if the last interval is over. So clients that keep up are
//! all at the same places, and are woken for many frames at a time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_query::{EntryId, QueryError};

use crate::client::{Client, Start};
use crate::frame::Frame;
use crate::limits;
use crate::progress::{Group, GroupKey, Progress, missed_from};
use crate::query::{Queries, Scope, SharedQuery};
use crate::step::{Step, Steps};

/// All places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyClients;

/// The payload of a frame without the records that are erased, an empty map in the place of each; `None` if it has none
/// of them.
pub type Edit = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// Recent records, and the clients that watch them.
pub struct Live {
    /// Records that are kept without anybody watching.
    buffer: usize,
    session: String,
    queries: Queries,
    steps: Steps,
    state: Mutex<State>,
    /// Changes when there is something new, and when the stream ends.
    news: watch::Sender<()>,
}

#[derive(Default)]
pub struct State {
    pub frames: VecDeque<Arc<Frame>>,
    /// Where the oldest frame begins.
    oldest: EntryId,
    /// Up to where clients see records.
    pub published: EntryId,
    /// Where the next record will be.
    pub end: EntryId,
    /// When more is published.
    next_publication: Option<Instant>,
    records: usize,
    size_bytes: usize,
    clients: BTreeMap<u64, Progress>,
    /// Clients that are overtaken.
    groups: HashMap<GroupKey, Group>,
    next_client: u64,
    /// What is erased from frames up to some sequence that are still to come.
    erasures: Vec<(u64, Edit)>,
    /// How often records were erased from the frames in memory.
    erased: u64,
    pub is_closed: bool,
}

impl Live {
    /// An empty memory for this many records. `session` names this run of the router.
    pub fn new(buffer: usize, session: String) -> Arc<Live> {
        Arc::new(Live {
            buffer,
            session,
            queries: Queries::default(),
            steps: Steps::default(),
            state: Mutex::default(),
            news: watch::Sender::new(()),
        })
    }

    /// The name of this run of the router.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Adds a frame of the journal, with its payload as the journal has it.
    pub fn push(&self, sequence: u64, records: u32, mut payload: Bytes) {
        let mut edits = 0;
        loop {
            let mut state = self.state();
            // Frames come in order, so an erasure is over once a later frame comes.
            state.erasures.retain(|(up_to, _)| *up_to >= sequence);
            let Some((_, edit)) = state.erasures.get(edits).cloned() else {
                // Under the same lock, so an erasure that comes now finds the frame in memory.
                self.add(state, Frame::new(sequence, records, payload));
                return;
            };
            drop(state);
            if let Some(rest) = edit(&payload) {
                payload = rest.into();
            }
            edits += 1;
        }
    }

    /// Erases records from the frames up to this sequence, those that are still to come included.
    pub fn erase(&self, up_to: u64, edit: &Edit) {
        let mut state = self.state();
        state.erasures.push((up_to, edit.clone()));
        let frames: Vec<_> = state.frames.iter().filter(|frame| frame.sequence <= up_to).cloned().collect();
        drop(state);
        // Not while the lock is held: all of them are decoded.
        for frame in frames {
            if let Some(rest) = frame.without(edit) {
                self.state().replace(&frame, rest);
            }
        }
        self.state().erased += 1;
        self.steps.forget_before(EntryId { sequence: u64::MAX, index: u32::MAX });
    }

    /// Says that this many records before and with a frame of the journal could not be read. Clients are told.
    pub fn skip(&self, sequence: u64, records: u64) {
        self.add(self.state(), Frame::skipped(sequence, records));
    }

    fn add(&self, mut state: MutexGuard<'_, State>, frame: Frame) {
        let oldest = state.add_frame(Arc::new(frame), self.buffer);
        drop(state);
        if let Some(oldest) = oldest {
            self.steps.forget_before(oldest);
        }
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

    /// The sources of the records in memory.
    pub fn sources(&self) -> Vec<String> {
        let frames: Vec<_> = self.state().frames.iter().cloned().collect();
        let sources: BTreeSet<&String> = frames.iter().flat_map(|frame| frame.counts().source_names()).collect();
        sources.into_iter().take(limits::MAX_SOURCES).cloned().collect()
    }

    /// A new client, which begins where `start` says, and gets nothing outside its scope.
    ///
    /// # Errors
    /// The inner error if all places are taken.
    pub fn watch(
        self: &Arc<Live>,
        query: &str,
        scope: Option<Scope>,
        start: Start,
    ) -> Result<Result<Client, TooManyClients>, QueryError> {
        let query = self.queries.get(query, scope.as_ref())?;
        Ok(Client::begin(self, query, start))
    }

    /// Another query in the scope of one.
    pub(crate) fn query_like(&self, text: &str, query: &SharedQuery) -> Result<Arc<SharedQuery>, QueryError> {
        self.queries.get_like(text, query)
    }

    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clients of a query get at a place.
    pub(crate) fn step(&self, query: &SharedQuery, from: EntryId) -> Arc<Step> {
        if let Some(step) = self.steps.find(query, from) {
            return step;
        }
        let (frames, erased) = {
            let state = self.state();
            (state.published_from(from), state.erased)
        };
        let step = Arc::new(Step::new(query, from, &frames));
        let state = self.state();
        // If records were erased meanwhile, it may still have them.
        if !frames.is_empty() && state.erased == erased {
            // Under the lock, so an erasure that ends now makes it forgotten.
            self.steps.keep(step.clone());
        }
        step
    }
}

impl State {
    /// Adds a frame, and lets the oldest ones go if there are too many. Returns where the oldest one begins if some went.
    fn add_frame(&mut self, frame: Arc<Frame>, buffer: usize) -> Option<EntryId> {
        let before = self.oldest;
        self.end = frame.end();
        self.records += frame.records as usize;
        self.size_bytes += frame.size_bytes();
        self.frames.push_back(frame);
        if self.size_bytes > limits::MAX_BUFFER_BYTES {
            while self.size_bytes > limits::SHRUNK_BUFFER_BYTES && self.frames.len() > 1 {
                self.remove_oldest();
            }
        }
        while self.has_passed_oldest(buffer) {
            self.remove_oldest();
        }
        (self.oldest > before).then_some(self.oldest)
    }

    /// Puts a frame in the place of another, unless that has left the memory.
    fn replace(&mut self, old: &Arc<Frame>, new: Frame) {
        if let Some(frame) = self.frames.iter_mut().find(|frame| Arc::ptr_eq(frame, old)) {
            self.size_bytes = self.size_bytes - old.size_bytes() + new.size_bytes();
            *frame = Arc::new(new);
        }
    }

    /// Whether the oldest frame is neither needed for new clients nor for those that are there.
    fn has_passed_oldest(&self, buffer: usize) -> bool {
        let Some(oldest) = self.frames.front() else { return false };
        let is_enough = self.frames.len() > 1 && self.records - oldest.records as usize >= buffer;
        is_enough && self.clients.values().all(|client| client.at >= oldest.end())
    }

    fn remove_oldest(&mut self) {
        let Some(frame) = self.frames.pop_front() else { return };
        self.records -= frame.records as usize;
        self.size_bytes -= frame.size_bytes();
        self.oldest = frame.end();
        for group in self.groups.values_mut() {
            group.miss(&frame);
        }
        for client in self.clients.values_mut().filter(|client| client.joined.is_none() && client.at < frame.end()) {
            client.miss(&missed_from(client.at, &frame, client));
            let group = self.groups.entry(client.group()).or_insert_with(|| Group::of(client));
            group.clients += 1;
            client.joined = Some(group.totals.clone());
        }
    }

    /// A client, at its place. If it was overtaken, that is the oldest frame, and what it missed is added.
    pub fn client(&mut self, number: u64) -> Option<&mut Progress> {
        let client = self.clients.get_mut(&number)?;
        if let Some(joined) = client.joined.take()
            && let Entry::Occupied(mut group) = self.groups.entry(client.group())
        {
            client.miss(&group.get().totals.since(&joined));
            client.at = self.oldest;
            group.get_mut().clients -= 1;
            if group.get().clients == 0 {
                group.remove();
            }
        }
        Some(client)
    }

    /// Publishes what is there if it is time.
    pub fn publish_if_due(&mut self) {
        let now = Instant::now();
        if self.published < self.end && self.next_publication.is_none_or(|next| next <= now) {
            self.published = self.end;
            let clients = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
            self.next_publication = Some(now + limits::MIN_INTERVAL + limits::INTERVAL_PER_CLIENT * clients);
        }
    }

    /// When more can be published, if that is not now.
    pub fn next_publication(&self) -> Option<Instant> {
        self.next_publication.filter(|next| *next > Instant::now())
    }

    /// The next published frames from a place on.
    fn published_from(&self, from: EntryId) -> Vec<Arc<Frame>> {
        let first = self.frames.partition_point(|frame| frame.end() <= from);
        let published = self.frames.range(first..).take_while(|frame| frame.id(0) < self.published);
        published.take(limits::STEP_FRAMES).cloned().collect()
    }

    /// Whether the records after this one are in memory.
    pub fn has_all_after(&self, id: EntryId) -> bool {
        let is_in = |frame: &Arc<Frame>| frame.sequence == id.sequence && id.index < frame.records;
        self.frames.iter().any(is_in)
    }

    /// Adds a client. If its place has left the memory since it was found, it begins with the oldest frame, which is a
    /// reset if it has asked for the place.
    pub fn add_client(&mut self, mut client: Progress, has_asked: bool) -> Result<u64, TooManyClients> {
        if self.clients.len() >= limits::MAX_CLIENTS {
            return Err(TooManyClients);
        }
        client.is_reset |= has_asked && client.at < self.oldest;
        client.at = self.in_memory(client.at);
        let number = self.next_client;
        self.next_client += 1;
        self.clients.insert(number, client);
        Ok(number)
    }

    /// The place, or the next one that is still in memory.
    pub fn in_memory(&self, at: EntryId) -> EntryId {
        at.max(self.oldest)
    }

    pub fn remove_client(&mut self, number: u64) {
        // Takes it out of its group, too.
        self.client(number);
        self.clients.remove(&number);
    }
}
