//! The interface to the page and the API.
//!
//! Requests for paths that no protocol claims go to [`Pages`] once their host and their site are checked. Answers may be
//! streams that last for hours; such a request counts as in progress until its end, so [`Pages`] must end its streams
//! when the router stops.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, SizeHint},
    header::HeaderName,
    http::request::Parts,
};
use tokio::runtime::Handle;
use weir_access::Peer;

use crate::{Boxed, reply::Refused, request, traffic::ActiveRequest};

/// The body of a request or of an answer. An error cuts it off.
pub type PageBody = UnsyncBoxBody<Bytes, BodyError>;

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The answer to a request.
pub type PageFuture = Boxed<Response<PageBody>>;

/// Answers the requests for paths that no protocol claims.
pub trait Pages: Send + Sync {
    /// Whether there is something at this path.
    fn has(&self, path: &str) -> bool;

    /// Answers a request for such a path after reading as much of its body as it needs. For a WebSocket,
    /// `hyper::upgrade::on` takes the request.
    fn answer(&self, request: Request<PageBody>, peer: Peer) -> PageFuture;

    /// The runtime on which connections continue once they have an answer that is a stream of events.
    fn streams(&self) -> Handle;
}

/// Refuses requests from pages of other sites.
pub(crate) fn check(parts: &Parts, is_encrypted: bool) -> Result<(), Refused> {
    const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
    // A link on another site may open a page, which that site can't read. A form on it could change something.
    let is_link =
        parts.method == Method::GET && parts.headers.get(SEC_FETCH_MODE).is_some_and(|mode| mode == "navigate");
    if is_link { Ok(()) } else { request::refuse_cross_site(parts, is_encrypted) }
}

/// The body of a page being sent. Its request is in progress until the end.
pub(crate) struct ActivePage {
    body: PageBody,
    request: ActiveRequest,
}

impl ActivePage {
    pub(crate) fn new(body: PageBody, request: ActiveRequest) -> ActivePage {
        ActivePage { body, request }
    }
}

impl Body for ActivePage {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.request.made_progress();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
