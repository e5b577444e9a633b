//! Answers and errors.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use weir_access::Denied;
use weir_query::QueryError;
use weir_query::search::SearchError;

/// The body of an answer: complete, or a stream, which an error cuts off.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a stream was cut off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    /// Where the query is wrong.
    pub column: Option<usize>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into(), column: None, retry_after: None }
    }

    pub fn bad(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    /// The error as JSON.
    pub fn to_json(&self) -> Value {
        match self.column {
            Some(column) => json!({ "error": self.message, "column": column }),
            None => json!({ "error": self.message }),
        }
    }

    pub fn answer(&self) -> Response<Body> {
        let mut answer = json_answer(self.status, self.to_json().to_string().into());
        let is_busy = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(wait) = self.retry_after.or(is_busy.then_some(Duration::from_secs(1))) {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
        }
        answer
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> ApiError {
        let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN);
        ApiError { retry_after: denied.retry_after(), ..ApiError::new(status, denied.to_string()) }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> ApiError {
        ApiError { column: Some(error.column), ..ApiError::bad(error.to_string()) }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> ApiError {
        let status = match error {
            SearchError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            SearchError::Unsupported(_) => StatusCode::BAD_REQUEST,
        };
        ApiError::new(status, error.to_string())
    }
}

/// An answer in JSON.
pub fn json_answer(status: StatusCode, text: Bytes) -> Response<Body> {
    let mut answer = whole("application/json", text);
    *answer.status_mut() = status;
    answer
}

/// A complete answer. Browsers must not guess its type, nor keep it.
pub fn whole(content_type: &'static str, text: Bytes) -> Response<Body> {
    with_body(content_type, Full::new(text).map_err(|never| match never {}).boxed_unsync())
}

/// An answer with this body.
pub fn with_body(content_type: &'static str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
