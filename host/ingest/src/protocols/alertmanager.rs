//! Webhooks of Prometheus Alertmanager: `POST /alertmanager`, a record per alert.
//!
//! ```yaml
//! receivers:
//!   - name: weir
//!     webhook_configs:
//!       - url: http://localhost:8080/alertmanager
//! ```
//!
//! | alert | in the record |
//! |---|---|
//! | `startsAt` if it fires, `endsAt` if it is resolved | the time |
//! | the label `severity`, if it names a level | the level; otherwise WARNING. INFO if the alert is resolved |
//! | the annotation `summary`, `description` or `message` | the message; without them, `alertname` |
//! | the label `service` or `job` | the source; without them, `?source=` or `alertmanager` |
//! | the label `alertname` | `alertname` |
//! | `status`, `labels`, `annotations`, `startsAt`, `endsAt`, `generatorURL`, `fingerprint` | the same |
//! | `receiver`, `groupKey`, `groupLabels`, `externalURL` of the notification | the same |
//!
//! Not kept, because it is in the alerts: `commonLabels`, `commonAnnotations`, the status of the notification, `version`.
//! `truncatedAlerts` is kept unless it is 0, and so is an `endsAt` that is not the year 1, which means none.
//!
//! The answer is 204. Alertmanager repeats what got a 5xx, so it gets 503 where others get 429, and sends alerts that
//! still fire again after its `repeat_interval`.

use hyper::{Method, StatusCode, http::request::Parts};
use weir_record::{Batch, ComposeError, Composer, Defaults, Level, Map, Value, time, write};

use super::{Example, Posted, Protocol, Read};
use crate::{
    context::Context,
    limits,
    reply::{self, Answer, Refused, Taken},
    request,
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "alertmanager",
    summary: "webhooks of Prometheus Alertmanager: a record per alert",
    paths: &["/alertmanager"],
    methods: &[Method::POST],
    asks: &[],
    example: Example {
        content_type: "application/json",
        body: r#"{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"DiskFull","severity":"critical"}}]}"#,
    },
    key_header: None,
    encoding: request::encoding,
    check: |parts| Context::read(parts).map(drop),
    read,
    reply,
};

/// Entries of a notification that are kept with each of its alerts.
const ENVELOPE: [&str; 5] = ["receiver", "groupKey", "groupLabels", "externalURL", "truncatedAlerts"];

/// What Go writes for no time.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let context = Context::read(posted.parts)?;
    let values = posted.json()?;
    let notification = Value::peek(&values).and_then(|value| value.as_map());
    let alerts = notification.and_then(|notification| notification.get("alerts")?.as_array());
    let (Some(notification), Some(alerts)) = (notification, alerts) else {
        let error = "the body is not a notification of Alertmanager: it has no list `alerts`";
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    };
    let envelope = envelope(notification)?;
    let source = context.source.as_deref().unwrap_or("alertmanager");
    let defaults = Defaults { source, level: context.level.unwrap_or(Level::Warning), ..posted.defaults() };
    let mut composer = Composer::new(&defaults, batch);
    for alert in alerts.iter() {
        composer.begin();
        let composed = match alert {
            Value::Map(alert) => compose(alert, &envelope, &mut composer),
            _ => Err(ComposeError::record("the alert is not an object")),
        };
        let sent = || {
            let mut json = Vec::new();
            weir_record::write_json_value(alert, &mut json);
            json
        };
        let ended = composer.end(composed, sent);
        ended.map_err(|error| Refused::unread(error, "JSON"))?;
    }
    Ok(composer.finish().into())
}

/// The entries of a notification that each alert gets, as MessagePack.
fn envelope(notification: Map<'_>) -> Result<Vec<(&'static str, Vec<u8>)>, Refused> {
    let mut entries = Vec::new();
    for key in ENVELOPE {
        if let Some(value) = notification.get(key).filter(|value| *value != Value::Int(0)) {
            entries.push((key, encoded(value)));
        }
    }
    if entries.iter().map(|(_, value)| value.len()).sum::<usize>() > limits::MAX_ENVELOPE_BYTES {
        let most = limits::MAX_ENVELOPE_BYTES;
        let error = format!("the notification has more than {most} bytes besides its alerts; group by fewer labels");
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    }
    Ok(entries)
}

