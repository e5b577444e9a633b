//! For the tests of protocols: requests without a server, from the head to the answer.

use http_body_util::BodyExt;
use hyper::{Method, Request, http::request::Parts};
use weir_record::{Aliases, Batch, Level};

use super::{Posted, Protocol};
use crate::{
    Receipt,
    reply::{Answer, BadRecords, Refused, Taken},
};

/// An answer, with the body as text.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) head: hyper::HeaderMap,
    pub(super) body: String,
}

impl Answered {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(super) fn parts(method: Method, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

/// The answer to a post, of whose records an intake says this.
pub(super) fn post(
    protocol: &Protocol,
    target: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
    receipt: Receipt,
) -> Answered {
    let parts = parts(Method::POST, target, headers);
    let aliases = Aliases::default();
    let posted = Posted {
        parts: &parts,
        content: body.as_ref(),
        received_ns: 1_700_000_000_000_000_000,
        is_replay: false,
        source: "http",
        level: Level::Info,
        aliases: &aliases,
    };
    let mut batch = Batch::new();
    let read = (protocol.check)(&parts).and_then(|()| (protocol.read)(&posted, &mut batch));
    let outcome = read.map(|read| {
        let taken = Taken::new(batch.len(), BadRecords::note(&read.bad), receipt);
        Taken { notes: read.notes, ..taken }
    });
    told((protocol.reply)(&parts, &outcome))
}

/// The answer to a refused request.
pub(super) fn refused(protocol: &Protocol, headers: &[(&str, &str)], refused: Refused) -> Answered {
    let parts = parts(Method::POST, protocol.paths[0], headers);
    told((protocol.reply)(&parts, &Err(refused)))
}

/// The answer to a question; `None` if it is none.
pub(super) fn ask(
    protocol: &Protocol,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answered> {
    let parts = parts(method, target, headers);
    let asks = super::find_ask(&parts.method, parts.uri.path());
    asks.filter(|(of, _)| of.name == protocol.name).find_map(|(_, ask)| (ask.answer)(&parts, body)).map(told)
}

fn told(answer: Answer) -> Answered {
    let (head, body) = answer.into_parts();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let body = runtime.block_on(body.collect()).expect("whole").to_bytes();
    let body = String::from_utf8(body.to_vec()).expect("text");
    Answered { status: head.status.as_u16(), head: head.headers, body }
}
