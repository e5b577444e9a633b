//! Handles a posted body, from its head to the answer.
//!
//! Called by `routes`; uses `request`, `body`, `decompress`, a protocol and the intake, in this order. Invariants: the
//! bytes of a request stay counted in flight until the intake has answered, even if the client has disconnected; a
//! delivery to the intake is never taken back.
//!
//! Small bodies are decoded on the thread that received them, because a handover costs more than parsing. Bodies above
//! [`limits::INLINE_BYTES`] (as sent or decompressed) are decoded on a blocking thread, at most one per core at a time,
//! so that one request occupies a network thread for no longer than about a millisecond.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use hyper::{
    StatusCode, Version,
    body::Body,
    header::{EXPECT, HeaderName},
    http::request::Parts,
};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use weir_access::{Caller, Peer, Role};
use weir_record::{Batch, RejectedRecord, give_routes};

use crate::{
    Delivery, DeliveryKey, Receipt, Refusal,
    body::{self, BodyBounds},
    budget::HeldBytes,
    decompress::{DecompressError, decompress},
    key, limits,
    protocols::{PROTOCOLS, Posted, Protocol, Read},
    reply::{self, Answer, BadRecords, Refused, Taken},
    request::{self, Encoding},
    routes::Endpoint,
    traffic::RequestBody,
};

/// The header in which a replay sends the server's own key. It proves that the records were received before, so that
/// their `routes` were set by filters.
pub const REPLAY_HEADER: &str = "weir-replay";

/// Answers a post to entry `index` of `PROTOCOLS`.
pub(crate) async fn answer(
    endpoint: &Arc<Endpoint>,
    index: usize,
    parts: Parts,
    mut body: RequestBody,
    peer: &Peer,
) -> Answer {
    let started = Instant::now();
    let protocol = &PROTOCOLS[index];
    let meters = endpoint.meters.protocol(index);
    let (parts, outcome, held) = match receive(endpoint, protocol, &parts, &mut body, peer).await {
        Ok(received) => {
            meters.bytes.increment(received.body.len() as u64);
            take(endpoint, protocol, parts, received).await
        }
        Err(refused) => {
            // A sender that waits for `100 Continue` has sent nothing yet, and reading would make it start.
            if !body.is_end_stream() && !parts.headers.contains_key(EXPECT) {
                tokio::spawn(body::drain(body));
            }
            (parts, Err(refused), None)
        }
    };
    if let Ok(taken) = &outcome {
        meters.taken(taken);
    }
    let mut answer = (protocol.reply)(&parts, &outcome);
    if let Some(held) = held {
        answer = reply::held_in_place(answer, held);
    // HTTP/1.1 has one request at a time.
    } else if parts.version == Version::HTTP_2 {
        answer = reply::held_if_long(answer, &endpoint.answers, || {
            let shorter = outcome.map(Taken::shortened).map_err(|refused| refused.shortened());
            (protocol.reply)(&parts, &shorter)
        });
    }
    meters.answered(reply::counted_status(&answer));
    meters.took(started.elapsed());
    answer
}

/// A complete body, as sent.
struct Received {
    body: Bytes,
    encoding: Encoding,
    received_ns: i64,
    is_replay: bool,
    caller: Option<Caller>,
    key: Option<DeliveryKey>,
    held: HeldBytes,
}

/// Reads the body, unless the head already leads to a refusal.
async fn receive(
    endpoint: &Endpoint,
    protocol: &Protocol,
    parts: &Parts,
    body: &mut RequestBody,
    peer: &Peer,
) -> Result<Received, Refused> {
    endpoint.hosts.check(parts)?;
    endpoint.origins.check(parts, peer.is_encrypted)?;
    let is_replay = is_replay(endpoint.options.replay_key.as_deref(), parts)?;
    // Who has the key can read the data folder.
    let caller = if is_replay { None } else { Some(peer.permitted(Role::Ingest)?) };
    if let Some(caller) = &caller {
        endpoint.options.access.admit_request(caller)?;
    }
    let encoding = (protocol.encoding)(&parts.headers)?;
    (protocol.check)(parts)?;
    let key = key::of_head(&parts.headers, protocol.key_header)?;
    let head_bytes = limits::REQUEST_TASK_BYTES + request::head_bytes(parts);
    let head_bytes = head_bytes.max(limits::REQUEST_OVERHEAD_BYTES);
    let mut held = endpoint.flight.hold_head(head_bytes, body.usage(), Some(peer.account.clone()))?;
    let received_ns = weir_record::time::now_ns();
    let body = body::read(body, BodyBounds::of(&endpoint.options), &mut held).await?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let key = key.map(|key| key::of_request(key, caller.as_ref(), target, &body));
    Ok(Received { body, encoding, received_ns, is_replay, caller, key, held })
}