fn compose(alert: Map<'_>, envelope: &[(&str, Vec<u8>)], composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let text = |map: &str, key: &str| {
        let text = alert.get(map)?.as_map()?.get(key)?.as_str()?;
        (!text.trim().is_empty()).then_some(text)
    };
    let is_resolved = alert.get("status").and_then(|status| status.as_str()) == Some("resolved");
    let moment = alert.get(if is_resolved { "endsAt" } else { "startsAt" });
    if let Some(ns) = moment.filter(|moment| *moment != Value::Str(NO_TIME)).and_then(time::from_value) {
        composer.time(ns);
    }
    match text("labels", "severity").and_then(Level::parse) {
        _ if is_resolved => composer.level(Level::Info),
        Some(level) => composer.level(level),
        None => {}
    }
    let alertname = text("labels", "alertname");
    let told = ["summary", "description", "message"].into_iter().find_map(|key| text("annotations", key));
    if let Some(message) = told.or(alertname) {
        composer.message(message.as_bytes());
    }
    if let Some(source) = text("labels", "service").or_else(|| text("labels", "job")) {
        composer.source(source.as_bytes());
    }
    if let Some(alertname) = alertname {
        composer.text("alertname", alertname.as_bytes())?;
    }
    for (key, value) in alert.iter() {
        if !(key == "endsAt" && value == Value::Str(NO_TIME)) {
            add(key, &encoded(value), composer)?;
        }
    }
    envelope.iter().try_for_each(|(key, value)| add(key, value, composer))
}

