//! What an unsuccessful answer of a server means. Status and code decide, never the text: InfluxDB 1 answers 404, 401
//! or 403 if the destination is the cause, and so does InfluxDB 2, with one exception (a required organisation that was
//! not given).

use serde::Deserialize;

use super::Version;
use crate::post::{Answer, Server};
use crate::sink::SinkError;

/// The body of such an answer: `{"error": …}` from InfluxDB 1, `{"code": …, "message": …}` from InfluxDB 2.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Explanation {
    error: Option<String>,
    code: Option<String>,
    message: Option<String>,
    /// The invalid line of the body.
    line: Option<u64>,
}

/// InfluxDB 2's code for an invalid request.
const INVALID: &str = "invalid";

/// The error for an answer to a write. `names_org`: the request names an organisation.
pub(super) fn refused(server: &Server, version: Version, names_org: bool, answer: &Answer) -> SinkError {
    let explanation: Explanation = serde_json::from_str(&answer.body).unwrap_or_default();
    let is_about_org = version == Version::Two
        && !names_org
        && explanation.line.is_none()
        && explanation.code.as_deref() == Some(INVALID);
    let place = server.place();
    let said = explanation.error.or(explanation.message).unwrap_or_else(|| answer.body.clone());
    let said = match said.trim() {
        "" => "refused without a reason",
        said => said,
    };
    match answer.status {
        404 => SinkError::Retry(format!("{place}: {said}; create it, or change the sink's options")),
        // Otherwise every record would go to quarantine, one by one.
        400 if is_about_org => SinkError::Retry(format!("{place}: {said}; set `org`")),
        400 | 422 => SinkError::Reject(format!("{place}: {said}")),
        _ => server.refused(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::Connection;

    fn judged(version: Version, names_org: bool, status: u16, body: &str) -> SinkError {
        let server = Connection::default().server("metrics", "http://localhost:1/?token=secret").expect("a server");
        let error = refused(&server, version, names_org, &Answer { status, body: body.into(), retry_after: None });
        assert!(!error.to_string().contains("secret"), "{error}");
        error
    }

    #[test]
    fn an_answer_about_the_points_rejects_them() {
        for (version, status, body) in [
            (Version::One, 400, r#"{"error":"partial write: points beyond retention policy dropped=1"}"#),
            (Version::One, 400, ""),
            (Version::Two, 400, r#"{"code":"invalid","message":"unable to parse 'x': missing fields"}"#),
            (Version::Two, 400, r#"{"code":"invalid","message":"bucket is what a point is called"}"#),
            (
                Version::Two,
                422,
                r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: …, dropped=1"}"#,
            ),
            (
                Version::Two,
                413,
                r#"{"code":"request too large","message":"cannot read data: points in batch is too large"}"#,
            ),
        ] {
            let error = judged(version, true, status, body);
            assert!(matches!(error, SinkError::Reject(_)), "{status} {body}");
        }
    }

    #[test]
    fn an_answer_about_the_destination_or_the_server_is_retried() {
        for (version, status, body) in [
            (Version::One, 404, r#"{"error":"database not found: \"logs\""}"#),
            (Version::Two, 404, r#"{"code":"not found","message":"bucket \"b\" not found"}"#),
            (Version::Two, 401, r#"{"code":"unauthorized","message":"unauthorized access"}"#),
            (Version::Two, 429, r#"{"code":"too many requests","message":"slow down"}"#),
            (Version::One, 500, r#"{"error":"retention policy not found: x"}"#),
            (Version::Two, 503, ""),
        ] {
            let error = judged(version, true, status, body);
            assert!(error.is_temporary(), "{status} {error}");
        }
    }

    #[test]
    fn a_missing_organisation_is_reported_and_rejects_no_point() {
        let body = r#"{"code":"invalid","message":"Please provide either orgID or org"}"#;
        let error = judged(Version::Two, false, 400, body);
        assert!(error.is_temporary() && error.to_string().ends_with("orgID or org; set `org`"), "{error}");
        let body = r#"{"code":"invalid","message":"unable to parse 'x': missing fields","line":3}"#;
        assert!(matches!(judged(Version::Two, false, 400, body), SinkError::Reject(_)));
    }
}
