//! Messages of plain subjects that wait while those before them are stored.
//!
//! The server keeps none of them. What there is no room for is lost; it is counted, and reported.

use std::collections::VecDeque;
use std::time::Instant;

use async_nats::Message;
use metrics::{Counter, counter};

use crate::limits;

/// Messages in their order.
pub(super) struct Waiting {
    source: String,
    messages: VecDeque<Message>,
    bytes: usize,
    dropped: Counter,
    /// When it was last reported that some were dropped.
    said: Option<Instant>,
}

fn byte_len(message: &Message) -> usize {
    size_of::<Message>() + message.length
}

impl Waiting {
    /// None yet, for the source of that name.
    pub fn new(source: &str) -> Waiting {
        let dropped = counter!("weir_source_dropped_total", "source" => source.to_owned());
        Waiting { source: source.to_owned(), messages: VecDeque::new(), bytes: 0, dropped, said: None }
    }

    /// Adds a message, or drops it if there is no room.
    pub fn add(&mut self, message: Message) {
        let bytes = self.bytes + byte_len(&message);
        if bytes <= limits::NATS_WAITING_BYTES {
            self.bytes = bytes;
            return self.messages.push_back(message);
        }
        self.dropped.increment(1);
        if self.said.is_none_or(|at| at.elapsed() >= limits::WAITING_LINE) {
            self.said = Some(Instant::now());
            tracing::warn!("source `{}` drops messages: they arrive faster than they are stored", self.source);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// Removes the first so many.
    pub fn remove(&mut self, count: usize) {
        self.bytes -= self.messages.drain(..count).map(|message| byte_len(&message)).sum::<usize>();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let left = self.messages.len();
        if left > 0 {
            self.dropped.increment(left as u64);
            tracing::warn!("source `{}` ends, and drops {left} messages that were not stored", self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Message {
        let (subject, payload) = ("events".to_owned().into(), Vec::<u8>::new().into());
        Message { subject, reply: None, payload, headers: None, status: None, description: None, length }
    }

    #[test]
    fn messages_wait_up_to_a_number_of_bytes_and_removed_ones_make_room() {
        let mut waiting = Waiting::new("bus");
        let quarter = limits::NATS_WAITING_BYTES / 4;
        for length in [1, 2, 3].map(|less| quarter - less) {
            waiting.add(message(length));
        }
        waiting.add(message(quarter));
        waiting.add(message(10));
        waiting.remove(1);
        waiting.add(message(quarter - 4));
        let lengths: Vec<usize> = waiting.messages().map(|message| quarter - message.length).collect();
        assert_eq!(lengths, [2, 3, quarter - 10, 4]);
        waiting.remove(4);
        assert!(waiting.is_empty() && waiting.bytes == 0);
        waiting.add(message(0));
        assert!(waiting.bytes > 0, "one without content takes memory, too");
    }
}
