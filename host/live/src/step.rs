//! Steps: what a query selects from one place of the memory on. All clients of a query that are at the same place get the
//! same step, so matching, counting and rendering happen once for all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use weir_query::EntryId;
use weir_record::Record;

use crate::frame::Frame;
use crate::limits;
use crate::message::Names;
use crate::query::SharedQuery;
use crate::totals::Counts;

/// A matching record.
#[derive(Clone)]
pub struct Item {
    frame: Arc<Frame>,
    index: u32,
}

impl Item {
    pub fn id(&self) -> EntryId {
        self.frame.id(self.index)
    }

    pub fn record(&self) -> Record<'_> {
        self.frame.record(self.index)
    }
}

/// How records are written for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// As server-sent events.
    pub is_events: bool,
    /// Many records in one message.
    pub is_batched: bool,
    pub names: Names,
}

/// Messages that several clients share.
pub type Messages = Arc<[Bytes]>;

/// What clients of one query get at one place.
pub struct Step {
    query: u64,
    pub(crate) from: EntryId,
    pub(crate) to: EntryId,
    /// Records that pass, whether they match or not.
    pub(crate) seen: u64,
    /// Records that pass and could not be read. They come before `items`.
    pub skipped: u64,
    pub items: Vec<Item>,
    /// The frames that pass, each with the range of its records.
    passed: Vec<(Arc<Frame>, u32, u32)>,
    counts: OnceLock<Counts>,
    rendered: Mutex<Vec<(Form, Messages)>>,
    rendered_bytes: AtomicUsize,
}

impl Step {
    /// Passes frames from a place on, up to the limits of a step.
    pub(crate) fn new(query: &SharedQuery, from: EntryId, frames: &[Arc<Frame>]) -> Step {
        let mut step = Step {
            query: query.number,
            from,
            to: from,
            seen: 0,
            skipped: 0,
            items: Vec::new(),
            passed: Vec::with_capacity(frames.len()),
            counts: OnceLock::new(),
            rendered: Mutex::default(),
            rendered_bytes: AtomicUsize::new(0),
        };
        let mut bytes = 0;
        for frame in frames {
            if frame.skipped > 0 && !step.items.is_empty() {
                break;
            }
            let first = if from.sequence == frame.sequence { from.index } else { 0 };
            let end = step.add(query, frame, first, &mut bytes);
            if end < frame.records {
                break;
            }
        }
        step
    }

    /// Adds a frame, and returns where in the frame the step ends.
    fn add(&mut self, query: &SharedQuery, frame: &Arc<Frame>, first: u32, bytes: &mut usize) -> u32 {
        let mut end = frame.records;
        for index in frame.matching(query).iter().copied().filter(|index| *index >= first) {
            if self.items.len() >= limits::STEP_RECORDS || *bytes >= limits::STEP_BYTES {
                end = index;
                break;
            }
            *bytes += frame.record(index).as_bytes().len();
            self.items.push(Item { frame: frame.clone(), index });
        }
        self.seen += u64::from(end - first);
        self.skipped += frame.skipped;
        self.to = if end == frame.records { frame.end() } else { frame.id(end) };
        self.passed.push((frame.clone(), first, end));
        end
    }

    /// All records that pass, counted.
    pub(crate) fn counts(&self) -> &Counts {
        self.counts.get_or_init(|| {
            let mut counts = Counts::default();
            for (frame, first, end) in &self.passed {
                match *first == 0 && *end == frame.records {
                    true => counts.add(frame.counts()),
                    false => counts.add(&frame.counts_of(*first..*end)),
                }
            }
            counts
        })
    }

    /// Its records as messages. `render` is called for the first client that wants this form.
    pub fn messages(&self, form: Form, render: impl FnOnce(&[Item]) -> Vec<Bytes>) -> Messages {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, messages)) = rendered.iter().find(|(of, _)| *of == form) {
            return messages.clone();
        }
        let messages: Messages = render(&self.items).into();
        self.rendered_bytes.fetch_add(messages.iter().map(Bytes::len).sum(), Ordering::Relaxed);
        rendered.push((form, messages.clone()));
        messages
    }
}

/// The steps that clients took last.
#[derive(Default)]
pub struct Steps(Mutex<VecDeque<Arc<Step>>>);

impl Steps {
    pub fn find(&self, query: &SharedQuery, from: EntryId) -> Option<Arc<Step>> {
        self.steps().iter().rev().find(|step| step.query == query.number && step.from == from).cloned()
    }

    /// Keeps a step for other clients, in place of the oldest ones if there are too many.
    pub fn keep(&self, step: Arc<Step>) {
        let mut steps = self.steps();
        steps.push_back(step);
        let mut bytes: usize = steps.iter().map(|step| step.rendered_bytes.load(Ordering::Relaxed)).sum();
        while steps.len() > limits::KEPT_STEPS || bytes > limits::KEPT_BYTES {
            let Some(oldest) = steps.pop_front() else { return };
            bytes = bytes.saturating_sub(oldest.rendered_bytes.load(Ordering::Relaxed));
        }
    }

    /// Forgets steps with records that have left the memory.
    pub fn forget_before(&self, oldest: EntryId) {
        self.steps().retain(|step| step.from >= oldest);
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Arc<Step>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
