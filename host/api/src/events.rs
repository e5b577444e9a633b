//! The live stream as server-sent events, for `EventSource` and for curl.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, interval, sleep_until, timeout};
use weir_live::Live;

use crate::limits;
use crate::reply::{Body, BodyError, with_body};
use crate::tail::{Message, Tail};

/// The client is gone or takes nothing.
struct Ended;

/// Starts the stream.
pub fn start(tail: Tail, live: Arc<Live>, permit: OwnedSemaphorePermit) -> Response<Body> {
    let (sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let _permit = permit;
        // The client may go at any time; there is nobody to tell.
        let _ = run(sender, tail, &live).await;
    });
    with_body("text/event-stream", body.boxed_unsync())
}

async fn run(mut sender: Sender<Bytes, BodyError>, mut tail: Tail, live: &Live) -> Result<(), Ended> {
    send(&mut sender, events(tail.greeting())).await?;
    // Its first tick is at once, so that clients see that the stream is open.
    let mut keep_alive = interval(limits::KEEP_ALIVE);
    let mut stats = interval(limits::STATS_INTERVAL);
    let mut next_look = Instant::now();
    loop {
        tokio::select! {
            messages = async { sleep_until(next_look).await; tail.next().await } => match messages {
                Some(messages) => {
                    send(&mut sender, events(messages)).await?;
                    next_look = if tail.has_more() { Instant::now() } else { Instant::now() + live.interval() };
                }
                None => return Ok(()),
            },
            _ = stats.tick() => send(&mut sender, events(tail.stats())).await?,
            _ = keep_alive.tick() => send(&mut sender, ": still here\n\n".to_owned()).await?,
        }
    }
}

async fn send(sender: &mut Sender<Bytes, BodyError>, text: String) -> Result<(), Ended> {
    if text.is_empty() {
        return Ok(());
    }
    match timeout(limits::WRITE_TIMEOUT, sender.send_data(text.into())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Ended),
    }
}

/// Messages as events. JSON has no line ends outside of texts, where they are escaped.
fn events(messages: impl IntoIterator<Item = Message>) -> String {
    let mut events = String::new();
    for message in messages {
        // Writing to a String can't fail.
        if let Some(kind) = message.kind {
            _ = writeln!(events, "event: {kind}");
        }
        if let Some(id) = message.id {
            _ = writeln!(events, "id: {id}");
        }
        _ = write!(events, "data: {}\n\n", message.text);
    }
    events
}
