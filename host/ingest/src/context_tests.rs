//! Query parameters and headers as senders really write them.

use hyper::Request;

use super::*;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parts(uri: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut request = Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn query_and_headers_become_defaults() {
    let parts = parts(
        "/ingest?source=check%20out+%C3%A9&level=warn&other=%zz",
        &[("x-request-id", "req-1"), ("traceparent", TRACEPARENT)],
    );
    let context = Context::read(&parts).unwrap();
    assert_eq!(context.source.as_deref(), Some("check out é"));
    assert_eq!(context.level, Some(Level::Warning));
    let entries = context.with_entries(|entries| entries.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>());
    assert_eq!(entries, ["request_id=req-1", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736", "span_id=00f067aa0ba902b7"]);
}

#[test]
fn a_request_without_values_adds_none() {
    let parts = parts("/ingest", &[]);
    let context = Context::read(&parts).unwrap();
    assert!(context.source.is_none() && context.level.is_none());
    context.with_entries(|entries| assert!(entries.is_empty()));
}

#[test]
fn unusable_query_parameters_are_400_with_a_hint() {
    let long = format!("/ingest?source={}", "x".repeat(limits::MAX_LABEL_BYTES + 1));
    let longest = format!("/ingest?x={}", "y".repeat(limits::MAX_QUERY_BYTES));
    let cases = [
        ("/ingest?source=%ff%fe", "UTF-8"),
        ("/ingest?source=%4", "two hex digits"),
        ("/ingest?source=%+1a", "two hex digits"),
        ("/ingest?source=a%0Ab", "control characters"),
        ("/ingest?source=", "is empty"),
        ("/ingest?level=loud", "CRITICAL"),
        (&long, "at most 256"),
        (&longest, "query"),
    ];
    for (uri, hint) in cases {
        let parts = parts(uri, &[]);
        let refused = Context::read(&parts).unwrap_err();
        assert_eq!(refused.status.as_u16(), 400, "{uri}");
        assert!(refused.error.contains(hint), "{uri}: {}", refused.error);
    }
}

#[test]
fn request_ids_out_of_bounds_are_ignored() {
    let longest = "x".repeat(limits::MAX_LABEL_BYTES);
    let longer = "x".repeat(limits::MAX_LABEL_BYTES + 1);
    for (value, kept) in
        [("abc", true), (longest.as_str(), true), (longer.as_str(), false), ("", false), ("caf\u{e9}", false)]
    {
        let parts = parts("/ingest", &[("x-request-id", value)]);
        assert_eq!(Context::read(&parts).unwrap().request_id.is_some(), kept, "{value}");
    }
}

#[test]
fn only_valid_traceparents_are_used() {
    assert!(parse_traceparent(TRACEPARENT).is_some());
    assert!(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later").is_some());
    let invalid = [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bz-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
    ];
    for value in invalid {
        assert_eq!(parse_traceparent(value), None, "{value}");
    }
    let twice = parts("/ingest", &[("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)]);
    assert_eq!(Context::read(&twice).unwrap().trace, None);
}
