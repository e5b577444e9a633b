//! Everything over HTTP that changes something, in one place, so that rules about who may do it have one place, too.
//!
//! Browsers send bodies of these types to another site only after asking it, so a page of another site can't act here
//! even if it is not recognised as one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use weir_access::{Caller, Denied, Peer};
use weir_record::{Level, time};

use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, limits, status};

/// What can be changed in a router. Calls block, and may take seconds. They return the answer.
pub trait Acts: Send + Sync {
    /// Compares a module with the running filter on recent records. Changes nothing.
    fn try_filter(&self, name: &str, module: &[u8]) -> Result<Value, ApiError>;
    /// Runs a module that was tried, or an earlier version.
    fn swap_filter(&self, name: &str, digest: &str) -> Result<Value, ApiError>;
    /// Runs the version whose digest begins with `to`, or the previous one.
    fn roll_filter_back(&self, name: &str, to: Option<&str>) -> Result<Value, ApiError>;
    /// Processes entries of the quarantine again, and deletes them.
    fn replay(&self, entries: &Entries) -> Result<Value, ApiError>;
    fn delete(&self, entries: &Entries) -> Result<Value, ApiError>;
    fn set_levels(&self, change: &LevelChange) -> Result<Value, ApiError>;
    /// Erases records, or counts them. May take hours; ends early once `cancelled` is set.
    fn erase(&self, records: ErasedRecords, cancelled: Arc<AtomicBool>) -> Result<Value, ApiError>;
    /// Records that somebody changed something, or tried to. Doesn't block.
    fn audit(&self, entry: AuditEntry);
}

/// Who did what.
#[derive(Debug)]
pub struct AuditEntry {
    /// The name of the token; `None` if nothing is checked, or if nobody is known by what was shown.
    pub who: Option<String>,
    pub address: IpAddr,
    pub act: &'static str,
    /// What it is about, such as a filter's name.
    pub about: String,
    pub outcome: Outcome,
    /// What exactly was done, if that says more.
    pub details: Value,
}

/// What became of an act.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// The caller may not do it.
    Refused(String),
    /// It could not be done.
    Failed(String),
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    TryFilter,
    SwapFilter,
    RollBackFilter,
    Replay,
    Delete,
    SetLevels,
    Erase,
}

impl Act {
    /// Its name in audit records.
    fn name(self) -> &'static str {
        match self {
            Act::TryFilter => "try filter",
            Act::SwapFilter => "swap filter",
            Act::RollBackFilter => "roll filter back",
            Act::Replay => "replay quarantine",
            Act::Delete => "delete quarantine",
            Act::SetLevels => "set levels",
            Act::Erase => "erase",
        }
    }
}

/// Entries of the quarantine.
#[derive(Debug, PartialEq, Eq)]
pub enum Entries {
    All,
    /// Those of an origin, such as `filter:redact`.
    From(String),
    /// Those with these ids.
    These(Vec<String>),
}

/// Records to be erased.
#[derive(Debug, PartialEq, Eq)]
pub struct ErasedRecords {
    pub query: String,
    /// Only count them.
    pub dry_run: bool,
    /// Records may be selected whatever they contain.
    pub all: bool,
    /// How long it may take.
    pub within: Option<Duration>,
}

/// A change of minimum levels.
#[derive(Debug, PartialEq, Eq)]
pub struct LevelChange {
    /// By source; `*` is all others. `None` removes a minimum.
    pub levels: BTreeMap<String, Option<Level>>,
    /// After this time, it is undone.
    pub duration: Option<Duration>,
}

/// Answers a request for an act. `name` is the part of the path that names what it is about.
pub async fn answer(
    api: &Arc<Api>,
    act: Act,
    name: &str,
    request: &Request<()>,
    body: Body,
    caller: &Caller,
) -> Result<Response<Body>, ApiError> {
    let who = Who { name: caller.name().map(str::to_owned), address: caller.address, act, about: name.to_owned() };
    let (permit, body) = match ready(api, act, request, body).await {
        Ok(ready) => ready,
        Err(error) => {
            api.acts.audit(who.did(&Err(error.clone())));
            return Err(error);
        }
    };
    // Dropped with the request if its client goes.
    let cancel = CancelOnDrop::default();
    let (api, cancelled) = (api.clone(), cancel.0.clone());
    let answer = status::blocking(permit, move || {
        let answer = perform(&*api.acts, act, &who.about, &body, cancelled);
        // Also if nobody waits for the answer any more.
        api.acts.audit(who.did(&answer));
        answer
    });
    Ok(json_answer(StatusCode::OK, answer.await?.to_string().into()))
}

