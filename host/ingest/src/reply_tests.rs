//! The content of answers, and that they are JSON of bounded size.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;

fn bad(index: u32, error: &str) -> RejectedRecord {
    RejectedRecord { index, error: error.to_owned(), bytes: Vec::new() }
}

fn problem(index: u32, error: &str) -> RecordError {
    RecordError { index, error: error.to_owned() }
}

async fn worded(outcome: Result<Taken, Refused>) -> (u16, Value, Answer) {
    let answer = answer(&outcome);
    let body = answer.clone().into_body().collect().await.unwrap().to_bytes();
    (answer.status().as_u16(), serde_json::from_slice(&body).unwrap(), answer)
}

#[tokio::test]
async fn a_successful_answer_has_only_the_count() {
    let taken = Taken::new(3, BadRecords::note(&[]), Receipt::default());
    let answer = answer(&Ok(taken));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], br#"{"accepted":3}"#);
}

#[tokio::test]
async fn bad_records_and_filters_failures_are_listed_by_their_position_in_the_body() {
    // The body was: good 0, bad 1, bad 2, good 3 (batch 1), good 4 (batch 2), bad 5, good 6 (batch 3).
    let noted = BadRecords::note(&[bad(1, "not a map"), bad(2, "too deep"), bad(5, "too large")]);
    let receipt = Receipt {
        quarantined: vec![problem(3, "trap")],
        rejected: vec![problem(0, "no tenant"), problem(1, "no tenant")],
    };
    let (status, body, _) = worded(Ok(Taken::new(4, noted, receipt))).await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({"accepted": 1, "quarantined": 4, "rejected": 2, "errors": [
            {"record": 0, "error": "no tenant"},
            {"record": 1, "error": "not a map"},
            {"record": 2, "error": "too deep"},
            {"record": 3, "error": "no tenant"},
            {"record": 5, "error": "too large"},
            {"record": 6, "error": "trap"},
        ]})
    );
}

#[test]
fn positions_agree_with_a_plain_count_over_any_pattern_of_bad_records() {
    for pattern in 0_u32..1 << 10 {
        let is_bad = |position: u32| pattern >> position & 1 == 1;
        let noted: Vec<RejectedRecord> =
            (0..10).filter(|position| is_bad(*position)).map(|position| bad(position, "")).collect();
        let noted = BadRecords::note(&noted);
        let good = (0..10).filter(|position| !is_bad(*position));
        for (index, position) in good.enumerate() {
            assert_eq!(noted.position(u32::try_from(index).unwrap()), position, "pattern {pattern:b}");
        }
    }
}

#[tokio::test]
async fn when_a_filter_rejected_all_records_the_answer_is_422_with_the_reasons() {
    let receipt = Receipt { quarantined: vec![], rejected: vec![problem(0, "a"), problem(1, "b")] };
    let (status, body, _) = worded(Ok(Taken::new(2, BadRecords::note(&[]), receipt))).await;
    assert_eq!(status, 422);
    assert_eq!(body["rejected"], 2);
    assert_eq!(body["errors"], json!([{"record": 0, "error": "a"}, {"record": 1, "error": "b"}]));
    assert!(body["error"].as_str().unwrap().contains("all 2 records"));
}

#[tokio::test]
async fn a_record_in_quarantine_is_kept_so_the_answer_is_200() {
    let (status, body, _) = worded(Ok(Taken::new(0, BadRecords::note(&[bad(0, "x")]), Receipt::default()))).await;
    assert_eq!((status, &body["accepted"], &body["quarantined"]), (200, &json!(0), &json!(1)));
}

#[tokio::test]
async fn many_errors_are_truncated_and_counted() {
    let many: Vec<RejectedRecord> = (0..1000).map(|index| bad(index, &"long ".repeat(1000))).collect();
    let (_, body, answer) = worded(Ok(Taken::new(0, BadRecords::note(&many), Receipt::default()))).await;
    assert_eq!(body["quarantined"], 1000);
    assert_eq!(body["errors"].as_array().unwrap().len(), limits::MAX_ERRORS_LISTED);
    assert_eq!(body["errors_omitted"], 1000 - limits::MAX_ERRORS_LISTED);
    let bytes = answer.into_body().collect().await.unwrap().to_bytes().len();
    assert!(bytes < limits::MAX_ERRORS_LISTED * (limits::MAX_ERROR_CHARS + 40));
}

#[tokio::test]
async fn errors_are_json_whatever_they_quote() {
    let nasty = "quote \" backslash \\ newline \n nul \0 bidi \u{202e} heart \u{2764}";
    let (_, body, _) = worded(Err(Refused::new(StatusCode::BAD_REQUEST, nasty))).await;
    assert_eq!(body, json!({"error": nasty}));
    let (_, body, _) = worded(Err(Refused::new(StatusCode::BAD_REQUEST, "é".repeat(2000)))).await;
    assert_eq!(body["error"].as_str().unwrap().chars().count(), limits::MAX_ERROR_CHARS + 1);
}

#[tokio::test]
async fn refusals_carry_the_status_and_headers_that_tell_a_client_what_to_do() {
    let (status, _, answer) = worded(Err(Refusal::Busy("busy".to_owned()).into())).await;
    assert_eq!((status, &answer.headers()["retry-after"]), (503, &HeaderValue::from(limits::RETRY_BUSY_S)));
    let (status, _, answer) = worded(Err(Refusal::Full("full".to_owned()).into())).await;
    assert_eq!((status, &answer.headers()["retry-after"]), (503, &HeaderValue::from(limits::RETRY_FULL_S)));
    let (status, body, answer) = worded(Err(Refusal::Failed("broken".to_owned()).into())).await;
    assert_eq!((status, &body), (500, &json!({"error": "broken"})));
    assert!(!answer.headers().contains_key("retry-after"));
    let (status, body, _) = worded(Err(Refused::syntax(17, "x"))).await;
    assert_eq!((status, &body["offset"]), (400, &json!(17)));
    let unread = |offset, too_much| Refused::unread(SyntaxError { offset, reason: "why".into(), too_much }, "GELF");
    let (status, body, _) = worded(Err(unread(3, false))).await;
    assert_eq!((status, &body["offset"]), (400, &json!(3)));
    assert_eq!(body["error"], "the body can't be read as GELF, at byte 3: why");
    assert_eq!(unread(0, false).error, "the body can't be read as GELF: why");
    let (status, body, _) = worded(Err(unread(0, true))).await;
    assert_eq!((status, &body), (413, &json!({"error": "why"})));
}
