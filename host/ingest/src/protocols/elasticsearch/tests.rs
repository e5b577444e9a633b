//! Documents become records, each item has its own answer, and clients find what they look for.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{PROTOCOL, limits};
use crate::{
    Receipt, RecordError,
    protocols::{test_answers, test_bodies},
    reply::Refused,
};

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const OFFICIAL: (&str, &str) = ("accept", "application/vnd.elasticsearch+json; compatible-with=9");

/// The records of a body for the index `logs`.
fn records(body: &str) -> Vec<Value> {
    test_bodies::post(&PROTOCOL, "/logs/_bulk", &[NDJSON], body).expect("taken").0
}

fn record(document: &str) -> Value {
    records(&format!("{{\"create\":{{}}}}\n{document}\n")).remove(0)
}

fn post(body: &str) -> test_answers::Answered {
    test_answers::post(&PROTOCOL, "/logs/_bulk", &[NDJSON], body, Receipt::default())
}

#[test]
fn names_of_the_common_schema_become_the_head_dotted_or_nested() {
    for document in [
        r#"{"@timestamp":"2026-11-20T10:00:00.5Z","message":"m","log.level":"warn","service.name":"shop","trace.id":"t","span.id":"s"}"#,
        r#"{"@timestamp":"2026-11-20T10:00:00.5Z","message":"m","log":{"level":"warn"},"service":{"name":"shop"},"trace":{"id":"t"},"span":{"id":"s"}}"#,
    ] {
        let record = record(document);
        let head =
            json!([record["timestamp"], record["level"], record["source"], record["message"], record["context"]]);
        let context = json!({"trace_id": "t", "span_id": "s"});
        assert_eq!(head, json!(["2026-11-20T10:00:00.500000000Z", "WARNING", "shop", "m", context]));
        assert!(record.get("trace").or(record.get("trace.id")).is_some(), "{record}");
    }
}

#[test]
fn what_a_document_says_of_itself_stays_and_the_index_is_added() {
    let record = record(
        r#"{"level":"error","log":{"level":"debug"},"service":"own","n":1e400,"context":{"user":1,"trace_id":"own"},"trace.id":"x"}"#,
    );
    assert_eq!(record["level"], "ERROR");
    assert_eq!((&record["source"], &record["index"]), (&json!("own"), &json!("logs")));
    assert_eq!(record["log"], json!({"level": "debug"}));
    assert_eq!(record["context"], json!({"user": 1, "trace_id": "own"}));
    let body = "{\"index\":{\"_index\":\"other\",\"_id\":\"7\"}}\n{\"index\":\"own\",\"context\":3,\"span.id\":\"s\"}";
    let record = records(body).remove(0);
    assert_eq!((&record["index"], &record["_index"]), (&json!("own"), &json!("other")));
    assert_eq!((&record["_id"], &record["source"]), (&json!("7"), &json!("other")));
    assert_eq!((&record["context"], &record["context_original"]), (&json!({"span_id": "s"}), &json!(3)));
}

#[test]
fn the_answer_is_what_shippers_look_for() {
    let answer =
        post("{\"create\":{\"_id\":\"1\"}}\r\n{}\r\n\r\n{\"index\":{\"_index\":\"b\",\"_id\":\"2\"}}\n{\"a\":1}");
    assert_eq!(answer.status, 200);
    let due = concat!(
        r#"{"took":0,"errors":false,"items":[{"create":{"_index":"logs","_id":"1","status":201}},"#,
        r#"{"index":{"_index":"b","_id":"2","status":201}}]}"#
    );
    assert_eq!(answer.body, due);
    assert_eq!(answer.head["x-elastic-product"], "Elasticsearch");
    assert_eq!(answer.head["content-type"], "application/json");
}

