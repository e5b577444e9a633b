//! Streams of Loki as they are sent, well formed and not.

use std::time::Instant;

use http_body_util::BodyExt;
use hyper::Request;
use weir_record::RejectedRecord;

use super::*;
use crate::protocols::test_bodies::{self, mutations, records_of};
use crate::{
    RecordError,
    protocols::protobuf::{write_bytes, write_uint},
};

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post("/loki/api/v1/push");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

/// What becomes of a body, which is decompressed already.
fn taken(content_type: &str, body: &[u8]) -> Result<(Batch, Vec<RejectedRecord>), Refused> {
    let headers = [("content-type", content_type), ("x-scope-orgid", "team-a")];
    test_bodies::read(&PROTOCOL, "/loki/api/v1/push", &headers, body)
}

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn entry(seconds: u64, nanos: u64, line: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    message(|entry| {
        let time = message(|time| {
            write_uint(time, 1, seconds);
            write_uint(time, 2, nanos);
        });
        write_bytes(entry, 1, &time);
        write_bytes(entry, 2, line.as_bytes());
        for (name, value) in metadata {
            let pair = message(|pair| {
                write_bytes(pair, 1, name.as_bytes());
                write_bytes(pair, 2, value.as_bytes());
            });
            write_bytes(entry, 3, &pair);
        }
    })
}

fn stream(labels: &str, entries: &[Vec<u8>]) -> Vec<u8> {
    let stream = message(|stream| {
        write_bytes(stream, 1, labels.as_bytes());
        entries.iter().for_each(|entry| write_bytes(stream, 2, entry));
        write_uint(stream, 3, 12345);
    });
    message(|request| write_bytes(request, 1, &stream))
}

/// The same request in both forms.
fn everything() -> (Vec<u8>, &'static str) {
    let entries = [
        entry(1_700_000_001, 5, "first \u{1F600} \"line\"", &[("trace_id", "5b"), ("severity", "error")]),
        entry(1_700_000_002, 0, r#"{"a":1}"#, &[]),
    ];
    let mut protobuf = stream(r#"{job="shop", level="warn", c="d\"e"}"#, &entries);
    protobuf.extend_from_slice(&stream("{}", &[entry(0, 7, "", &[])]));
    let json = r#"{"more":1,"streams":[{"values":[
        ["1700000001000000005","first \ud83d\ude00 \"line\"",{"trace_id":"5b","severity":"error"}],
        ["1700000002000000000","{\"a\":1}"]],"stream":{"job":"shop","level":"warn","c":"d\"e"}},
        {"stream":{},"values":[["7",""]]}]}"#;
    (protobuf, json)
}

#[test]
fn both_forms_give_the_same_records() {
    let (protobuf, json) = everything();
    let (from_protobuf, bad) = taken("application/x-protobuf", &protobuf).expect("taken");
    assert!(bad.is_empty());
    let (from_json, _) = taken("application/json", json.as_bytes()).expect("taken");
    assert_eq!(from_protobuf.bytes(), from_json.bytes());
    let labels = serde_json::json!({"job": "shop", "level": "warn", "c": "d\"e"});
    let due = [
        serde_json::json!({"timestamp": "2023-11-14T22:13:21.000000005Z", "level": "ERROR", "source": "shop",
            "message": "first \u{1F600} \"line\"", "tenant": "team-a",
            "context": {"trace_id": "5b", "severity": "error"}, "labels": labels}),
        serde_json::json!({"timestamp": "2023-11-14T22:13:22.000000000Z", "level": "WARNING", "source": "shop",
            "message": "{\"a\":1}", "tenant": "team-a", "labels": labels}),
        serde_json::json!({"timestamp": "1970-01-01T00:00:00.000000007Z", "level": "INFO", "source": "http",
            "message": "", "tenant": "team-a", "labels": {}}),
    ];
    assert_eq!(records_of(&from_protobuf), due);
}

