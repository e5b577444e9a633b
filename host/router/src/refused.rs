//! What was refused while the router ran and waits to be mended: a configuration, modules. The router goes on with what
//! it had, so without this nobody would notice but whoever read the log at that moment.

use std::sync::Mutex;

use metrics::gauge;

use crate::wiring::lock;

/// What is refused now.
#[derive(Default)]
pub struct Refused(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    configuration: Option<String>,
    modules: Vec<String>,
}

impl Refused {
    /// Notes how the last reload of the configuration went: why it was refused, or nothing.
    pub fn configuration(&self, reason: Option<String>) {
        gauge!("weir_config_last_reload_successful").set(if reason.is_none() { 1.0 } else { 0.0 });
        lock(&self.0).configuration = reason;
    }

    /// Notes which modules can't be loaded, all of them, with the reason.
    pub fn modules(&self, reasons: Vec<String>) {
        gauge!("weir_filter_modules_refused").set(reasons.len() as f64);
        lock(&self.0).modules = reasons;
    }

    /// All of it, a line each.
    pub fn reasons(&self) -> Vec<String> {
        let waiting = lock(&self.0);
        let configuration =
            waiting.configuration.iter().map(|reason| format!("the configuration is refused: {reason}"));
        configuration.chain(waiting.modules.iter().cloned()).collect()
    }
}

/// Describes the metrics; the binary calls it once.
pub fn describe_metrics() {
    metrics::describe_gauge!(
        "weir_config_last_reload_successful",
        "0 while the current configuration file is refused and the previous configuration is in use"
    );
    metrics::describe_gauge!("weir_filter_modules_refused", "Modules in the filters folder that can't be loaded");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_shows_until_it_is_mended() {
        let refused = Refused::default();
        assert!(refused.reasons().is_empty());
        refused.configuration(Some("2 problems in weir.toml".into()));
        refused.modules(vec!["x.wasm: not webassembly".into()]);
        let all = ["the configuration is refused: 2 problems in weir.toml", "x.wasm: not webassembly"];
        assert_eq!(refused.reasons(), all);
        refused.configuration(None);
        assert_eq!(refused.reasons(), all[1..]);
        refused.modules(Vec::new());
        assert!(refused.reasons().is_empty());
    }
}
