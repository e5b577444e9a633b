//! The answers of OTLP in each form.

use http_body_util::BodyExt;

use super::*;
use crate::{RecordError, reply::Taken};

async fn worded(path: &str, content_type: &str, outcome: Result<Taken, Refused>) -> (HeaderMap, Vec<u8>) {
    let answer = answer::reply(&parts(path, content_type), &outcome);
    let (head, body) = answer.into_parts();
    (head.headers, body.collect().await.expect("a body").to_bytes().to_vec())
}

fn partly() -> Taken {
    let errors = vec![RecordError { index: 2, error: "no \"level\"".to_owned() }];
    Taken { accepted: 5, quarantined: 1, rejected: 2, errors, ..Taken::default() }
}

#[tokio::test]
async fn success_is_empty_and_partial_success_says_what_was_not_stored() {
    let all = || Ok(Taken { accepted: 5, ..Taken::default() });
    let (headers, body) = worded("/v1/logs", "application/json", all()).await;
    assert_eq!((&headers["content-type"], &body[..]), (&"application/json".parse().unwrap(), &b"{}"[..]));
    let (headers, body) = worded("/v1/logs", "application/x-protobuf", all()).await;
    assert_eq!((&headers["content-type"], &body[..]), (&"application/x-protobuf".parse().unwrap(), &b""[..]));
    let (headers, body) = worded(EXPORT, "application/grpc", all()).await;
    assert_eq!((&headers["content-type"], &body[..]), (&"application/grpc".parse().unwrap(), &[0; 5][..]));
    assert!(!headers.contains_key("grpc-status"), "it is in the trailers");
    let (_, body) = worded("/v1/logs", "application/json", Ok(partly())).await;
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["partialSuccess"]["rejectedLogRecords"], "2");
    let said = "2 of the records rejected by a filter, 1 of the records kept in quarantine; record 2: no \"level\"";
    assert_eq!(body["partialSuccess"]["errorMessage"], said);
    let (_, body) = worded("/v1/logs", "application/x-protobuf", Ok(partly())).await;
    let due = message(|out| {
        write_bytes(
            out,
            1,
            &message(|partial| {
                write_uint(partial, 1, 2);
                write_bytes(partial, 2, said.as_bytes());
            }),
        );
    });
    assert_eq!(body, due);
    let kept = Taken { accepted: 5, quarantined: 1, ..Taken::default() };
    let (_, body) = worded("/v1/logs", "application/json", Ok(kept)).await;
    assert_eq!(body, br#"{"partialSuccess":{"errorMessage":"1 of the records kept in quarantine"}}"#);
}

#[tokio::test]
async fn refusals_are_a_status_in_the_form_of_the_request() {
    let busy = || Err(Refused::busy("later"));
    let (headers, body) = worded("/v1/logs", "application/json", busy()).await;
    assert_eq!((&headers["retry-after"], &body[..]), (&"1".parse().unwrap(), &br#"{"code":14,"message":"later"}"#[..]));
    let (headers, body) = worded("/v1/logs", "application/x-protobuf", busy()).await;
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(
        body,
        message(|out| {
            write_uint(out, 1, 14);
            write_bytes(out, 2, b"later");
        })
    );
    let (headers, body) = worded(EXPORT, "application/grpc", busy()).await;
    assert_eq!(
        (&headers["grpc-status"], &headers["grpc-message"], body.len()),
        (&"14".parse().unwrap(), &"later".parse().unwrap(), 0)
    );
    assert!(headers.contains_key("grpc-status-details-bin"));
    let refused = |status, error: &str| Err(Refused::new(status, error));
    for (status, code) in [(400, "3"), (401, "16"), (403, "7"), (413, "8"), (415, "12"), (429, "14"), (500, "14")] {
        let status = StatusCode::from_u16(status).expect("a status");
        let (headers, _) = worded(EXPORT, "application/grpc", refused(status, "100 % é\n")).await;
        assert_eq!(headers["grpc-status"], code);
        assert_eq!(headers["grpc-message"], "100 %25 %C3%A9%0A");
    }
    let answer =
        answer::reply(&parts("/v1/logs", "application/json"), &refused(StatusCode::INTERNAL_SERVER_ERROR, "x"));
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "senders drop what is answered with 500");
}