/// Who does what.
struct Who {
    name: Option<String>,
    address: IpAddr,
    act: Act,
    about: String,
}

impl Who {
    /// With what became of it.
    fn did(&self, answer: &Result<Value, ApiError>) -> AuditEntry {
        let outcome = match answer {
            Ok(answer) if answer["complete"] == false => Outcome::Failed("some of it could not be done".to_owned()),
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error.message.clone()),
        };
        let (about, details) = match answer {
            Ok(answer) if self.act == Act::Erase => (answer["query"].as_str().unwrap_or_default(), answer.clone()),
            _ => (self.about.as_str(), Value::Null),
        };
        let (who, about) = (self.name.clone(), about.to_owned());
        AuditEntry { who, address: self.address, act: self.act.name(), about, outcome, details }
    }
}

/// Records that somebody may not do it.
pub fn refused(api: &Api, act: Act, name: &str, peer: &Peer, denied: &Denied) {
    // No more records than the limit for wrong tokens allows, or anybody could fill the sinks.
    let is_recorded = match denied {
        Denied::TooMany(_) => false,
        // Counted already.
        Denied::Unknown => true,
        _ => api.access.note_refusal(peer.address),
    };
    if !is_recorded {
        return;
    }
    let who = peer.caller.as_ref().ok().and_then(Caller::name).map(str::to_owned);
    let outcome = Outcome::Refused(denied.to_string());
    api.acts.audit(AuditEntry {
        who,
        address: peer.address,
        act: act.name(),
        about: name.to_owned(),
        outcome,
        details: Value::Null,
    });
}

/// Waits for its turn and the body.
async fn ready(
    api: &Api,
    act: Act,
    request: &Request<()>,
    body: Body,
) -> Result<(OwnedSemaphorePermit, Bytes), ApiError> {
    let permit = status::turn(&api.acting).await?;
    let (kind, most) = match act {
        Act::TryFilter => ("application/wasm", limits::MAX_MODULE_BYTES),
        _ => ("application/json", limits::MAX_BODY_BYTES),
    };
    check_type(request, kind)?;
    Ok((permit, read(body, most).await?))
}

#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn perform(acts: &dyn Acts, act: Act, name: &str, body: &[u8], cancelled: Arc<AtomicBool>) -> Result<Value, ApiError> {
    match act {
        Act::TryFilter => acts.try_filter(name, body),
        Act::SwapFilter => acts.swap_filter(name, &json::<Swap>(body)?.digest),
        Act::RollBackFilter => acts.roll_filter_back(name, json::<RollBack>(body)?.to.as_deref()),
        Act::Replay => acts.replay(&entries(json(body)?)?),
        Act::Delete => acts.delete(&entries(json(body)?)?),
        Act::SetLevels => acts.set_levels(&level_change(json(body)?)?),
        Act::Erase => acts.erase(erased_records(json(body)?)?, cancelled),
    }
}

pub fn check_type(request: &Request<()>, kind: &str) -> Result<(), ApiError> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    if given.split(';').next().is_some_and(|given| given.trim().eq_ignore_ascii_case(kind)) {
        return Ok(());
    }
    let message = format!("the body must be of type {kind}; set the header `content-type`");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

pub async fn read(body: Body, most: usize) -> Result<Bytes, ApiError> {
    let late = || ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body took too long");
    timeout(limits::BODY_TIMEOUT, collect(body, most)).await.map_err(|_| late())?
}

