//! Searches in sinks.
//!
//! | file | purpose |
//! |---|---|
//! | `logs` | records, page by page, one, or around one |
//! | `histogram` | how many records over time |
//! | `fields` | the fields of matching records with their values |
//! | `export` | all matching records |

mod export;
mod fields;
mod histogram;
mod logs;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;
use weir_access::Caller;
use weir_query::search::{Search, SearchError};
use weir_record::time::format_rfc3339;

use crate::parameters::Parameters;
use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, limits};

pub use export::export;
pub use fields::fields;
pub use histogram::histogram;
pub use logs::{log, logs};

/// A sink that can be searched.
#[derive(Clone)]
pub struct Store {
    pub name: String,
    /// The type of the sink.
    pub kind: &'static str,
    pub search: Arc<dyn Search>,
}

/// The sinks of the router that can be searched now.
pub trait Stores: Send + Sync {
    fn stores(&self) -> Vec<Store>;
}

/// Lists the sinks that can be searched.
pub fn sinks(api: &Api) -> Response<Body> {
    let sinks: Vec<Value> =
        api.stores.stores().iter().map(|store| json!({ "name": store.name, "type": store.kind })).collect();
    json_answer(StatusCode::OK, json!({ "sinks": sinks }).to_string().into())
}

/// The sink that a request names, or the first one.
fn store(api: &Api, parameters: &Parameters) -> Result<Store, ApiError> {
    let stores = api.stores.stores();
    let none = || {
        let message = "no sink can be searched; add one of type `sqlite` or `postgres`, or of type `file` with `format = \"json\"`";
        ApiError::new(StatusCode::NOT_FOUND, message)
    };
    let Some(name) = parameters.text("sink") else { return stores.into_iter().next().ok_or_else(none) };
    if stores.is_empty() {
        return Err(none());
    }
    let names: Vec<_> = stores.iter().map(|store| store.name.clone()).collect();
    stores.into_iter().find(|store| store.name == name).ok_or_else(|| {
        let message = format!("no sink `{name}` that can be searched; there is `{}`", names.join("`, `"));
        ApiError::new(StatusCode::NOT_FOUND, message)
    })
}

/// Runs a search when it is its turn, first among those of its caller, within the time limit. It ends when the client
/// goes, since then this is dropped.
async fn timed<T>(
    api: &Api,
    caller: &Caller,
    search: impl Future<Output = Result<T, SearchError>>,
) -> Result<T, ApiError> {
    let _own = api.access.search(caller, limits::SEARCH_WAIT).await?;
    let busy = || {
        let message = format!("{} searches are running; retry in a moment", limits::MAX_SEARCHES);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    };
    let _permit = timeout(limits::SEARCH_WAIT, api.searches.acquire()).await.map_err(|_| busy())?;
    let late = || {
        let seconds = limits::SEARCH_TIMEOUT.as_secs();
        let message = format!("the search took longer than {seconds} s; narrow it, such as with `since:1h`");
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, message)
    };
    Ok(timeout(limits::SEARCH_TIMEOUT, search).await.map_err(|_| late())??)
}

/// The time since then, for answers.
fn took_ms(since: Instant) -> u64 {
    u64::try_from(Duration::as_millis(&since.elapsed())).unwrap_or(u64::MAX)
}

/// A time as text.
fn rfc3339(ns: i64) -> String {
    let mut text = Vec::new();
    format_rfc3339(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