/// Whether a request has the replay key. A wrong key is refused, because the records would lose their routes.
fn is_replay(key: Option<&str>, parts: &Parts) -> Result<bool, Refused> {
    const REPLAY: HeaderName = HeaderName::from_static(REPLAY_HEADER);
    let Some(shown) = parts.headers.get(REPLAY) else { return Ok(false) };
    let (shown, key) = (shown.as_bytes(), key.unwrap_or_default().as_bytes());
    // Constant-time comparison.
    let differ = shown.iter().zip(key).fold(shown.len() ^ key.len(), |sum, (a, b)| sum | usize::from(a ^ b));
    if differ != 0 || key.is_empty() {
        let error = "this replay has the key of another router; pass the data folder of the router that receives it";
        return Err(Refused::new(StatusCode::FORBIDDEN, error));
    }
    Ok(true)
}

/// Waits for the sender's other requests if several senders send. The body is complete, so that a slow sender can't make
/// others with the same address wait.
async fn take_turn(endpoint: &Endpoint, received: &mut Received) -> Result<(), Refused> {
    let Some(caller) = &received.caller else { return Ok(()) };
    let bytes = match received.encoding {
        Encoding::Identity => received.body.len(),
        _ => received.body.len().saturating_mul(limits::USUAL_COMPRESSION),
    };
    received.held.turn = endpoint.options.access.turn(caller, bytes).await;
    if received.held.turn.is_none() {
        return Err(Refused::busy("earlier requests of this sender have taken too long; retry in a moment"));
    }
    Ok(())
}

/// Returns the head for the answer, because decoding may move it to another thread, and what is held for an answer that
/// repeats the body.
async fn take(
    endpoint: &Arc<Endpoint>,
    protocol: &'static Protocol,
    parts: Parts,
    mut received: Received,
) -> (Parts, Result<Taken, Refused>, Option<HeldBytes>) {
    if let Err(refused) = take_turn(endpoint, &mut received).await {
        return (parts, Err(refused), None);
    }
    let (parts, decoded) = decode(endpoint, protocol, parts, received).await;
    let delivered = match decoded {
        Ok(decoded) => deliver(endpoint, decoded).await,
        Err(refused) => Err(refused),
    };
    match delivered {
        Ok((taken, held)) => (parts, Ok(taken), held),
        Err(refused) => (parts, Err(refused), None),
    }
}

/// Decoded records for the intake, and the bytes they hold.
struct Decoded {
    batch: Batch,
    bad: Vec<RejectedRecord>,
    notes: Vec<u8>,
    key: Option<DeliveryKey>,
    held: HeldBytes,
}

/// How much to decode at once.
enum DecodeMode {
    /// On this thread: stop if it exceeds [`limits::INLINE_BYTES`].
    Inline,
    /// On a blocking thread.
    Whole,
}

/// The result of an attempt to decode.
enum Attempt {
    Done(Result<Decoded, Refused>),
    /// More than an inline attempt may do; returns the body.
    TooMuch(Received),
}

async fn decode(
    endpoint: &Arc<Endpoint>,
    protocol: &'static Protocol,
    parts: Parts,
    received: Received,
) -> (Parts, Result<Decoded, Refused>) {
    let inline_bytes = match received.encoding {
        Encoding::Identity => limits::INLINE_BYTES,
        _ => limits::INLINE_COMPRESSED_BYTES,
    };
    let received = if received.body.len() <= inline_bytes {
        match attempt(endpoint, protocol, &parts, received, DecodeMode::Inline) {
            Attempt::Done(decoded) => return (parts, decoded),
            Attempt::TooMuch(received) => received,
        }
    } else {
        received
    };
    // The semaphore is never closed. If it were, continuing without a permit would only be less fair.
    let permit = Arc::clone(&endpoint.decoders).acquire_owned().await.ok();
    let (endpoint, head) = (Arc::clone(endpoint), parts.clone());
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        attempt(&endpoint, protocol, &head, received, DecodeMode::Whole)
    });
    let decoded = match work.await {
        Ok(Attempt::Done(decoded)) => decoded,
        Ok(Attempt::TooMuch(_)) | Err(_) => {
            tracing::error!("decoding a body panicked");
            Err(Refused::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "decoding the body failed because of an internal error; nothing was stored",
            ))
        }
    };
    (parts, decoded)
}

