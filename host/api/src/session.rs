//! Logging in and out of the page, and tickets for live streams.
//!
//! The page's cookie is out of reach of scripts, and a browser sends it only from the page itself. So a token is typed
//! in once, and neither kept by the browser nor part of an address.

use std::sync::Arc;

use hyper::header::{COOKIE, HeaderValue, SET_COOKIE};
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_access::{Access, Caller, Credential, Peer, SESSION_COOKIE, SESSION_LIFETIME, Token};

use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, acts, limits};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogIn {
    token: String,
}

/// `GET /api/session`
pub fn answer(api: &Api, peer: &Peer) -> Response<Body> {
    json_answer(StatusCode::OK, described(&api.access, peer).to_string().into())
}

/// Who the caller is. Without a role, the caller has to log in.
fn described(access: &Access, peer: &Peer) -> Value {
    let Ok(caller) = &peer.caller else { return json!({ "needs_token": true, "role": null }) };
    match caller.grant() {
        None => json!({ "needs_token": !access.is_open(), "role": "admin" }),
        Some(grant) => {
            let entry = &grant.entry;
            json!({
                "needs_token": true, "role": entry.role, "name": entry.name, "sources": entry.sources,
                "routes": entry.routes,
            })
        }
    }
}

/// `POST /api/session`
pub async fn log_in(
    api: &Arc<Api>,
    request: &Request<()>,
    body: Body,
    peer: &Peer,
) -> Result<Response<Body>, ApiError> {
    acts::check_type(request, "application/json")?;
    let body = acts::read(body, limits::MAX_BODY_BYTES).await?;
    let LogIn { token } = acts::json(&body)?;
    let caller = api.access.caller(Credential::Token(token.trim()), peer.address, &peer.account)?;
    let session = api.access.open_session(&caller).map_err(|error| no_random_numbers(&error))?;
    let peer = Peer { caller: Ok(caller), ..peer.clone() };
    let mut answer = answer(api, &peer);
    if let Some(session) = session {
        set_cookie(&mut answer, session.reveal(), SESSION_LIFETIME.as_secs(), &peer);
    }
    Ok(answer)
}

/// `DELETE /api/session`
pub fn log_out(api: &Api, request: &Request<()>, peer: &Peer) -> Response<Body> {
    let cookies = request.headers().get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    for cookie in cookies.flat_map(|cookies| cookies.split(';')) {
        if let Some((_, session)) = cookie.trim().split_once('=').filter(|(name, _)| *name == SESSION_COOKIE) {
            api.access.close_session(session);
        }
    }
    let mut answer = json_answer(StatusCode::OK, json!({ "needs_token": true, "role": null }).to_string().into());
    set_cookie(&mut answer, "", 0, peer);
    answer
}

/// `POST /api/ticket`
pub fn ticket(api: &Api, caller: &Caller) -> Result<Response<Body>, ApiError> {
    let ticket = api.access.ticket(caller).map_err(|error| no_random_numbers(&error))?;
    let answer = json!({ "ticket": ticket.as_ref().map(Token::reveal) });
    Ok(json_answer(StatusCode::OK, answer.to_string().into()))
}

fn set_cookie(answer: &mut Response<Body>, value: &str, seconds: u64, peer: &Peer) {
    let secure = if peer.is_encrypted { "; Secure" } else { "" };
    let cookie = format!("{SESSION_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
}

fn no_random_numbers(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the system has no random numbers: {error}"))
}
