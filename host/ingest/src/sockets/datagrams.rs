//! Datagrams to records: one task empties the socket into a bounded pile, and another stores what has piled up.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, counter};
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::chunks::Assembler;
use super::deliver::{Listener, NotStored, Session};
use super::protocol::{Kind, OneWay};
use super::stream::{Frame, decode, lost};
use crate::budget::HeldBytes;
use crate::limits;
use crate::metrics::DROPPED_DATAGRAMS;

/// A socket that receives datagrams.
pub(super) trait Receive {
    fn next(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// The next one if it has arrived already.
    fn waiting(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Receive for UdpSocket {
    async fn next(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer).await
    }

    fn waiting(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_recv(buffer)
    }
}

impl Receive for UnixDatagram {
    async fn next(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer).await
    }

    fn waiting(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_recv(buffer)
    }
}

/// Datagrams that wait to be stored.
struct Pile {
    contents: Mutex<Contents>,
    grown: Notify,
    dropped: Counter,
}

struct Contents {
    bytes: Vec<u8>,
    frames: Vec<Range<usize>>,
    held: HeldBytes,
    /// No more will come.
    is_complete: bool,
}

impl Pile {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A panic can't leave it inconsistent: the bytes are added before their range.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, datagram: &[u8]) {
        // As in a stream, a message of nothing is none.
        if datagram.trim_ascii().is_empty() {
            return;
        }
        let contents = &mut *self.contents();
        let length = contents.bytes.len() + datagram.len();
        let is_full =
            contents.frames.len() == limits::MAX_WAITING_DATAGRAMS || length > limits::MAX_WAITING_DATAGRAM_BYTES;
        if is_full || contents.held.resize(2 * length).is_err() {
            self.dropped.increment(1);
            return;
        }
        let start = contents.bytes.len();
        contents.bytes.extend_from_slice(datagram);
        contents.frames.push(start..length);
    }
}

/// Receives datagrams until `shutdown` completes, and then stores those that wait, for at most
/// [`limits::SOCKET_GRACE`].
pub(super) async fn serve(listener: &Arc<Listener>, socket: &impl Receive, shutdown: impl Future<Output = ()>) {
    let Kind::OneWay(protocol) = &listener.options.protocol.kind else { return };
    let (stop, stopped) = watch::channel(false);
    let session = Session::of_datagrams(listener, &stopped);
    // Nothing is held yet, so there is room.
    let Ok(held) = session.hold() else { return };
    let pile = Pile {
        contents: Mutex::new(Contents { bytes: Vec::new(), frames: Vec::new(), held, is_complete: false }),
        grown: Notify::new(),
        dropped: counter!(DROPPED_DATAGRAMS, "protocol" => listener.options.protocol.name),
    };
    let receiving = async {
        receive(&session, protocol, socket, &pile, shutdown).await;
        pile.contents().is_complete = true;
        pile.grown.notify_one();
        sleep(limits::SOCKET_GRACE).await;
        // Ends what waits for room.
        _ = stop.send(true);
    };
    let mut storing = pin!(store(&session, protocol, &pile));
    let ended = tokio::select! {
        ended = &mut storing => ended,
        () = receiving => storing.await,
    };
    if let Err(reason) = ended {
        listener.closes(&session.peer, &reason);
    }
}

