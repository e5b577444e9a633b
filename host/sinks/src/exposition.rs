//! Metrics that sinks make of records, as text for `/metrics`, beside those that Weir counts of itself.
//!
//! A sink claims its families when it starts and lets go of them when it ends; whoever answers `/metrics` renders what is
//! claimed. Invariant: no two families write a line of the same name, so the text is always one that Prometheus reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::prometheus::Family;

/// A label's value as it stands between quotation marks.
pub(crate) fn escaped_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Where sinks put their families. Clones share them.
#[derive(Clone, Default)]
pub struct Exposition {
    families: Arc<Mutex<BTreeMap<String, Entry>>>,
}

struct Entry {
    sink: String,
    family: Arc<Family>,
}

impl Exposition {
    /// The text of all families, in Prometheus's format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Taken out, so that no sink waits for a slow reader.
        let shown: Vec<_> = self.lock().values().map(|entry| entry.family.clone()).collect();
        for family in shown {
            family.render(&mut text);
        }
        text
    }

    /// Makes a family the sink's own, in the place of one that the same sink had before.
    pub(crate) fn claim(&self, sink: &str, family: Arc<Family>) -> Result<(), String> {
        let mut families = self.lock();
        let names = family.line_names();
        let clash = families.values().find(|other| {
            let own = other.sink == sink && other.family.name() == family.name();
            !own && other.family.line_names().iter().any(|name| names.contains(name))
        });
        if let Some(other) = clash {
            let (theirs, who) = (other.family.name(), &other.sink);
            return Err(format!("metric `{}` and `{theirs}` of sink `{who}` have lines of one name", family.name()));
        }
        families.insert(family.name().to_string(), Entry { sink: sink.to_string(), family });
        Ok(())
    }

    /// Shows a family no more, unless another has taken its place.
    pub(crate) fn release(&self, family: &Arc<Family>) {
        let mut families = self.lock();
        if families.get(family.name()).is_some_and(|entry| Arc::ptr_eq(&entry.family, family)) {
            families.remove(family.name());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Every change is whole, so what a panic left is usable.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