#[test]
fn a_bad_entry_is_set_aside_and_the_others_are_kept() {
    let body = r#"{"streams":[{"stream":{"a":1},"values":[5,["soon","x"],["1"],["1",2],["1","x",[]],["1","x",{"a":[]}],
        [1,"good"]]}]}"#;
    let (batch, bad) = taken("application/json", body.as_bytes()).expect("taken");
    assert_eq!((batch.len(), bad.len()), (1, 6));
    assert_eq!(records_of(&batch)[0]["labels"]["a"], "1");
    assert_eq!((bad[1].index, &bad[1].bytes[..]), (1, &br#"["soon","x"]"#[..]));
    let late = entry(i64::MAX as u64, 0, "x", &[]);
    let (batch, bad) =
        taken("application/x-protobuf", &stream("{}", &[late.clone(), entry(1, 1, "good", &[])])).expect("taken");
    assert_eq!((batch.len(), &bad[0].bytes), (1, &late));
    // winston-loki doesn't escape quotes.
    let (_, bad) =
        taken("application/x-protobuf", &stream(r#"{a="an "a""}"#, &[entry(1, 1, "x", &[])])).expect("taken");
    assert!(bad[0].error.contains("labels"), "{}", bad[0].error);
    let body = r#"{"streams":[{"stream":{"a":[]},"values":[["1","x"]]},{"stream":{"a":null},"values":[["1","x"]]}]}"#;
    let (batch, bad) = taken("application/json", body.as_bytes()).expect("taken");
    assert!(bad[0].error.contains("not text") && records_of(&batch)[0]["labels"] == serde_json::json!({}));
    let many = vec![entry(1, 1, "", &[]); 60_000];
    let labels = format!("{{a=\"{}\"}}", "x".repeat(300_000));
    let (batch, bad) = taken("application/x-protobuf", &stream(&labels, &many)).expect("taken");
    assert_eq!((batch.len(), bad.len()), (0, many.len()));
    assert!(bad[0].error.contains("256 KiB"));
}

#[test]
fn labels_are_read_once_however_many_entries_their_stream_has() {
    let labels = format!("{{{}}}", r#"a="","#.repeat(52_000));
    let time = |count: usize| {
        let (body, start) = (stream(&labels, &vec![Vec::new(); count]), Instant::now());
        let (batch, _) = taken("application/x-protobuf", &body).expect("taken");
        assert_eq!(batch.len(), count);
        start.elapsed()
    };
    let (one, many) = (time(1), time(4_000));
    assert!(many < 1_000 * one, "{many:?} for all, {one:?} for one");
}

#[test]
fn malformed_bodies_are_refused() {
    for (body, hint) in [
        ("", "JSON"),
        ("[]", "list `streams`"),
        (r#"{"streams":[5]}"#, "a stream is not an object"),
        (r#"{"streams":[{"stream":5}]}"#, "labels"),
        (r#"{"streams":[{"values":5}]}"#, "values"),
        (r#"{"streams":[]"#, "at byte 13"),
    ] {
        let refused = taken("application/json", body.as_bytes()).expect_err(body);
        assert!(refused.status == StatusCode::BAD_REQUEST && refused.error.contains(hint), "{body}: {}", refused.error);
    }
    assert!(taken("application/x-protobuf", &[0x0a, 5]).is_err());
    assert_eq!(taken("text/plain", b"").expect_err("text").status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[test]
fn heads_decide_form_and_compression() {
    let of = |headers: &[(&str, &str)]| encoding(&parts(headers).headers).ok();
    assert_eq!(of(&[]), Some(Encoding::Snappy));
    assert_eq!(of(&[("content-type", "application/x-protobuf")]), Some(Encoding::Snappy));
    assert_eq!(of(&[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")]), None);
    assert_eq!(of(&[("content-type", "application/json")]), Some(Encoding::Identity));
    assert_eq!(of(&[("content-type", "application/json"), ("content-encoding", "gzip")]), Some(Encoding::Gzip));
    let long = "x".repeat(300);
    assert!(check(&parts(&[("x-scope-orgid", &long)])).is_err());
}

#[tokio::test]
async fn the_answer_is_204_or_text() {
    let text = async |answer: Answer| answer.into_body().collect().await.expect("a body").to_bytes();
    let good = answer(&Ok(Taken { accepted: 1, quarantined: 1, rejected: 1, ..Taken::default() }));
    assert_eq!(good.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(good).await, "");
    let errors = vec![RecordError { index: 0, error: "no".to_owned() }];
    let none = answer(&Ok(Taken { rejected: 2, errors, ..Taken::default() }));
    assert_eq!(none.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(text(none).await, "all 2 records were rejected by a filter: no\n");
    let busy = answer(&Err(Refused::busy("later")));
    assert_eq!(
        (busy.status(), &busy.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    assert_eq!(text(busy).await, "later\n");
}

/// Random changes to requests of both forms, to labels and to Snappy neither panic nor take long.
#[test]
fn mutated_requests_are_taken_or_refused() {
    let (protobuf, json) = everything();
    let snappy = [&[12, 1 << 2, b'a', b'b', 2 | (9 << 2), 2, 0][..], &protobuf].concat();
    let mut count = 0;
    mutations(&[&protobuf, json.as_bytes(), &snappy], |seed, body| {
        if seed == 2 {
            let length = crate::snappy::declared_length(body).unwrap_or(0);
            let mut out = Vec::new();
            let read = crate::snappy::decompress(body, &mut out);
            assert!(out.len() <= length || (read.is_err() && length == 0));
            return;
        }
        match taken(if seed == 0 { "application/x-protobuf" } else { "application/json" }, body) {
            Ok((batch, bad)) => {
                let is_bounded = |record: weir_record::Record<'_>| record.source().len() <= body.len().max(4);
                assert!(batch.iter().all(is_bounded) && bad.len() <= body.len());
                count += 1;
            }
            Err(refused) => assert_eq!(refused.status, StatusCode::BAD_REQUEST),
        }
    });
    assert!(count > 0, "no change leaves a request that can be read");
}
