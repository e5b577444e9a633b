//! From the group to the destination: reads entries, stores them with what is known of the stream, acknowledges them.

use std::time::{Duration, Instant};

use super::entry::{Entry, Shape};
use super::group::{From, Group};
use super::seen::{Id, Seen};
use super::{Redis, Start};
use crate::destination::{Delivery, Destination, Position};
use crate::identity::identity;
use crate::limits;
use crate::source::End;

/// The key of the position that is the name of this router's consumer. Those of streams contain spaces.
const CONSUMER: &[u8] = b"consumer";

/// What a run knows.
pub(super) struct Taking<'a> {
    source: &'a Redis,
    group: Group<'a>,
    to: &'a Destination,
    /// For each stream.
    seen: Vec<Seen>,
    /// How many entries are read at once: as many as probably are a batch.
    count: usize,
    /// There may be entries that this consumer got and did not store.
    is_owing: bool,
}

impl<'a> Taking<'a> {
    /// Connects, and prepares the groups.
    pub async fn begin(source: &'a Redis, to: &'a Destination) -> Result<Taking<'a>, End> {
        let mut positions = to.positions().await;
        let consumer = match &source.options.consumer {
            Some(name) => name.clone(),
            None => identity(to, &positions, CONSUMER).await?,
        };
        let group = Group::connect(&source.access, &source.options.group, consumer.into_bytes()).await?;
        let mut taking = Taking { source, group, to, seen: Vec::new(), count: 1, is_owing: true };
        let streams = &source.options.streams;
        for stream in streams {
            let at = positions.iter().position(|position| position.key == source.key(stream));
            let value = at.and_then(|at| positions.swap_remove(at).value);
            let seen = value.as_deref().map_or_else(Seen::default, Seen::decode);
            let seen = taking.prepare(stream, seen).await?;
            taking.seen.push(seen);
        }
        // Of streams that are no longer configured.
        positions.retain(|position| position.key != CONSUMER);
        positions.iter_mut().for_each(|position| position.value = None);
        to.deliver(Delivery { positions, ..Delivery::default() }).await?;
        Ok(taking)
    }

    /// Creates the group of a stream if it is missing. Returns which entries are stored, as far as the stream still has them.
    async fn prepare(&mut self, stream: &str, mut seen: Seen) -> Result<Seen, End> {
        let last_id = self.group.last_id(stream).await?;
        let is_missing = last_id.is_none() || !self.group.exists(stream).await?;
        let last_id = last_id.unwrap_or_default();
        let had_any = seen.last().is_some();
        if seen.last().is_some_and(|last| last > last_id) {
            // A new stream of that name, or the server has lost entries. It may give their ids again.
            if is_missing {
                seen = Seen::default();
            } else {
                seen.forget_after(last_id);
            }
            // Before there is a group that gives out these ids.
            let position = self.position(stream, &seen);
            self.to.deliver(Delivery { positions: vec![position], ..Delivery::default() }).await?;
        }
        if is_missing {
            let from = match (self.source.options.start, seen.first()) {
                (Start::New, None) if !had_any => "$".to_owned(),
                // All that other consumers may not have stored.
                (Start::New, Some(first)) => first.to_string(),
                _ => "0".to_owned(),
            };
            self.group.create(stream, &from).await?;
        }
        Ok(seen)
    }

    fn position(&self, stream: &str, seen: &Seen) -> Position {
        let value = seen.last().map(|_| seen.encode());
        Position { key: self.source.key(stream), value }
    }

    /// Takes entries until something fails.
    pub async fn go_on(&mut self) -> Result<(), End> {
        let mut claimed: Option<Instant> = None;
        let streams = &self.source.options.streams;
        let take_over = self.source.options.take_over.duration();
        loop {
            if std::mem::take(&mut self.is_owing) {
                for at in 0..streams.len() {
                    self.take_own(at).await?;
                }
            }
            if claimed.is_none_or(|at| at.elapsed() >= take_over / 2) {
                claimed = Some(Instant::now());
                for at in 0..streams.len() {
                    self.take_over(at, take_over).await?;
                }
            }
            let read = self.group.read(streams, From::New, self.count).await?;
            if self.may_store(&mut read.iter().flat_map(|read| &read.entries)) {
                for read in &read {
                    self.store(read.stream, &read.entries, true).await?;
                }
            }
        }
    }

    /// What this consumer got and did not acknowledge.
    async fn take_own(&mut self, at: usize) -> Result<(), End> {
        let mut after = Id::default();
        loop {
            let read = self.group.read(&self.source.options.streams, From::Own(at, after), self.count).await?;
            let entries = read.into_iter().next().map(|read| read.entries).unwrap_or_default();
            let Some(last) = entries.last() else { return Ok(()) };
            if self.may_store(&mut entries.iter()) {
                after = last.id;
                self.store(at, &entries, false).await?;
            }
        }
    }

    /// What other consumers did not acknowledge for some time.
    async fn take_over(&mut self, at: usize, idle: Duration) -> Result<(), End> {
        let (mut from, stream) = (b"0-0".to_vec(), &self.source.options.streams[at]);
        loop {
            let (next, entries) = self.group.claim(stream, idle, &from, self.count).await?;
            if !entries.is_empty() && self.may_store(&mut entries.iter()) {
                tracing::info!("source `{}`: takes over {} entries of `{stream}`", self.to.name(), entries.len());
                self.store(at, &entries, false).await?;
            }
            if next == b"0-0" || self.is_owing {
                return Ok(());
            }
            from = next;
        }
    }

    /// Whether entries were read whole. If not, they are read again, one by one; what is too large even so is cut. Adapts
    /// how many are read at once.
    fn may_store(&mut self, entries: &mut dyn Iterator<Item = &Entry>) -> bool {
        if self.group.is_cut() && self.count > 1 {
            (self.count, self.is_owing) = (1, true);
            return false;
        }
        let (mut count, mut bytes) = (0, 0);
        entries.for_each(|entry| (count, bytes) = (count + 1, bytes + entry.byte_len()));
        let fitting = (count * limits::BATCH_BYTES).checked_div(bytes).unwrap_or(limits::BATCH_RECORDS);
        self.count = fitting.clamp(1, limits::BATCH_RECORDS).min(2 * self.count);
        true
    }

    /// Stores entries of a stream and acknowledges them. `is_run`: the stream has no others between them.
    async fn store(&mut self, at: usize, entries: &[Entry], is_run: bool) -> Result<(), End> {
        let stream = &self.source.options.streams[at];
        let mut rest = entries;
        while let [first, ..] = rest {
            let (mut delivery, taken) = self.delivery(stream, rest, &self.seen[at])?;
            let (now, later) = rest.split_at(taken);
            rest = later;
            if !delivery.batch.is_empty() || !delivery.bad.is_empty() {
                let seen = &mut self.seen[at];
                match now.last() {
                    Some(last) if is_run => seen.insert(first.id, last.id),
                    _ => now.iter().for_each(|entry| seen.insert(entry.id, entry.id)),
                }
                let ids = now.iter().map(|entry| entry.id).take(if is_run { 1 } else { now.len() });
                self.group.join(stream, seen, ids).await?;
                let position = self.position(stream, &self.seen[at]);
                delivery.positions.push(position);
            }
            self.to.deliver(delivery).await?;
            self.group.acknowledge(stream, now.iter().map(|entry| entry.id)).await?;
        }
        Ok(())
    }

    /// The records of the first of these entries that are not stored yet, up to the limits. Returns how many entries that
    /// are.
    fn delivery(&self, stream: &str, entries: &[Entry], seen: &Seen) -> Result<(Delivery, usize), String> {
        let options = &self.source.options;
        let shape = Shape { format: options.format, field: options.field.as_deref() };
        let (mut taken, mut bytes) = (0, 0);
        let delivery = self.to.compose(|composer| {
            for entry in entries {
                if taken > 0 && bytes + entry.byte_len() > limits::BATCH_BYTES {
                    break;
                }
                taken += 1;
                bytes += entry.byte_len();
                if !seen.contains(entry.id) {
                    let composed = shape.compose(composer, stream, entry);
                    composed.map_err(|error| self.group.fault("can't read entries", &error.to_string()))?;
                }
            }
            Ok(())
        })?;
        Ok((delivery, taken))
    }
}
