//! Which other origins' pages may send records (CORS).
//!
//! Without configuration, none (`request`). A page of an origin in `allowed_origins` may post to the paths of protocols,
//! and read the answers; everything else, such as the API, stays closed to it. Invariant: such a request never counts as
//! sent by whoever has logged in with the same browser: its cookie is removed before anyone looks for it, and the
//! certificate of its connection doesn't count.
//!
//! A browser asks first (a preflight) unless the request is one that a form could send: `POST` with `text/plain`, form
//! encoding or no content type, and without headers such as `authorization`.

use hyper::{
    Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, COOKIE, HeaderValue, ORIGIN, VARY,
    },
    http::request::Parts,
};

use crate::{
    hosts, limits,
    protocols::Protocol,
    reply::{self, Answer, Refused, Taken},
    request,
};

/// The origins whose pages may send records.
pub(crate) struct Origins {
    allowed: Vec<String>,
}

/// Allows every origin.
const ANY: &str = "*";

impl Origins {
    pub(crate) fn new(allowed: &[String]) -> Origins {
        Origins { allowed: allowed.to_vec() }
    }

    /// The allowed origin whose page sent this, if a page of another origin did. Removes what the browser added of its
    /// user.
    pub(crate) fn admit(&self, parts: &mut Parts, is_encrypted: bool) -> Option<HeaderValue> {
        let origin = self.allowed_origin(parts)?.clone();
        request::refuse_cross_site(parts, is_encrypted).err()?;
        parts.headers.remove(COOKIE);
        Some(origin)
    }

    /// Refuses records from pages of other origins that are not allowed.
    pub(crate) fn check(&self, parts: &Parts, is_encrypted: bool) -> Result<(), Refused> {
        match request::refuse_cross_site(parts, is_encrypted) {
            Err(_) if self.allowed_origin(parts).is_some() => Ok(()),
            Err(refused) => {
                let error = refused.error;
                let error = format!("{error}; list others that may send records in [http] allowed_origins");
                Err(Refused { error, ..refused })
            }
            Ok(()) => Ok(()),
        }
    }

    fn allowed_origin<'p>(&self, parts: &'p Parts) -> Option<&'p HeaderValue> {
        if self.allowed.is_empty() {
            return None;
        }
        let origin = parts.headers.get(ORIGIN)?;
        let is_it = |allowed: &String| allowed == ANY || origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes());
        self.allowed.iter().any(is_it).then_some(origin)
    }

    /// The answer to a browser that asks whether a page may send records; `None` if it doesn't ask that, or no page of
    /// another origin may.
    pub(crate) fn preflight(
        &self,
        protocol: &Protocol,
        parts: &Parts,
        admitted: Option<&HeaderValue>,
    ) -> Option<Answer> {
        let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed.is_empty() {
            return None;
        }
        if admitted.is_none() {
            let error = "pages of this origin may not send records; list it in [http] allowed_origins";
            return Some(reply::refused_answer(&Refused::new(StatusCode::FORBIDDEN, error)));
        }
        let mut answer = reply::confirmed_by(StatusCode::NO_CONTENT, &Ok(Taken::default()));
        let headers = answer.headers_mut();
        let methods: Vec<&str> = protocol.methods.iter().map(Method::as_str).collect();
        headers.extend(HeaderValue::from_str(&methods.join(", ")).ok().map(|all| (ACCESS_CONTROL_ALLOW_METHODS, all)));
        // Every protocol has headers of its own, and none lets a page do more than send records.
        let asked = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        headers.extend(asked.map(|asked| (ACCESS_CONTROL_ALLOW_HEADERS, asked.clone())));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(limits::PREFLIGHT_MAX_AGE_S));
        Some(answer)
    }

    /// Lets a page of the admitted origin read an answer.
    pub(crate) fn share(&self, answer: &mut Answer, admitted: Option<HeaderValue>) {
        if self.allowed.is_empty() {
            return;
        }
        let headers = answer.headers_mut();
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = admitted {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            // `sendBeacon` always sends cookies along, and then this is required. They are not used here.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        }
    }
}

