//! The live stream as server-sent events, for `EventSource` and for curl.

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::Response;
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};

use crate::limits;
use crate::reply::{Body, BodyError, with_body};
use crate::tail::{Permit, Tail};

/// The client is gone or takes nothing.
struct Ended;

/// Starts the stream.
pub fn start(runtime: &Handle, tail: Tail, permit: Permit) -> Response<Body> {
    let (sender, body) = Channel::new(1);
    runtime.spawn(async move {
        // The client may go at any time; there is nobody to tell.
        let _ = run(sender, tail).await;
    });
    // The place is free when the connection is done with the body, not when all is in it.
    let body = body.map_frame(move |frame| {
        let _permit = &permit;
        frame
    });
    with_body("text/event-stream", body.boxed_unsync())
}

async fn run(mut sender: Sender<Bytes, BodyError>, mut tail: Tail) -> Result<(), Ended> {
    send(&mut sender, tail.greeting()).await?;
    // Its first tick is at once, so that clients see that the stream is open.
    let mut keep_alive = interval(limits::KEEP_ALIVE);
    let mut stats = interval(limits::STATS_INTERVAL);
    loop {
        tokio::select! {
            messages = tail.next() => match messages {
                Some(messages) => send(&mut sender, messages).await?,
                None => return Ok(()),
            },
            _ = stats.tick() => {
                if !tail.is_permitted() {
                    return Ok(());
                }
                send(&mut sender, tail.stats()).await?;
            }
            _ = keep_alive.tick() => send(&mut sender, [Bytes::from_static(b": still here\n\n")]).await?,
        }
    }
}

async fn send(sender: &mut Sender<Bytes, BodyError>, messages: impl IntoIterator<Item = Bytes>) -> Result<(), Ended> {
    for message in messages {
        match timeout(limits::WRITE_TIMEOUT, sender.send_data(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Ended),
        }
    }
    Ok(())
}
