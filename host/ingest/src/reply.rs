//! Builds the answers, always JSON: the outcome of the records, or why the request was refused.
//!
//! The last step of every request. Protocols with answers of their own build them from the same two types, [`Taken`]
//! and [`Refused`]. Invariant: the output is always valid JSON of bounded size, whatever text it quotes.

use std::{
    convert::Infallible,
    fmt::Write,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
};
use weir_record::{RejectedRecord, SyntaxError};

use crate::{
    PageBody, Receipt, RecordError, Refusal,
    budget::{ByteBudget, HeldBytes},
    limits,
    pages::ActivePage,
    traffic::ActiveRequest,
};

/// An answer that is small and complete, as all are but some of the [`Pages`](crate::Pages).
pub(crate) type Answer = Response<Full<Bytes>>;

/// Any answer.
pub(crate) type AnyAnswer = Response<Either<Full<Bytes>, PageBody>>;

/// An answer on its way to the client.
pub(crate) type SentAnswer = Response<Either<WithTrailers, ActivePage>>;

/// Ends the request, or, if the answer is a stream, lets it last until the end of that.
pub(crate) fn sent(mut answer: AnyAnswer, request: ActiveRequest) -> SentAnswer {
    request.answered();
    let trailers = answer.extensions_mut().remove::<Trailers>();
    answer.map(|body| match body {
        Either::Left(whole) => Either::Left(WithTrailers { whole, trailers }),
        Either::Right(page) => Either::Right(ActivePage::new(page, request)),
    })
}

/// The trailers of an answer, among its extensions.
#[derive(Clone)]
struct Trailers(Box<HeaderMap>);

/// The status that metrics count for an answer whose own says nothing, among its extensions.
#[derive(Clone, Copy)]
struct CountedAs(StatusCode);

/// Gives an answer trailers, which clients of HTTP/2 get after the body.
pub(crate) fn add_trailers(answer: &mut Answer, trailers: HeaderMap) {
    answer.extensions_mut().insert(Trailers(Box::new(trailers)));
}

/// Lets metrics count an answer under another status.
pub(crate) fn count_as(answer: &mut Answer, status: StatusCode) {
    answer.extensions_mut().insert(CountedAs(status));
}

/// The status that metrics count.
pub(crate) fn counted_status<B>(answer: &Response<B>) -> u16 {
    let counted = answer.extensions().get::<CountedAs>().map(|counted| counted.0);
    counted.unwrap_or(answer.status()).as_u16()
}

/// A body that is complete, and trailers if there are some.
pub(crate) struct WithTrailers {
    whole: Full<Bytes>,
    trailers: Option<Trailers>,
}

impl Body for WithTrailers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match Pin::new(&mut self.whole).poll_frame(context) {
            Poll::Ready(None) => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers.0)))),
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none() && self.whole.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Clients of gRPC don't expect a length.
        if self.trailers.is_some() { SizeHint::default() } else { self.whole.size_hint() }
    }
}

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    /// The byte of the (decompressed) body that could not be read.
    pub(crate) offset: Option<usize>,
    pub(crate) retry_after_s: Option<u32>,
    /// The allowed methods, for 405.
    pub(crate) allow: Option<&'static str>,
    /// What the protocol calls this error.
    pub(crate) code: Option<u16>,
    /// The item of the body that is wrong, from zero.
    pub(crate) item: Option<usize>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Refused {
        Refused { status, error: error.into(), offset: None, retry_after_s: None, allow: None, code: None, item: None }
    }

    /// 503: too much is waiting.
    pub(crate) fn busy(error: impl Into<String>) -> Refused {
        Refused { retry_after_s: Some(limits::RETRY_BUSY_S), ..Refused::new(StatusCode::SERVICE_UNAVAILABLE, error) }
    }

    /// 400 at a byte of the body.
    pub(crate) fn syntax(offset: usize, error: impl Into<String>) -> Refused {
        Refused { offset: Some(offset), ..Refused::new(StatusCode::BAD_REQUEST, error) }
    }

    /// A body that can't be read in its form (400), or has too much in it (413).
    pub(crate) fn unread(error: SyntaxError, form: &str) -> Refused {
        let SyntaxError { offset, reason, too_much } = error;
        // What composes records doesn't know where in the body they are.
        let place = if offset > 0 { format!(", at byte {offset}") } else { String::new() };
        if too_much {
            return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{reason}{place}"));
        }
        let error = format!("the body can't be read as {form}{place}: {reason}");
        Refused { offset: (offset > 0).then_some(offset), ..Refused::new(StatusCode::BAD_REQUEST, error) }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        match refusal {
            Refusal::Busy(error) => Refused::busy(error),
            Refusal::Full(error) => Refused {
                retry_after_s: Some(limits::RETRY_FULL_S),
                ..Refused::new(StatusCode::SERVICE_UNAVAILABLE, error)
            },
            Refusal::Conflict(error) => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error),
            Refusal::Failed(error) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error),
        }
    }
}