/// Checks an origin for `allowed_origins`.
///
/// # Errors The reason why it can't be used.
pub(crate) fn check_allowed(origin: &str) -> Result<(), String> {
    if origin == ANY {
        return Ok(());
    }
    let wanted = || "it must be an origin, such as https://app.example.com, or `*` for every page anywhere".to_owned();
    let (scheme, rest) = origin.split_once("://").ok_or_else(wanted)?;
    let default_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return Err(wanted()),
    };
    if rest.ends_with('/') {
        return Err("it must have no path, not even a slash at its end".to_owned());
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    hosts::check_allowed(host).map_err(|_| wanted())?;
    match port.map(str::parse::<u16>) {
        Some(Err(_)) => Err(wanted()),
        Some(Ok(port)) if port == default_port => Err(format!("browsers leave out the port {port} of {scheme}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::protocols;

    fn sent(method: &Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/ingest").header("host", "weir.example.com");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn origins(allowed: &[&str]) -> Origins {
        Origins::new(&allowed.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_pages_of_listed_origins_are_admitted_and_without_cookies() {
        let listed = origins(&["https://app.example.com", "http://localhost:3000"]);
        let admits = |origins: &Origins, origin: &str| {
            let headers = [("origin", origin), ("sec-fetch-site", "same-site"), ("cookie", "weir_session=x")];
            let mut parts = sent(&Method::POST, &headers);
            let checked = origins.check(&parts, false).is_ok();
            let admitted = origins.admit(&mut parts, false);
            assert_eq!(admitted.is_some(), checked);
            assert_eq!(parts.headers.contains_key(COOKIE), !checked);
            checked
        };
        for origin in ["https://app.example.com", "https://APP.example.com", "http://localhost:3000"] {
            assert!(admits(&listed, origin), "{origin}");
            assert!(!admits(&origins(&[]), origin), "{origin}");
        }
        let others = ["http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil", "null"];
        for origin in others {
            assert!(!admits(&listed, origin), "{origin}");
            assert!(admits(&origins(&["*"]), origin), "{origin}");
        }
    }

    #[test]
    fn own_pages_and_programs_keep_their_cookies() {
        for headers in [&[("sec-fetch-site", "same-origin"), ("origin", "http://weir.example.com")][..], &[]] {
            let mut parts = sent(&Method::POST, headers);
            let any = origins(&["*"]);
            assert!(any.check(&parts, false).is_ok() && any.admit(&mut parts, false).is_none());
        }
    }

    #[test]
    fn a_preflight_is_answered_for_listed_origins() {
        let listed = origins(&["https://app.example.com"]);
        let (_, protocol) = protocols::find("/ingest").expect("a protocol");
        let ask = |origin: &str, method: &Method| {
            let mut parts = sent(
                method,
                &[
                    ("origin", origin),
                    ("sec-fetch-site", "cross-site"),
                    ("access-control-request-method", "POST"),
                    ("access-control-request-headers", "content-type,idempotency-key"),
                ],
            );
            let admitted = listed.admit(&mut parts, false);
            let mut answer = listed.preflight(protocol, &parts, admitted.as_ref())?;
            listed.share(&mut answer, admitted);
            Some(answer)
        };
        let answer = ask("https://app.example.com", &Method::OPTIONS).expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        for (name, value) in [
            ("access-control-allow-origin", "https://app.example.com"),
            ("access-control-allow-methods", "POST"),
            ("access-control-allow-headers", "content-type,idempotency-key"),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "7200"),
            ("vary", "origin"),
        ] {
            assert_eq!(answer.headers()[name], value);
        }
        let refused = ask("https://evil.example", &Method::OPTIONS).expect("an answer");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(!refused.headers().contains_key("access-control-allow-origin"));
        assert!(ask("https://app.example.com", &Method::POST).is_none());
        let parts = sent(&Method::OPTIONS, &[("access-control-request-method", "POST")]);
        assert!(origins(&[]).preflight(protocol, &parts, None).is_none());
    }

    #[test]
    fn allowed_origins_are_written_as_browsers_send_them() {
        for good in ["*", "https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "http://10.0.0.7"] {
            assert_eq!(check_allowed(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/x",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:x",
            "ftp://app.example.com",
            "https://*.example.com",
            "null",
        ] {
            assert!(check_allowed(bad).is_err(), "{bad}");
        }
    }
}
