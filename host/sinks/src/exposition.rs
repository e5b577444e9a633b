//! Metrics derived from records, as text for `/metrics`, next to Weir's own metrics.
//!
//! A sink claims its families when it starts and releases them when it ends; `/metrics` renders the claimed ones.
//! Invariant: no two families have lines of the same name, so Prometheus can always parse the text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::prometheus::Family;

/// A label's value, escaped for quotation marks.
pub(crate) fn escaped_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The metric families of all sinks. Clones share them.
#[derive(Clone, Default)]
pub struct Exposition {
    families: Arc<Mutex<BTreeMap<String, ClaimedFamily>>>,
}

struct ClaimedFamily {
    sink: String,
    family: Arc<Family>,
}

impl Exposition {
    /// All families in Prometheus's text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Copied first, so that no sink waits for a slow HTTP client.
        let shown: Vec<_> = self.lock().values().map(|entry| entry.family.clone()).collect();
        for family in shown {
            family.render(&mut text);
        }
        text
    }

    /// Registers a family for the sink, replacing its earlier one of the same name.
    pub(crate) fn claim(&self, sink: &str, family: Arc<Family>) -> Result<(), String> {
        let mut families = self.lock();
        let names = family.line_names();
        let clash = families.values().find(|other| {
            let own = other.sink == sink && other.family.name() == family.name();
            !own && other.family.line_names().iter().any(|name| names.contains(name))
        });
        if let Some(other) = clash {
            let (theirs, who) = (other.family.name(), &other.sink);
            return Err(format!(
                "metric `{}` and `{theirs}` of sink `{who}` have lines of the same name",
                family.name()
            ));
        }
        families.insert(family.name().to_string(), ClaimedFamily { sink: sink.to_string(), family });
        Ok(())
    }

    /// Removes a family, unless another one has replaced it.
    pub(crate) fn release(&self, family: &Arc<Family>) {
        let mut families = self.lock();
        if families.get(family.name()).is_some_and(|entry| Arc::ptr_eq(&entry.family, family)) {
            families.remove(family.name());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ClaimedFamily>> {
        // Every change is complete in itself, so the state after a panic is usable.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
