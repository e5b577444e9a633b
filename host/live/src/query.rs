//! Queries shared by clients that ask for the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use weir_query::{Query, QueryError};
use weir_record::time::now_ns;

/// A query with a number of its own.
pub struct SharedQuery {
    pub number: u64,
    pub text: String,
    pub query: Query,
}

/// The queries in use.
#[derive(Default)]
pub struct Queries {
    numbers: AtomicU64,
    in_use: Mutex<HashMap<String, Weak<SharedQuery>>>,
}

impl Queries {
    /// The query of this text.
    pub fn get(&self, text: &str) -> Result<Arc<SharedQuery>, QueryError> {
        let query = Query::parse(text, now_ns())?;
        // Ages count from now on, so the same text means something else later.
        if query.has_times() {
            return Ok(Arc::new(self.numbered(text, query)));
        }
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = in_use.get(text).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        in_use.retain(|_, query| query.strong_count() > 0);
        let shared = Arc::new(self.numbered(text, query));
        in_use.insert(text.to_owned(), Arc::downgrade(&shared));
        Ok(shared)
    }

    fn numbered(&self, text: &str, query: Query) -> SharedQuery {
        SharedQuery { number: self.numbers.fetch_add(1, Ordering::Relaxed), text: text.to_owned(), query }
    }
}
