//! Reading bodies piece by piece, with tokio's clock paused.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, task::Context};

use hyper::body::{Frame, SizeHint};

use super::*;
use crate::budget::ByteBudget;

/// A body that yields the given pieces, each after a pause. If `endless`, it stays `Pending` after the last.
struct Pieces {
    pieces: VecDeque<(Duration, Bytes)>,
    declared: Option<u64>,
    endless: bool,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
    read: usize,
}

impl Pieces {
    fn new(pieces: &[(u64, &'static str)]) -> Pieces {
        let piece = |(pause_ms, text): &(u64, &'static str)| {
            (Duration::from_millis(*pause_ms), Bytes::from_static(text.as_bytes()))
        };
        Pieces { pieces: pieces.iter().map(piece).collect(), declared: None, endless: false, waiting: None, read: 0 }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((pause, _)) = self.pieces.front() else {
            return if self.endless { Poll::Pending } else { Poll::Ready(None) };
        };
        let pause = *pause;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        if !pause.is_zero() && waiting.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.waiting = None;
        self.read += 1;
        Poll::Ready(self.pieces.pop_front().map(|(_, piece)| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

const BOUNDS: BodyBounds = BodyBounds { max_bytes: 10, idle: Duration::from_secs(2), total: Duration::from_secs(5) };

async fn read_all(mut body: Pieces, flight: &Arc<ByteBudget>) -> (Result<Bytes, Refused>, Pieces) {
    let mut held = flight.hold(0).unwrap();
    let result = read(&mut body, BOUNDS, &mut held).await;
    (result, body)
}

#[tokio::test(start_paused = true)]
async fn pieces_are_concatenated_and_empty_ones_skipped() {
    let flight = ByteBudget::new(1000);
    for (pieces, whole) in [
        (&[][..], ""),
        (&[(0, "one")], "one"),
        (&[(0, ""), (0, "one")], "one"),
        (&[(0, "one"), (10, ""), (10, "two"), (0, "3")], "onetwo3"),
        (&[(0, "0123456789")], "0123456789"),
    ] {
        assert_eq!(read_all(Pieces::new(pieces), &flight).await.0.unwrap(), whole);
    }
    assert_eq!(flight.held_bytes(), 0);
}

#[tokio::test]
async fn a_declared_length_over_the_bound_is_413_before_anything_is_read() {
    let mut body = Pieces::new(&[(0, "0123456789a")]);
    body.declared = Some(11);
    let (result, body) = read_all(body, &ByteBudget::new(1000)).await;
    assert_eq!(result.unwrap_err().status.as_u16(), 413);
    assert_eq!(body.read, 0);
}

#[tokio::test]
async fn an_undeclared_body_is_413_at_the_piece_that_passes_the_bound() {
    let body = Pieces::new(&[(0, "01234"), (0, "56789"), (0, "a"), (0, "b"), (0, "c")]);
    let (result, body) = read_all(body, &ByteBudget::new(1000)).await;
    assert_eq!(result.unwrap_err().status.as_u16(), 413);
    assert_eq!(body.read, 3);
}

#[tokio::test]
async fn a_body_that_does_not_fit_in_flight_is_503_before_it_is_read() {
    let flight = ByteBudget::new(100);
    let _others = flight.hold(95).unwrap();
    let mut body = Pieces::new(&[(0, "012345")]);
    body.declared = Some(6);
    let (result, body) = read_all(body, &flight).await;
    assert_eq!(result.unwrap_err().status.as_u16(), 503);
    assert_eq!(body.read, 0);
    assert_eq!(flight.held_bytes(), 95);
}

#[tokio::test]
async fn an_undeclared_body_that_grows_past_what_is_free_in_flight_is_503() {
    let flight = ByteBudget::new(100);
    let _others = flight.hold(95).unwrap();
    let (result, _) = read_all(Pieces::new(&[(0, "01234"), (0, "5")]), &flight).await;
    assert_eq!(result.unwrap_err().status.as_u16(), 503);
    assert_eq!(flight.held_bytes(), 95);
}

#[tokio::test(start_paused = true)]
async fn silence_in_a_body_is_503_with_a_time_to_send_it_again() {
    let mut body = Pieces::new(&[(0, "one")]);
    body.endless = true;
    let refused = read_all(body, &ByteBudget::new(1000)).await.0.unwrap_err();
    assert_eq!((refused.status.as_u16(), refused.retry_after_s), (503, Some(limits::RETRY_BUSY_S)));
    assert!(refused.error.contains("3 bytes received"), "{}", refused.error);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_passes_the_idle_timeout_and_hits_the_total_one() {
    let steady = Pieces::new(&[(1500, "a"), (1500, "b"), (1500, "c")]);
    assert_eq!(read_all(steady, &ByteBudget::new(1000)).await.0.unwrap(), "abc");
    let dripping = Pieces::new(&[(1500, "a"), (1500, "b"), (1500, "c"), (1500, "d"), (1500, "e")]);
    let refused = read_all(dripping, &ByteBudget::new(1000)).await.0.unwrap_err();
    assert_eq!(refused.status.as_u16(), 503);
    assert!(refused.error.contains("more than 5s"), "{}", refused.error);
}

#[tokio::test(start_paused = true)]
async fn empty_pieces_do_not_count_as_progress() {
    let body = Pieces::new(&[(1500, ""), (1500, ""), (1500, "late")]);
    assert_eq!(read_all(body, &ByteBudget::new(1000)).await.0.unwrap_err().status.as_u16(), 503);
}

#[tokio::test(start_paused = true)]
async fn draining_ends_even_if_the_body_does_not() {
    let mut body = Pieces::new(&[(0, "some")]);
    body.endless = true;
    drain(body).await;
}
