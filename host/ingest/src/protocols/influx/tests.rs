//! Tests of whole bodies, of what clients ask, and of the answers.

use hyper::Request;
use serde_json::{Value as Json, json};

use super::super::{
    PROTOCOLS,
    test_bodies::{self, RECEIVED},
};
use super::*;

fn taken(target: &str, body: &str) -> (Vec<Json>, Vec<RejectedRecord>) {
    test_bodies::post(&PROTOCOL, target, &[], body).unwrap_or_else(|refused| panic!("{body}: {refused:?}"))
}

fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

#[test]
fn a_point_is_the_record_that_timeseries_makes_of_it() {
    let line = r#"cpu\ 1,host=a,region=eu\ west usage=0.5,cores=4i,big=18446744073709551615u,up=t,state="on \"x\"" 1700000001"#;
    let point = r#"{"measurement":"cpu 1","tags":{"host":"a","region":"eu west"},"fields":{"usage":0.5,"cores":4,
        "big":18446744073709551615,"up":true,"state":"on \"x\""},"timestamp":1700000001}"#;
    let timeseries = PROTOCOLS.iter().find(|protocol| protocol.name == "timeseries").expect("it is there");
    let (due, _) = test_bodies::post(timeseries, "/v1/timeseries", &[], point).expect("taken");
    let (records, bad) = taken("/write?precision=s", line);
    assert!(bad.is_empty());
    assert_eq!(records, due);
    assert_eq!(records[0]["message"].as_str(), due[0]["message"].as_str());
}

#[test]
fn parameters_are_kept_and_the_query_fills_level_and_source() {
    let (records, _) = taken("/api/v2/write?bucket=my%20logs&org=acme&db=&level=debug&source=edge", "m f=1");
    let due = json!({"timestamp": RECEIVED, "level": "DEBUG", "source": "edge", "message": "m f=1.0",
        "measurement": "m", "fields": {"f": 1.0}, "bucket": "my logs", "org": "acme"});
    assert_eq!(records, [due]);
    for (wrong, hint) in [("precision=d", "use ns"), ("db=a%0Ab", "control"), ("level=loud", "not a level")] {
        let refused = check(&head(&format!("/write?{wrong}"), &[])).expect_err(wrong);
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.error.contains(hint), "{}", refused.error);
    }
}

#[test]
fn times_have_every_precision() {
    for (precision, ticks, due) in [
        ("", "1700000000123456789", "2023-11-14T22:13:20.123456789Z"),
        ("ns", "-1", "1969-12-31T23:59:59.999999999Z"),
        ("u", "1700000000123456", "2023-11-14T22:13:20.123456000Z"),
        ("us", "1", "1970-01-01T00:00:00.000001000Z"),
        ("ms", "1700000000123", "2023-11-14T22:13:20.123000000Z"),
        ("s", "1700000000", "2023-11-14T22:13:20.000000000Z"),
        ("m", "2", "1970-01-01T00:02:00.000000000Z"),
        ("h", "2", "1970-01-01T02:00:00.000000000Z"),
    ] {
        let (records, _) = taken(&format!("/write?precision={precision}"), &format!("m f=1 {ticks}"));
        assert_eq!(records[0]["timestamp"], due, "{precision}");
    }
    let refused =
        test_bodies::post(&PROTOCOL, "/write?precision=h", &[], "m f=1 9223372036854775807").expect_err("too late");
    assert!(refused.error.contains("outside of 1677 to 2262"), "{}", refused.error);
}

#[test]
fn bad_lines_are_set_aside_unless_all_are_bad() {
    let long = "x".repeat(257);
    let (records, bad) = taken("/write", &format!("a f=1\nb\n# c\n\nd f=x\n{long} f=1\ne f=2"));
    assert_eq!(records.len(), 2);
    let bad: Vec<_> = bad.iter().map(|bad| (bad.index, &bad.error[..], &bad.bytes[..])).collect();
    assert_eq!(bad[0], (1, "unable to parse 'b': missing fields", &b"b"[..]));
    assert_eq!((bad[1].0, bad[1].2), (2, &b"d f=x"[..]));
    assert!(bad[2].1.ends_with("xxx': the measurement is longer than 256 bytes, or has control characters"), "{bad:?}");
    assert_eq!(bad.len(), 3);
    let refused = test_bodies::post(&PROTOCOL, "/write", &[], "b\nc").expect_err("nothing is good");
    assert_eq!((refused.status, &refused.error[..]), (StatusCode::BAD_REQUEST, "unable to parse 'b': missing fields"));
    assert_eq!(taken("/write", "# nothing\n").0.len(), 0);
}

#[test]
fn answers_have_the_form_of_the_version_that_was_asked() {
    let (one, two) = (head("/write", &[]), head("/api/v2/write", &[]));
    let busy = || Err(Refused::busy("later"));
    let body = |answer: &Answer| test_bodies::said(answer);
    for parts in [&one, &two] {
        let done = answer(parts, &Ok(Taken::default()));
        assert_eq!(done.status(), StatusCode::NO_CONTENT);
        assert!(done.headers().contains_key("x-influxdb-version") && !done.headers().contains_key(X_INFLUXDB_ERROR));
        let later = answer(parts, &busy());
        assert_eq!(later.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(later.headers()["retry-after"], "1");
    }
    assert_eq!(body(&answer(&one, &busy())), json!({"error": "later"}));
    assert_eq!(body(&answer(&two, &busy())), json!({"code": "unavailable", "message": "later"}));
    let rejected = Ok(Taken { rejected: 2, ..Taken::default() });
    assert_eq!(body(&answer(&two, &rejected))["code"], "unprocessable entity");
    let error = crate::RecordError { index: 1, error: "unable to parse 'ü\n': missing fields".to_owned() };
    let partial = answer(&one, &Ok(Taken { accepted: 1, quarantined: 1, errors: vec![error], ..Taken::default() }));
    assert_eq!(partial.status(), StatusCode::NO_CONTENT);
    let said = partial.headers()[X_INFLUXDB_ERROR].as_bytes();
    assert_eq!(said, "partial write: 1 points were set aside: unable to parse 'ü': missing fields".as_bytes());
}

#[test]
fn clients_get_answers_to_what_they_ask() {
    assert_eq!(pong().status(), StatusCode::NO_CONTENT);
    assert!(health(&head("/health", &[("user-agent", "curl/8")]), b"").is_none());
    assert!(health(&head("/health", &[]), b"").is_none());
    let asked = health(&head("/health", &[("user-agent", "influxdb-client-python/1.50.0")]), b"").expect("an answer");
    assert_eq!(test_bodies::said(&asked)["status"], "pass");
    assert!(query(&head("/query?q=CREATE%20DATABASE%20%22a%22", &[]), b"").is_some());
    assert!(query(&head("/query", &[]), b"db=a&q=create+database+a").is_some());
    assert!(query(&head("/query?q=SELECT+1", &[]), b"").is_none());
    assert!(query(&head("/query", &[]), b"\xff").is_none());
}

#[test]
fn mutated_lines_never_panic() {
    let seeds: [&[u8]; 3] = [
        b"cpu\\ 1,host=a,region=eu\\ west usage=0.5,cores=4i,big=18446744073709551615u,up=t,state=\"on \\\"x\\\"\" 1700000001\nm f=1",
        b"# c\n\na,t\\,a\\=g\\ =v f=\"x\ny\\\\\",g=F -5\r\nb f=1,f=2\n",
        b"a,b=c,b=d e=f\nm f=\"\n",
    ];
    test_bodies::mutated(&PROTOCOL, "/write?precision=ms&db=a", &[], &seeds);
}
