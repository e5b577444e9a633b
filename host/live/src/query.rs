//! Queries shared by clients that ask for the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use weir_query::{Query, QueryError};
use weir_record::time::now_ns;

/// The records that a client may see, whatever it asks for.
#[derive(Clone)]
pub struct Scope {
    /// Different for different queries.
    pub name: String,
    pub query: Query,
}

/// A query with a number of its own.
pub struct SharedQuery {
    pub number: u64,
    pub text: String,
    /// Limits what it selects.
    scope: Option<Scope>,
    pub query: Query,
}

/// The queries in use.
#[derive(Default)]
pub struct Queries {
    numbers: AtomicU64,
    /// By text and scope.
    in_use: Mutex<HashMap<(String, String), Weak<SharedQuery>>>,
}

impl Queries {
    /// The query of this text in a scope.
    pub fn get(&self, text: &str, scope: Option<&Scope>) -> Result<Arc<SharedQuery>, QueryError> {
        let query = Query::parse(text, now_ns())?;
        // Ages count from now on, so the same text means something else later.
        if query.has_times() {
            return Ok(Arc::new(self.numbered(text, query, scope)));
        }
        let key = (text.to_owned(), scope.map(|scope| scope.name.clone()).unwrap_or_default());
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = in_use.get(&key).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        in_use.retain(|_, query| query.strong_count() > 0);
        let shared = Arc::new(self.numbered(text, query, scope));
        in_use.insert(key, Arc::downgrade(&shared));
        Ok(shared)
    }

    /// Another text in the same scope.
    pub fn get_like(&self, text: &str, query: &SharedQuery) -> Result<Arc<SharedQuery>, QueryError> {
        self.get(text, query.scope.as_ref())
    }

    fn numbered(&self, text: &str, query: Query, scope: Option<&Scope>) -> SharedQuery {
        let query = scope.map_or_else(|| query.clone(), |scope| query.and(&scope.query));
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        SharedQuery { number, text: text.to_owned(), scope: scope.cloned(), query }
    }
}