/// The outcome of a request whose valid records are durable.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Records that were stored, or dropped by a filter.
    pub(crate) accepted: usize,
    pub(crate) quarantined: usize,
    pub(crate) rejected: usize,
    /// The positions of rejected records in the body, ascending.
    pub(crate) rejected_at: Vec<u32>,
    /// What the protocol noted while it read the body.
    pub(crate) notes: Vec<u8>,
    /// The first errors, in order of the record's position in the body.
    pub(crate) errors: Vec<RecordError>,
}

/// The bad records of a body, kept while the others are processed: enough to report them to the sender, and to convert
/// indexes in the batch to positions in the body.
pub(crate) struct BadRecords {
    /// Positions in the body, ascending.
    positions: Vec<u32>,
    errors: Vec<RecordError>,
}

impl BadRecords {
    pub(crate) fn note(bad: &[RejectedRecord]) -> BadRecords {
        let mut positions: Vec<u32> = bad.iter().map(|bad| bad.index).collect();
        positions.sort_unstable();
        let errors = bad
            .iter()
            .take(limits::MAX_ERRORS_LISTED)
            .map(|bad| RecordError { index: bad.index, error: shortened(&bad.error) })
            .collect();
        BadRecords { positions, errors }
    }

    /// The position in the body of record `index` of the batch, which is the index plus the number of bad records
    /// before it.
    fn position(&self, index: u32) -> u32 {
        // For the sorted bad positions p[0..], p[k] - k is the number of good records before the k-th bad one.
        let (mut low, mut high) = (0, self.positions.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.positions[middle] as usize - middle <= index as usize {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        index.saturating_add(u32::try_from(low).unwrap_or(u32::MAX))
    }
}

impl Refused {
    /// The same with a shorter text.
    pub(crate) fn shortened(&self) -> Refused {
        let error = self.error.chars().take(limits::SMALL_ANSWER_BYTES / 8).chain(['…']).collect();
        Refused {
            status: self.status,
            error,
            offset: self.offset,
            retry_after_s: self.retry_after_s,
            allow: self.allow,
            code: self.code,
            item: self.item,
        }
    }
}

impl Taken {
    /// The outcome for a batch of `sent` good records and the bad ones of the same body.
    pub(crate) fn new(sent: usize, bad: BadRecords, receipt: Receipt) -> Taken {
        let quarantined = bad.positions.len() + receipt.quarantined.len();
        let failed = receipt.quarantined.len() + receipt.rejected.len();
        let rejected = receipt.rejected.len();
        let mut rejected_at: Vec<u32> = receipt.rejected.iter().map(|problem| bad.position(problem.index)).collect();
        rejected_at.sort_unstable();
        let mut problems = receipt.quarantined;
        problems.extend(receipt.rejected);
        for problem in &mut problems {
            problem.index = bad.position(problem.index);
        }
        problems.extend(bad.errors);
        problems.sort_by_key(|problem| problem.index);
        problems.truncate(limits::MAX_ERRORS_LISTED);
        let accepted = sent.saturating_sub(failed);
        Taken { accepted, quarantined, rejected, rejected_at, notes: Vec::new(), errors: problems }
    }

    /// Whether a filter rejected every record.
    pub(crate) fn is_all_rejected(&self) -> bool {
        self.accepted == 0 && self.quarantined == 0 && self.rejected > 0
    }

    /// The counts only.
    pub(crate) fn shortened(self) -> Taken {
        Taken { errors: Vec::new(), ..self }
    }
}

/// Shortens an error to the limit of an answer. It may quote any number of the sender's bytes.
pub(crate) fn shortened(error: &str) -> String {
    match error.char_indices().nth(limits::MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", &error[..end]),
        None => error.to_owned(),
    }
}

/// The answer of Weir's own protocol.
pub(crate) fn answer(outcome: &Result<Taken, Refused>) -> Answer {
    match outcome {
        Ok(taken) => taken_answer(taken),
        Err(refused) => refused_answer(refused),
    }
}

/// The answer of a protocol that confirms with this status and no body. What is refused is answered as by Weir's own.
pub(crate) fn confirmed_by(status: StatusCode, outcome: &Result<Taken, Refused>) -> Answer {
    match outcome {
        Ok(taken) if !taken.is_all_rejected() => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = status;
            answer
        }
        outcome => answer(outcome),
    }
}

/// `200 {"accepted":N}` with the errors of individual records; 422 if all records were rejected.
fn taken_answer(taken: &Taken) -> Answer {
    let all_rejected = taken.is_all_rejected();
    let mut text = String::with_capacity(32 + 128 * taken.errors.len());
    text.push('{');
    if all_rejected {
        _ = write!(text, r#""error":"all {} records were rejected by a filter","#, taken.rejected);
    }
    // Writing to a String can't fail.
    _ = write!(text, r#""accepted":{}"#, taken.accepted);
    if taken.quarantined > 0 {
        _ = write!(text, r#","quarantined":{}"#, taken.quarantined);
    }
    if taken.rejected > 0 {
        _ = write!(text, r#","rejected":{}"#, taken.rejected);
    }
    if !taken.errors.is_empty() {
        text.push_str(r#","errors":["#);
        for (i, problem) in taken.errors.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            _ = write!(text, r#"{comma}{{"record":{},"error":{}}}"#, problem.index, quoted(&shortened(&problem.error)));
        }
        text.push(']');
        let omitted = taken.quarantined + taken.rejected - taken.errors.len().min(taken.quarantined + taken.rejected);
        if omitted > 0 {
            _ = write!(text, r#","errors_omitted":{omitted}"#);
        }
    }
    text.push('}');
    json(if all_rejected { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, text)
}

/// `{"error":"…"}` with the status and the headers that clients need.
pub(crate) fn refused_answer(refused: &Refused) -> Answer {
    let mut text = format!(r#"{{"error":{}"#, quoted(&shortened(&refused.error)));
    if let Some(offset) = refused.offset {
        _ = write!(text, r#","offset":{offset}"#);
    }
    text.push('}');
    let mut answer = json(refused.status, text);
    add_headers(refused, &mut answer);
    answer
}

/// Adds the headers that clients need to know what to do about a refusal.
pub(crate) fn add_headers(refused: &Refused, answer: &mut Answer) {
    if let Some(seconds) = refused.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refused.status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
    }
    if let Some(methods) = refused.allow {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::String(text.to_owned())
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, text: String) -> Answer {
    with_type(status, HeaderValue::from_static("application/json"), text)
}

/// An answer with headers that keep browsers from guessing its type or caching it.
pub(crate) fn with_type(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The bytes of an answer, counted until they are sent or dropped.
struct Counted {
    text: Bytes,
    _held: HeldBytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// Counts an answer in `held` until the client has read it. Returns `None` if there is no room.
pub(crate) fn held(answer: Answer, mut held: HeldBytes) -> Option<Answer> {
    let (head, body) = answer.into_parts();
    let text = whole(body);
    held.resize(text.len()).ok()?;
    Some(Response::from_parts(head, Full::new(Bytes::from_owner(Counted { text, _held: held }))))
}

/// Counts an answer in `held`, in place of the body that it answers: it repeats what the protocol noted, which is counted
/// already. What may not fit are the errors, whose number and length are bounded.
pub(crate) fn held_in_place(answer: Answer, mut held: HeldBytes) -> Answer {
    let (head, body) = answer.into_parts();
    let text = whole(body);
    _ = held.resize(text.len());
    Response::from_parts(head, Full::new(Bytes::from_owner(Counted { text, _held: held })))
}

/// The same as [`held`] for the answer of a post if it is long. Without room for it, sends the one made by `shorter`.
pub(crate) fn held_if_long(answer: Answer, answers: &Arc<ByteBudget>, shorter: impl FnOnce() -> Answer) -> Answer {
    let length = answer.body().size_hint().lower();
    if length <= limits::SMALL_ANSWER_BYTES as u64 {
        return answer;
    }
    let room = answers.hold(limits::SMALL_ANSWER_BYTES).ok();
    room.and_then(|room| held(answer, room)).unwrap_or_else(shorter)
}

/// The single piece of an answer.
fn whole(mut body: Full<Bytes>) -> Bytes {
    let mut context = Context::from_waker(std::task::Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut context) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