fn attempt(endpoint: &Endpoint, protocol: &Protocol, parts: &Parts, received: Received, effort: DecodeMode) -> Attempt {
    let Received { body, encoding, received_ns, is_replay, caller, key, mut held } = received;
    let body_bytes = body.len();
    let content = if encoding == Encoding::Identity {
        body
    } else {
        let max_bytes = endpoint.options.max_decompressed_bytes;
        let bound = match effort {
            DecodeMode::Inline => max_bytes.min(limits::INLINE_BYTES),
            DecodeMode::Whole => max_bytes,
        };
        match decompress(encoding, &body, bound, &mut held) {
            Ok(content) => content.into(),
            Err(DecompressError::Bound) if bound < max_bytes => {
                return match held.resize(body.len()) {
                    Ok(()) => Attempt::TooMuch(Received { body, encoding, received_ns, is_replay, caller, key, held }),
                    Err(refused) => Attempt::Done(Err(refused)),
                };
            }
            Err(error) => return Attempt::Done(Err(undecompressed(error, encoding, max_bytes))),
        }
    };
    let options = &endpoint.options;
    let posted = Posted {
        parts,
        content: &content,
        received_ns,
        is_replay,
        source: &options.source,
        level: options.level,
        aliases: &options.aliases,
    };
    // Canonical records are about as long as their JSON.
    let mut batch = Batch::with_capacity(content.len() + content.len() / 8, content.len() / 256);
    let read = (protocol.read)(&posted, &mut batch);
    drop(content);
    Attempt::Done(read.and_then(|Read { mut bad, notes }| {
        // A replay has no caller, and its records have their routes already.
        if let Some(caller) = &caller {
            check_scope(caller, &batch)?;
            let quota = options.rules.quota.as_ref();
            options.access.admit_records(caller, quota, batch.len() + bad.len(), body_bytes)?;
            batch = give_routes(batch, &options.rules.routes, &mut bad);
        }
        let bytes = batch.byte_len() + notes.len() + bad.iter().map(|bad| bad.bytes.len()).sum::<usize>();
        held.resize(bytes)?;
        Ok(Decoded { batch, bad, notes, key, held })
    }))
}

/// Refuses a batch with a record that its sender's token is not for.
pub(crate) fn check_scope(caller: &Caller, batch: &Batch) -> Result<(), Refused> {
    if caller.scope().is_none() {
        return Ok(());
    }
    match batch.iter().find(|record| !caller.admits(*record)) {
        Some(outside) => {
            let source: String = outside.source().chars().take(limits::MAX_LABEL_BYTES).collect();
            Err(caller.out_of_scope(format!("records of the source `{source}`; nothing was stored")).into())
        }
        None => Ok(()),
    }
}

fn undecompressed(error: DecompressError, encoding: Encoding, max_bytes: usize) -> Refused {
    match error {
        DecompressError::Refused(refused) => refused,
        DecompressError::Bound => Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the decompressed body exceeds the limit of {max_bytes} bytes; send smaller batches"),
        ),
        DecompressError::Broken(reason) => {
            let name = encoding.name();
            Refused::new(StatusCode::BAD_REQUEST, format!("the body can't be decompressed as {name}: {reason}"))
        }
    }
}

/// Submits the records and waits for the intake's answer. What was held for long notes is returned.
async fn deliver(endpoint: &Endpoint, decoded: Decoded) -> Result<(Taken, Option<HeldBytes>), Refused> {
    let Decoded { batch, bad, notes, key, held } = decoded;
    let keep = |held: HeldBytes| (notes.len() > limits::SMALL_ANSWER_BYTES).then(|| held.for_answer(notes.len()));
    if batch.is_empty() && bad.is_empty() {
        let held = keep(held);
        return Ok((Taken { notes, ..Taken::default() }, held));
    }
    let sent = batch.len();
    let noted = BadRecords::note(&bad);
    let (reply, confirmation) = oneshot::channel();
    endpoint.intake.submit(Delivery { batch, bad, key, reply })?;
    let mut pending = Pending { confirmation: Some((confirmation, held)) };
    let wait = endpoint.options.answer_timeout;
    match timeout(wait, pending.confirmed()).await {
        Ok(confirmed) => {
            let (receipt, held) = confirmed?;
            let held = keep(held);
            Ok((Taken { notes, ..Taken::new(sent, noted, receipt) }, held))
        }
        Err(_) => Err(Refused::busy(format!(
            "the records were not stored within {wait:?} and may still be; send them again, which may duplicate them"
        ))),
    }
}

/// A delivery that the intake has not answered. If the request ends first (the client disconnected or it timed out), a
/// task takes over waiting, so that the bytes stay counted for as long as they are held.
struct Pending {
    confirmation: Option<(oneshot::Receiver<Result<Receipt, Refusal>>, HeldBytes)>,
}

impl Pending {
    async fn confirmed(&mut self) -> Result<(Receipt, HeldBytes), Refused> {
        let twice =
            || Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the outcome of the records was requested twice");
        let Some((receiver, _)) = &mut self.confirmation else { return Err(twice()) };
        let answered = receiver.await;
        let (_, held) = self.confirmation.take().ok_or_else(twice)?;
        match answered {
            Ok(outcome) => Ok((outcome?, held)),
            Err(_) => Err(Refused::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the pipeline ended before it confirmed the records; send them again",
            )),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let (Some((receiver, held)), Ok(runtime)) = (self.confirmation.take(), Handle::try_current()) {
            runtime.spawn(async move {
                _ = receiver.await;
                drop(held);
            });
        }
    }
}
