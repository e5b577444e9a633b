//! Keys of requests that senders may repeat: `Idempotency-Key`, and what protocols have in its place.
//!
//! A retry carries the key of the first attempt, so it is recognised whatever became of that. The key of one sender says
//! nothing about the requests of another one, so whose token was shown is part of it.

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
};
use ring::digest::{Context, SHA256};
use weir_access::Caller;

use crate::{DeliveryKey, limits, reply::Refused};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request, from `Idempotency-Key` or the protocol's own header.
///
/// # Errors
/// It can't be used.
pub(crate) fn of_head<'h>(headers: &'h HeaderMap, own: Option<&str>) -> Result<Option<&'h HeaderValue>, Refused> {
    let own = || own.and_then(|name| headers.get(name));
    let Some(key) = headers.get(IDEMPOTENCY_KEY).or_else(own) else { return Ok(None) };
    if key.is_empty() || key.len() > limits::MAX_LABEL_BYTES {
        let most = limits::MAX_LABEL_BYTES;
        let error = format!("the idempotency key must have 1 to {most} bytes; use a new UUID for each request");
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    }
    Ok(Some(key))
}

/// Of a request: the same key for another target or body is another delivery with the same key.
pub(crate) fn of_request(key: &HeaderValue, caller: Option<&Caller>, target: &str, body: &[u8]) -> DeliveryKey {
    let whose = caller.and_then(Caller::name).unwrap_or_default();
    DeliveryKey { key: hash(&[b"http", whose.as_bytes(), key.as_bytes()]), digest: hash(&[target.as_bytes(), body]) }
}

/// Of a message whose sender gave it an id, which may be that of another message too.
pub(crate) fn of_message(protocol: &str, id: &[u8], message: &[u8]) -> DeliveryKey {
    let digest = hash(&[message]);
    DeliveryKey { key: hash(&[protocol.as_bytes(), id, &digest]), digest }
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&context.finish().as_ref()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_header_counts_if_there_is_no_other_and_a_key_without_text_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(of_head(&headers, Some("logplex-frame-id")).expect("no key"), None);
        headers.insert("logplex-frame-id", HeaderValue::from_static("frame"));
        assert_eq!(of_head(&headers, None).expect("no key"), None);
        assert_eq!(of_head(&headers, Some("logplex-frame-id")).expect("a key").expect("a key"), "frame");
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("own"));
        assert_eq!(of_head(&headers, Some("logplex-frame-id")).expect("a key").expect("a key"), "own");
        for bad in [String::new(), "x".repeat(limits::MAX_LABEL_BYTES + 1)] {
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&bad).expect("text"));
            assert!(of_head(&headers, None).is_err());
        }
    }

    #[test]
    fn parts_are_not_confused_with_each_other() {
        let key = HeaderValue::from_static("k");
        let first = of_request(&key, None, "/ingest", b"body");
        let other = of_request(&key, None, "/ingestb", b"ody");
        assert_eq!((first.key == other.key, first.digest == other.digest), (true, false));
        let one = of_message("forward", b"id", b"one");
        assert_ne!(one.key, of_message("forward", b"id", b"two").key);
        assert_eq!(one, of_message("forward", b"id", b"one"));
    }
}
