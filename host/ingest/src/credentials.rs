//! What a request shows to say who sent it: a token, the page's cookie, a ticket, or its connection's certificate.
//!
//! A token is sent as `authorization: Bearer`, or where clients of other servers put their own: as the password of `Basic`,
//! as the token of `Token` (`InfluxDB`) or `Splunk`, as the key of `ApiKey` (Elasticsearch), or in `dd-api-key` (Datadog).
//! What a request itself shows counts more than the certificate of its connection.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue},
    http::request::Parts,
};
use weir_access::{Access, Caller, ClientCertificate, Credential, Denied, SESSION_COOKIE};

use crate::{remote::Remote, reply::Refused};

/// Datadog's header for a token.
const DD_API_KEY: HeaderName = HeaderName::from_static("dd-api-key");

/// The parameter that has a ticket.
const TICKET: &str = "ticket=";

/// Who sent a request on a connection. A page of another origin must send a token of its own
/// (`is_of_other_page`): the certificate of its browser is for Weir's own page.
pub(crate) fn caller(
    access: &Access,
    parts: &Parts,
    remote: &Remote,
    is_of_other_page: bool,
) -> Result<Caller, Denied> {
    if access.is_open() {
        return Ok(Caller::unchecked(remote.address, &remote.account));
    }
    let certificate = remote.certificate().filter(|_| !is_of_other_page);
    let caller = find(access, parts, remote, certificate)?;
    remote.count_for(&caller, access)?;
    Ok(caller)
}

/// Who is known by what a request shows.
fn find(
    access: &Access,
    parts: &Parts,
    remote: &Remote,
    certificate: Option<&ClientCertificate>,
) -> Result<Caller, Denied> {
    let known = |shown| access.caller(shown, remote.address, &remote.account);
    if let Some(shown) = parts.headers.get(AUTHORIZATION) {
        let token = token(shown).ok_or(Denied::Missing)?;
        return known(Credential::Token(&token));
    }
    if let Some(key) = parts.headers.get(DD_API_KEY) {
        return known(Credential::Token(key.to_str().map_err(|_| Denied::Missing)?));
    }
    let ticket = parts.uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix(TICKET)));
    let otherwise = certificate.map_or(Credential::Nothing, Credential::Certificate);
    match (ticket, cookie(&parts.headers)) {
        (Some(ticket), _) => known(Credential::Ticket(ticket)),
        // A browser shows a session long after its end.
        (None, Some(cookie)) => match known(Credential::Session(cookie)) {
            Err(Denied::Over) if certificate.is_some() => known(otherwise),
            outcome => outcome,
        },
        (None, None) => known(otherwise),
    }
}

/// The token that is shown, by its scheme.
fn token(shown: &HeaderValue) -> Option<Cow<'_, str>> {
    let (scheme, rest) = shown.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    let is = |known: &[&str]| known.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is(&["bearer", "token", "splunk"]) {
        return Some(rest.into());
    }
    // `user:password` and `id:key`, in Base64.
    if !is(&["basic", "apikey"]) {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned().into())
}

/// The page's cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    all.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == SESSION_COOKIE).then_some(value)
    })
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Refused {
        let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN);
        let wait = denied.retry_after().map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1));
        Refused { retry_after_s: wait, ..Refused::new(status, denied.to_string()) }
    }
}

#[cfg(test)]
mod tests {

    use hyper::Request;
    use weir_access::{Grant, Role, Token, TokenEntry, TokenHash, certificate_hash};

    use super::*;

    fn of(headers: &[(&str, &str)], uri: &str) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    /// The token `ci` alone, and a connection.
    fn with_token(hash: TokenHash) -> (Access, Remote) {
        let access = Access::new(false);
        let entry = TokenEntry {
            name: "ci".to_owned(),
            role: Role::Read,
            sources: vec![],
            routes: vec![],
            hash,
            created_ns: 0,
            expires_ns: None,
        };
        access.set([Grant::new(entry).expect("a grant")]);
        let remote = Remote::of_address([127, 0, 0, 1].into(), &access).expect("there is room");
        (access, remote)
    }

    #[test]
    fn a_page_of_another_origin_does_not_send_by_the_certificate_of_its_browser() {
        let (access, remote) = with_token(certificate_hash("ci").expect("a name"));
        let shown = ClientCertificate::new(&["ci".to_owned()], "sha256:ab", i64::MAX);
        let remote = remote.encrypted(Some(shown));
        let known = |is_of_other_page| caller(&access, &of(&[], "/"), &remote, is_of_other_page);
        assert_eq!(known(false).expect("a certificate").name(), Some("ci"));
        assert_eq!(known(true).err(), Some(Denied::Missing));
    }

    #[test]
    fn a_token_is_found_in_each_place_and_nothing_else_is_one() {
        let token = Token::random().expect("random");
        let (access, remote) = with_token(token.hash());
        let known = |headers: &[(&str, &str)], uri: &str| caller(&access, &of(headers, uri), &remote, false);
        let bearer = format!("Bearer {}", token.reveal());
        let basic = format!("Basic {}", STANDARD.encode(format!("anyone:{}", token.reveal())));
        let reader = known(&[("authorization", &bearer)], "/").expect("a token");
        assert_eq!(reader.name(), Some("ci"));
        assert!(known(&[("authorization", &basic)], "/").is_ok());
        let session = access.open_session(&reader).expect("random").expect("a session");
        let cookies = format!("a=b; {SESSION_COOKIE}={}; c=d", session.reveal());
        assert!(known(&[("cookie", &cookies)], "/").is_ok());
        let ticket = access.ticket(&reader).expect("random").expect("a ticket");
        let uri = format!("/api/tail?backlog=1&ticket={}", ticket.reveal());
        assert!(known(&[], &uri).is_ok());
        assert_eq!(known(&[], &uri).err(), Some(Denied::Over), "a ticket is good once");
        for scheme in ["Token", "Splunk", "bearer"] {
            let shown = format!("{scheme} {}", token.reveal());
            assert!(known(&[("authorization", &shown)], "/").is_ok(), "{scheme}");
        }
        let key = format!("ApiKey {}", STANDARD.encode(format!("weir:{}", token.reveal())));
        assert!(known(&[("authorization", &key)], "/").is_ok());
        assert!(known(&[("dd-api-key", token.reveal())], "/").is_ok());
        let plain = format!("Digest {}", token.reveal());
        for (headers, expected) in [
            (vec![], Denied::Missing),
            (vec![("authorization", "Bearer weir_x")], Denied::Unknown),
            (vec![("authorization", "Bearer ")], Denied::Unknown),
            (vec![("authorization", "Basic %%%")], Denied::Missing),
            (vec![("authorization", plain.as_str())], Denied::Missing),
            (vec![("cookie", "weir_session=x")], Denied::Over),
        ] {
            assert_eq!(known(&headers, "/").err(), Some(expected), "{headers:?}");
        }
    }
}
