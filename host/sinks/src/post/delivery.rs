//! Delivers records in requests, for sinks that post them: splits a delivery into bodies, posts each, and after a
//! failure omits what the server has already accepted.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use weir_record::Record;

use super::body::{Body, BodyBuilder, BodyLimit, Shape};
use super::options::Encoding;
use super::server::{Answer, Server};
use crate::sink::{Batching, Delivered, Position, Selected, Sink, SinkError};
use crate::units::Size;

/// Whether records are the sink's own, or copies for a sink that it stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Own,
    Copy,
}

/// How a service wants requests, and what its answers mean.
pub(crate) trait Protocol: Sync {
    /// Appends a record, encoded for the body's shape.
    fn encode(&self, at: Position, record: Record<'_>, out: &mut Vec<u8>);
    /// The headers of a request; error messages begin with `place`.
    fn headers(&self, place: &str, body: &Body, origin: Origin) -> Result<HeaderMap, SinkError>;
    /// The error for an unsuccessful answer.
    fn refused(&self, server: &Server, answer: &Answer) -> SinkError;
}

/// How bodies are built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyOptions {
    pub shape: Shape,
    pub encoding: Encoding,
    pub max_bytes: usize,
    pub max_records: usize,
}

/// A sink that posts its records as a protocol says.
pub(crate) struct PostSink<P> {
    batching: Batching,
    protocol: P,
    poster: Poster,
}

impl<P: Protocol> PostSink<P> {
    /// Opens nothing.
    pub fn new(batching: Batching, protocol: P, server: Server, bodies: BodyOptions) -> PostSink<P> {
        PostSink { batching, protocol, poster: Poster::new(server, bodies) }
    }
}

#[async_trait]
impl<P: Protocol + Send> Sink for PostSink<P> {
    async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.poster.deliver(&self.protocol, batches, Origin::Own).await
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.poster.deliver(&self.protocol, batches, Origin::Copy).await
    }
}

/// Posts deliveries to a server.
struct Poster {
    server: Server,
    bodies: BodyOptions,
    limit: BodyLimit,
    accepted: Accepted,
}

impl Poster {
    fn new(server: Server, bodies: BodyOptions) -> Poster {
        Poster { server, bodies, limit: BodyLimit::new(bodies.max_bytes), accepted: Accepted::default() }
    }

    /// Posts all records of a delivery that the server has not accepted in an earlier attempt. A record that fits into
    /// no body is rejected.
    async fn deliver(
        &mut self,
        protocol: &impl Protocol,
        batches: &[Selected],
        origin: Origin,
    ) -> Result<Delivered, SinkError> {
        // Copies are not part of the deliveries that this sink repeats.
        let mut accepted = match origin {
            Origin::Own => std::mem::take(&mut self.accepted),
            Origin::Copy => Accepted::default(),
        };
        let outcome = self.post_all(protocol, batches, origin, &mut accepted).await;
        if origin == Origin::Own {
            self.accepted = accepted;
        }
        outcome
    }

    async fn post_all(
        &mut self,
        protocol: &impl Protocol,
        batches: &[Selected],
        origin: Origin,
        accepted: &mut Accepted,
    ) -> Result<Delivered, SinkError> {
        let mut builder = BodyBuilder::new(self.bodies.shape, self.limit, self.bodies.max_records);
        let (mut rejected, mut encoded) = (Vec::new(), Vec::new());
        for (at, record) in batches.iter().flat_map(Selected::iter) {
            encoded.clear();
            protocol.encode(at, record, &mut encoded);
            if !builder.can_hold(encoded.len()) {
                rejected.push((at, self.too_long(encoded.len())));
                continue;
            }
            if accepted.contains(at) {
                continue;
            }
            if !builder.has_room(encoded.len())
                && let Some(body) = builder.take()
            {
                self.post(protocol, body, origin, accepted).await?;
            }
            builder.add(at, &encoded);
        }
        if let Some(body) = builder.take() {
            self.post(protocol, body, origin, accepted).await?;
        }
        if let Some(last) = batches.last() {
            accepted.delivered(last.end());
        }
        Ok(Delivered { rejected, durable: None })
    }

    fn too_long(&self, bytes: usize) -> String {
        let limit = Size::from_bytes(self.limit.configured() as u64);
        format!("{}: {bytes} bytes exceed `max_body`, {limit}", self.server.place())
    }

    async fn post(
        &mut self,
        protocol: &impl Protocol,
        body: Body,
        origin: Origin,
        accepted: &mut Accepted,
    ) -> Result<(), SinkError> {
        let headers = protocol.headers(self.server.place(), &body, origin)?;
        let Body { bytes, count, first, last } = body;
        let length = bytes.len();
        let answer = self.server.post(headers, self.bodies.encoding.apply(bytes)?).await?;
        if !answer.is_success() {
            if answer.status == 413 {
                self.limit.was_refused(length, count);
            }
            return Err(protocol.refused(&self.server, &answer));
        }
        accepted.add(first, last);
        Ok(())
    }
}

/// The records of a failed delivery that the server had already accepted. The runner then repeats the whole delivery,
/// or parts of it.
#[derive(Debug, Default)]
struct Accepted {
    range: Option<RangeInclusive<Position>>,
}

impl Accepted {
    /// Records an accepted body.
    fn add(&mut self, first: Position, last: Position) {
        let first = self.range.take().map_or(first, |range| *range.start());
        self.range = Some(first..=last);
    }

    /// True for a record that must not be sent again.
    fn contains(&self, at: Position) -> bool {
        self.range.as_ref().is_some_and(|range| range.contains(&at))
    }

    /// A delivery up to this position has succeeded: nothing before it will be repeated.
    fn delivered(&mut self, end: Position) {
        if self.range.as_ref().is_some_and(|range| *range.end() <= end) {
            self.range = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u32) -> Position {
        Position { sequence: 7, index }
    }

    #[test]
    fn accepted_records_are_skipped_until_the_delivery_has_succeeded_even_in_parts() {
        let mut accepted = Accepted::default();
        accepted.add(at(0), at(3));
        accepted.add(at(4), at(7));
        assert!((0..8).all(|n| accepted.contains(at(n))) && !accepted.contains(at(8)));
        accepted.delivered(at(5));
        assert!(accepted.contains(at(6)), "the other half still comes");
        accepted.delivered(Position::whole(7));
        assert!((0..8).all(|n| !accepted.contains(at(n))), "what comes now was asked for anew");
    }
}