fn reply(_: &Parts, outcome: &Result<Taken, Refused>) -> Answer {
    let mut answer = reply::confirmed_by(StatusCode::NO_CONTENT, outcome);
    if answer.status() == StatusCode::TOO_MANY_REQUESTS {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer
}

fn encoded(value: Value<'_>) -> Vec<u8> {
    let mut encoded = Vec::new();
    write::value(&mut encoded, value);
    encoded
}

fn add(key: &str, value: &[u8], composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    composer.entry(key.as_bytes(), |out| out.msgpack(value).map(drop))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::{
        test_answers,
        test_bodies::{self, RECEIVED},
    };
    use super::*;

    /// As version 0.25 sends it.
    const NOTIFICATION: &str = r#"{"receiver":"weir","status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"DiskFull","instance":"a","job":"node","severity":"critical"},
         "annotations":{"description":"sda1 has 1 % left","summary":"disk is full"},
         "startsAt":"2026-11-30T04:00:00.123456789Z","endsAt":"0001-01-01T00:00:00Z",
         "generatorURL":"http://prometheus/graph","fingerprint":"c1a2"},
        {"status":"resolved","labels":{"alertname":"Slow","service":"shop","severity":"error"},"annotations":{},
         "startsAt":"2026-11-30T03:00:00Z","endsAt":"2026-11-30T04:05:00Z","generatorURL":"","fingerprint":"d3"}],
        "groupLabels":{"alertname":"DiskFull"},"commonLabels":{},"commonAnnotations":{},
        "externalURL":"http://alerts:9093","version":"4","groupKey":"{}:{alertname=\"DiskFull\"}","truncatedAlerts":0}"#;

    fn taken(body: &str) -> Vec<Json> {
        let (records, bad) = test_bodies::post(&PROTOCOL, "/alertmanager", &[], body).expect(body);
        assert!(bad.is_empty(), "{bad:?}");
        records
    }

    #[test]
    fn an_alert_becomes_a_record() {
        let records = taken(NOTIFICATION);
        let due = json!({"timestamp": "2026-11-30T04:00:00.123456789Z", "level": "CRITICAL", "source": "node",
            "message": "disk is full", "alertname": "DiskFull", "status": "firing",
            "labels": {"alertname": "DiskFull", "instance": "a", "job": "node", "severity": "critical"},
            "annotations": {"description": "sda1 has 1 % left", "summary": "disk is full"},
            "startsAt": "2026-11-30T04:00:00.123456789Z", "generatorURL": "http://prometheus/graph",
            "fingerprint": "c1a2", "receiver": "weir", "groupKey": "{}:{alertname=\"DiskFull\"}",
            "groupLabels": {"alertname": "DiskFull"}, "externalURL": "http://alerts:9093"});
        assert_eq!(records[0], due);
        let heads = ["timestamp", "level", "source", "message", "endsAt"].map(|key| &records[1][key]);
        assert_eq!(heads, ["2026-11-30T04:05:00.000000000Z", "INFO", "shop", "Slow", "2026-11-30T04:05:00Z"]);
    }

    #[test]
    fn severities_are_levels_and_others_warnings() {
        for (severity, level) in [
            ("critical", "CRITICAL"),
            ("error", "ERROR"),
            ("warning", "WARNING"),
            ("info", "INFO"),
            ("page", "WARNING"),
            ("", "WARNING"),
        ] {
            let records = taken(&format!(r#"{{"alerts":[{{"labels":{{"severity":"{severity}"}}}}]}}"#));
            assert_eq!(records[0]["level"], level, "{severity}");
        }
    }

    #[test]
    fn an_alert_without_anything_has_the_defaults() {
        let records = taken(r#"{"alerts":[{}]}"#);
        let heads = ["timestamp", "level", "source"].map(|key| &records[0][key]);
        assert_eq!(heads, [RECEIVED, "WARNING", "alertmanager"]);
        let (records, _) =
            test_bodies::post(&PROTOCOL, "/alertmanager?source=ops&level=error", &[], r#"{"alerts":[{}]}"#)
                .expect("taken");
        assert_eq!(["level", "source"].map(|key| &records[0][key]), ["ERROR", "ops"]);
        assert!(taken(r#"{"alerts":[]}"#).is_empty());
    }

    #[test]
    fn what_is_no_notification_is_refused_and_what_is_no_alert_set_aside() {
        for body in ["", "{", "[]", "{}", r#"{"alerts":{}}"#, r#"{"alerts":[]}x"#] {
            let refused = test_bodies::post(&PROTOCOL, "/alertmanager", &[], body).expect_err(body);
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        }
        let body = r#"{"alerts":[{},5,{"labels":7,"startsAt":"soon"}]}"#;
        let (records, bad) = test_bodies::post(&PROTOCOL, "/alertmanager", &[], body).expect("taken");
        assert_eq!((records.len(), bad.len()), (2, 1));
        assert_eq!((bad[0].index, &bad[0].bytes[..]), (1, &b"5"[..]));
        assert_eq!(records[1]["startsAt"], "soon");
    }

    #[test]
    fn what_was_too_much_is_refused_in_the_way_that_alertmanager_repeats() {
        let limited = Refused { retry_after_s: Some(7), ..Refused::new(StatusCode::TOO_MANY_REQUESTS, "x") };
        let answer = test_answers::refused(&PROTOCOL, &[], limited);
        assert_eq!((answer.status, &answer.head["retry-after"]), (503, &"7".parse().expect("a header")));
        let bad = test_answers::refused(&PROTOCOL, &[], Refused::new(StatusCode::BAD_REQUEST, "x"));
        assert_eq!(bad.status, 400);
    }

    #[test]
    fn a_large_notification_is_not_copied_for_each_of_many_alerts() {
        let body = format!(r#"{{"groupKey":"{}","alerts":[{{}},{{}}]}}"#, "x".repeat(limits::MAX_ENVELOPE_BYTES));
        let refused = test_bodies::post(&PROTOCOL, "/alertmanager", &[], &body).expect_err("it is too large");
        assert!(refused.error.contains("group by fewer labels"), "{}", refused.error);
    }

    #[test]
    fn mutated_notifications_never_panic() {
        test_bodies::mutated(&PROTOCOL, "/alertmanager", &[], &[NOTIFICATION.as_bytes(), br#"{"alerts":[{},5]}"#]);
    }
}