async fn receive(
    session: &Session,
    protocol: &OneWay,
    socket: &impl Receive,
    pile: &Pile,
    shutdown: impl Future<Output = ()>,
) {
    let mut buffer = vec![0; limits::MAX_DATAGRAM_BYTES];
    let mut assembler = protocol.has_chunks.then(|| Assembler::new(session.listener.options.max_message_bytes));
    let mut shutdown = pin!(shutdown);
    loop {
        let mut received = tokio::select! {
            biased;
            () = &mut shutdown => return,
            received = socket.next(&mut buffer) => received,
        };
        let (mut datagrams, mut bytes) = (0, 0);
        loop {
            match received {
                Ok(length) => {
                    session.listener.meters.bytes.increment(length as u64);
                    let datagram = &buffer[..length];
                    bytes += match assembler.as_mut().map(|assembler| assembler.add(datagram)) {
                        None => {
                            pile.add(datagram);
                            length
                        }
                        Some(Ok(Some(message))) => {
                            pile.add(&message);
                            message.len()
                        }
                        Some(Ok(None)) => length,
                        Some(Err(reason)) => {
                            pile.dropped.increment(1);
                            session.listener.closes(&session.peer, reason);
                            // It may have become large before it was refused.
                            limits::DATAGRAM_BYTES_AT_ONCE
                        }
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What the last datagram of somebody else has caused.
                Err(error) => tracing::debug!(%error, "receiving a datagram"),
            }
            datagrams += 1;
            if datagrams == limits::DATAGRAMS_AT_ONCE || bytes >= limits::DATAGRAM_BYTES_AT_ONCE {
                break;
            }
            received = socket.waiting(&mut buffer);
        }
        pile.grown.notify_one();
        // Others on this thread have their turn, even if datagrams come without a pause.
        tokio::task::yield_now().await;
    }
}

async fn store(session: &Session, protocol: &OneWay, pile: &Pile) -> Result<(), String> {
    loop {
        pile.grown.notified().await;
        loop {
            let (bytes, frames, is_complete) = {
                let mut contents = pile.contents();
                let taken = (std::mem::take(&mut contents.bytes), std::mem::take(&mut contents.frames));
                (taken.0, taken.1, contents.is_complete)
            };
            let frames: Vec<Frame> = frames.into_iter().map(|content| Frame { content, is_cut: false }).collect();
            if frames.is_empty() {
                if is_complete {
                    return Ok(());
                }
                break;
            }
            let received_ns = weir_record::time::now_ns();
            let mut decode = || decode(session, protocol, &bytes, &frames, received_ns);
            let stored = tokio::select! {
                biased;
                stored = session.store(&mut decode) => stored,
                () = session.stopped() => Err(NotStored::Stopping),
            };
            match stored {
                Ok(_) => {}
                Err(NotStored::Refused(reason)) => {
                    pile.dropped.increment(frames.len() as u64);
                    session.listener.closes(&session.peer, &reason);
                }
                Err(NotStored::Stopping) => return Err(lost(frames.len() + pile.contents().frames.len())),
            }
            if let Ok(mut contents) = pile.contents.lock() {
                let length = contents.bytes.len();
                // Less than before, so there is room.
                _ = contents.held.resize(2 * length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::super::SocketProtocol;
    use super::super::test_session::session;
    use super::*;
    use crate::budget::ByteBudget;

    fn lines() -> &'static OneWay {
        match &SocketProtocol::named("lines").expect("there is one").kind {
            Kind::OneWay(protocol) => protocol,
            Kind::Forward => unreachable!("nobody answers who sends lines"),
        }
    }

    fn empty_pile() -> Pile {
        let held = ByteBudget::new(1 << 30).hold(0).expect("there is room");
        let contents = Contents { bytes: Vec::new(), frames: Vec::new(), held, is_complete: false };
        Pile { contents: Mutex::new(contents), grown: Notify::new(), dropped: Counter::noop() }
    }

    /// Datagrams that have all arrived.
    #[derive(Default)]
    struct Burst {
        left: AtomicUsize,
        bytes: usize,
        this_turn: AtomicUsize,
        longest_turn: AtomicUsize,
        ended: Notify,
    }

    impl Receive for Burst {
        async fn next(&self, buffer: &mut [u8]) -> io::Result<usize> {
            self.this_turn.store(0, Relaxed);
            if self.left.load(Relaxed) == 0 {
                self.ended.notify_one();
                return pending().await;
            }
            self.waiting(buffer)
        }

        fn waiting(&self, buffer: &mut [u8]) -> io::Result<usize> {
            let left = self.left.load(Relaxed).checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
            self.left.store(left, Relaxed);
            self.longest_turn.fetch_max(self.this_turn.fetch_add(1, Relaxed) + 1, Relaxed);
            buffer[..self.bytes].fill(b'x');
            Ok(self.bytes)
        }
    }

    #[tokio::test]
    async fn a_burst_is_received_whole_and_others_have_their_turn_after_so_many_datagrams_or_bytes() {
        let (session, _stop) = session(1 << 20);
        let largest = limits::MAX_DATAGRAM_BYTES;
        for (datagrams, bytes, turn) in
            [(1000, 1, limits::DATAGRAMS_AT_ONCE), (100, largest, limits::DATAGRAM_BYTES_AT_ONCE / largest)]
        {
            let burst = Burst { left: AtomicUsize::new(datagrams), bytes, ..Burst::default() };
            let pile = empty_pile();
            receive(&session, lines(), &burst, &pile, burst.ended.notified()).await;
            assert_eq!(pile.contents().frames.len(), datagrams);
            assert_eq!(burst.longest_turn.load(Relaxed), turn);
        }
    }

    #[test]
    fn empty_datagrams_do_not_pile_up_and_no_more_others_than_one_batch_can_have() {
        let pile = empty_pile();
        for empty in [&b""[..], b"\n"] {
            pile.add(empty);
        }
        assert!(pile.contents().frames.is_empty());
        for _ in 0..2 * limits::MAX_WAITING_DATAGRAMS {
            pile.add(b"x");
        }
        let (session, _stop) = session(1 << 20);
        let contents = pile.contents();
        let mut cut: Vec<Frame> =
            contents.frames.iter().map(|content| Frame { content: content.clone(), is_cut: true }).collect();
        let decoded = decode(&session, lines(), &contents.bytes, &cut, 0).expect("a whole batch");
        assert_eq!(decoded.bad.len(), limits::MAX_WAITING_DATAGRAMS);
        cut.push(Frame { content: 0..1, is_cut: true });
        assert!(decode(&session, lines(), &contents.bytes, &cut, 0).is_err(), "nothing is discarded in silence");
    }
}