#[test]
fn ids_are_made_up_and_differ() {
    let answer = post(&"{\"create\":{}}\n{}\n".repeat(300)).json();
    let ids: std::collections::HashSet<_> =
        answer["items"].as_array().unwrap().iter().map(|item| item["create"]["_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 300);
    assert!(ids.iter().all(|id| id.len() == 20));
    assert!(record("{}").get("_id").is_none());
}

#[test]
fn each_item_that_fails_has_its_own_error_and_the_others_are_stored() {
    let body = concat!(
        "{\"create\":{\"_id\":\"1\"}}\n{\"n\":1}\n",
        "{\"create\":{\"_id\":\"2\"}}\n{broken\n",
        "{\"update\":{\"_id\":\"3\"}}\n{\"doc\":{}}\n",
        "{\"delete\":{\"_id\":\"4\"}}\n",
        "{\"create\":{\"_id\":\"5\"}}\n[1]\n",
        "{\"create\":{\"_id\":\"6\"}}\n{\"n\":6}\n",
        "{\"create\":{\"_id\":\"7\"}}\n{\"n\":7}\n",
    );
    let (records, bad) = test_bodies::post(&PROTOCOL, "/logs/_bulk", &[], body).expect("taken");
    assert_eq!(records.iter().map(|record| record["n"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 6, 7]);
    assert_eq!(bad.iter().map(|bad| &bad.bytes[..]).collect::<Vec<_>>(), [&b"{broken"[..], b"[1]"]);
    // The second of the good ones.
    let receipt = Receipt { rejected: vec![RecordError { index: 1, error: "no".to_owned() }], quarantined: Vec::new() };
    let answer = test_answers::post(&PROTOCOL, "/logs/_bulk", &[], body, receipt).json();
    assert_eq!(answer["errors"], true);
    let items: Vec<_> = answer["items"].as_array().unwrap().iter().map(|item| item.as_object().unwrap()).collect();
    let of = |item: &&serde_json::Map<String, Value>| {
        let (operation, result) = item.iter().next().unwrap();
        (operation.clone(), result["_id"].as_str().unwrap().to_owned(), result["status"].as_u64().unwrap())
    };
    let statuses: Vec<_> = items.iter().map(of).collect();
    let due = [
        ("create", 1, 201),
        ("create", 2, 400),
        ("update", 3, 400),
        ("delete", 4, 400),
        ("create", 5, 400),
        ("create", 6, 422),
        ("create", 7, 201),
    ];
    assert_eq!(statuses, due.map(|(operation, id, status)| (operation.to_owned(), id.to_string(), status)));
    assert_eq!(items[1]["create"]["error"]["type"], "document_parsing_exception");
    assert_eq!(items[5]["create"]["error"], json!({"type": "rejected_by_filter_exception", "reason": "no"}));
}

#[test]
fn a_body_that_can_not_be_told_apart_is_refused_as_a_whole() {
    let long = "x".repeat(limits::MAX_ID_BYTES + 1);
    for (target, body, said) in [
        ("/_bulk", "", "request body is required"),
        ("/_bulk", "\n\n", "request body is required"),
        ("/_bulk", "{\"create\":{}}\n{}\n", "line [1]: the index is missing"),
        ("/a/_bulk", "{\"create\":{}}\n{}\nhello\n{}\n", "line [3]"),
        ("/a/_bulk", "{\"create\":{}}\n", "its document is missing"),
        ("/a/_bulk", &format!("{{\"create\":{{\"_id\":\"{long}\"}}}}\n{{}}\n"), "at most 512 bytes"),
        ("/%ff/_bulk", "{\"create\":{}}\n{}\n", "isn't UTF-8"),
    ] {
        let answer = test_answers::post(&PROTOCOL, target, &[NDJSON], body, Receipt::default());
        assert_eq!(answer.status, 400, "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["root_cause"][0]["reason"], error["reason"]);
        assert!(error["reason"].as_str().unwrap().contains(said), "{error}");
    }
    let answer = test_answers::post(&PROTOCOL, "/_bulk", &[("content-type", "text/html")], "", Receipt::default());
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (406, Some(406)));
}

#[test]
fn an_answer_that_would_be_too_long_refuses_the_body() {
    let index = "i".repeat(limits::MAX_INDEX_BYTES);
    let count = limits::MAX_BULK_ANSWER_BYTES / limits::MAX_INDEX_BYTES;
    let body = "{\"create\":{}}\n{}\n".repeat(count);
    let answer = test_answers::post(&PROTOCOL, &format!("/{index}/_bulk"), &[NDJSON], body, Receipt::default());
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (413, &json!("content_too_long_exception")));
}

#[test]
fn refusals_have_the_form_type_and_header_of_elasticsearch() {
    for (refused, status, kind) in [
        (Refused::busy("full"), 429, "es_rejected_execution_exception"),
        (Refused::new(StatusCode::UNAUTHORIZED, "who"), 401, "security_exception"),
        (Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "x"), 500, "exception"),
    ] {
        let waits = refused.retry_after_s.is_some();
        let answer = test_answers::refused(&PROTOCOL, &[OFFICIAL], refused);
        assert_eq!((answer.status, &answer.json()["error"]["type"]), (status, &json!(kind)));
        assert_eq!(answer.json()["status"], status);
        assert_eq!(answer.head["x-elastic-product"], "Elasticsearch");
        assert_eq!(answer.head["content-type"], "application/vnd.elasticsearch+json;compatible-with=9");
        assert_eq!(answer.head.contains_key("retry-after"), waits);
    }
}

#[test]
fn only_clients_of_elasticsearch_get_its_version_and_the_version_is_theirs() {
    let ask = |headers: &[(&str, &str)]| test_answers::ask(&PROTOCOL, Method::GET, "/", headers, b"");
    for headers in [&[][..], &[("user-agent", "curl/8.5.0"), ("accept", "*/*")], &[("accept", "text/html")]] {
        assert!(ask(headers).is_none(), "{headers:?}");
    }
    let number =
        |headers| ask(headers).expect("an answer").json()["version"]["number"].as_str().unwrap()[..2].to_owned();
    assert_eq!(number(&[OFFICIAL]), "9.");
    assert_eq!(number(&[("accept", "application/vnd.elasticsearch+json; compatible-with=8")]), "8.");
    assert_eq!(number(&[("x-elastic-client-meta", "es=8.0")]), "8.");
    assert_eq!(number(&[("user-agent", "Elastic-Filebeat/8.19.0")]), "8.");
    assert_eq!(ask(&[OFFICIAL]).unwrap().json()["tagline"], "You Know, for Search");
}

#[test]
fn what_weir_does_not_have_is_not_found_in_the_form_of_elasticsearch() {
    for (method, path, status) in [
        (Method::GET, "/_search", 404),
        (Method::PUT, "/_index_template/logs", 404),
        (Method::POST, "/logs/_doc/1", 404),
        (Method::DELETE, "/_ilm/policy/x", 404),
        (Method::GET, "/logs/_bulk", 405),
        (Method::GET, "/_cluster/health", 200),
        (Method::GET, "/_license", 200),
        (Method::GET, "/_cat/health", 200),
    ] {
        let answer = test_answers::ask(&PROTOCOL, method, path, &[], b"").expect(path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.head["x-elastic-product"], "Elasticsearch");
        answer.json();
    }
    assert!(test_answers::ask(&PROTOCOL, Method::GET, "/logs", &[], b"").is_none());
    assert_eq!(test_answers::ask(&PROTOCOL, Method::HEAD, "/logs", &[OFFICIAL], b"").expect("an answer").status, 404);
}

#[test]
fn mutated_bodies_are_answered() {
    let seeds: &[&[u8]] = &[
        b"{\"create\":{\"_index\":\"logs\",\"_id\":\"1\"}}\n{\"@timestamp\":\"2026-11-20T10:00:00Z\",\"message\":\"hello\",\"log\":{\"level\":\"warn\"}}\n",
        b"{\"index\":{\"_id\":7}}\r\n{\"service\":{\"name\":\"shop\"},\"trace\":{\"id\":\"t\"},\"context\":{\"a\":[1,2]},\"index\":\"x\"}\r\n",
        b"{\"update\":{\"_index\":\"a\"}}\n{\"doc\":{}}\n{\"delete\":{\"_index\":\"b\\n\",\"_id\":\"\\u00e9\"}}\n",
    ];
    test_bodies::mutated(&PROTOCOL, "/logs/_bulk?filter_path=errors,items.*.error", &[NDJSON], seeds);
}