async fn collect(mut body: Body, most: usize) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::bad(format!("the body could not be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > most {
            let message = format!("the body is longer than {most} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Swap {
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    all: Option<bool>,
    from: Option<String>,
    ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Levels {
    levels: BTreeMap<String, Option<String>>,
    #[serde(rename = "for")]
    duration: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    query: String,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    all: bool,
    within: Option<String>,
}

pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad(format!("the body is not as expected: {error}")))
}

fn entries(selection: Selection) -> Result<Entries, ApiError> {
    match selection {
        Selection { all: Some(true), from: None, ids: None } => Ok(Entries::All),
        Selection { all: None, from: Some(from), ids: None } => Ok(Entries::From(from)),
        Selection { all: None, from: None, ids: Some(ids) } => Ok(Entries::These(ids)),
        _ => Err(ApiError::bad("give one of `\"all\": true`, `from` and `ids`")),
    }
}

fn level_change(Levels { levels, duration }: Levels) -> Result<LevelChange, ApiError> {
    let level = |(source, name): (String, Option<String>)| {
        let level = name.map(|name| Level::parse(&name).ok_or_else(|| unknown_level(&name))).transpose()?;
        Ok((source, level))
    };
    Ok(LevelChange {
        levels: levels.into_iter().map(level).collect::<Result<_, ApiError>>()?,
        duration: duration.map(|text| time_span("for", &text)).transpose()?,
    })
}

fn erased_records(Erase { query, dry_run, all, within }: Erase) -> Result<ErasedRecords, ApiError> {
    let within = within.map(|text| time_span("within", &text)).transpose()?;
    Ok(ErasedRecords { query, dry_run, all, within })
}

fn time_span(name: &str, text: &str) -> Result<Duration, ApiError> {
    let ns = time::parse_duration(text)
        .map_err(|_| ApiError::bad(format!("`{name}` is `{text}`; write a time such as `30s`, `10m` or `2h`")))?;
    match ns {
        0 => Err(ApiError::bad(format!("`{name}` must be longer than nothing"))),
        ns => Ok(Duration::from_nanos(ns)),
    }
}

fn unknown_level(name: &str) -> ApiError {
    ApiError::bad(format!("`{name}` is not a level; use {}", Level::ALL.map(Level::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(body: &str) -> Result<LevelChange, String> {
        json(body.as_bytes()).and_then(level_change).map_err(|error| error.message)
    }

    fn chosen(body: &str) -> Result<Entries, String> {
        json(body.as_bytes()).and_then(entries).map_err(|error| error.message)
    }

    #[test]
    fn a_change_of_levels_is_read() {
        let read = change(r#"{"levels": {"*": "warn", "auth": "DEBUG", "old": null}, "for": "10m"}"#).unwrap();
        let levels = [("*", Some(Level::Warning)), ("auth", Some(Level::Debug)), ("old", None)];
        assert_eq!(read.levels, levels.map(|(source, level)| (source.to_owned(), level)).into());
        assert_eq!(read.duration, Some(Duration::from_secs(600)));
        for (body, part) in [
            (r#"{"levels": {"a": "LOUD"}}"#, "`LOUD` is not a level; use TRACE, DEBUG"),
            (r#"{"levels": {}, "for": "soon"}"#, "`for` is `soon`"),
            (r#"{"levels": {}, "for": "0s"}"#, "longer than nothing"),
            (r#"{"levels": {}, "until": 1}"#, "unknown field `until`"),
            ("[", "not as expected"),
        ] {
            let error = change(body).unwrap_err();
            assert!(error.contains(part), "{body}: {error}");
        }
    }

    #[test]
    fn what_is_to_be_erased_is_read() {
        let read = |body: &str| json(body.as_bytes()).and_then(erased_records).map_err(|error| error.message);
        let all =
            ErasedRecords { query: "a=b".into(), dry_run: true, all: false, within: Some(Duration::from_secs(60)) };
        assert_eq!(read(r#"{"query": "a=b", "dry_run": true, "within": "1m"}"#), Ok(all));
        for body in ["{}", r#"{"query": "a", "within": "soon"}"#, r#"{"query": "a", "dryrun": true}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn entries_are_chosen_in_one_way_only() {
        assert_eq!(chosen(r#"{"all": true}"#), Ok(Entries::All));
        assert_eq!(chosen(r#"{"from": "sink:a"}"#), Ok(Entries::From("sink:a".into())));
        assert_eq!(chosen(r#"{"ids": ["a-1"]}"#), Ok(Entries::These(vec!["a-1".into()])));
        for body in ["{}", r#"{"all": false}"#, r#"{"all": true, "ids": []}"#, r#"{"every": true}"#] {
            assert!(chosen(body).is_err(), "{body}");
        }
    }
}
