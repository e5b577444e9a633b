//! The refused configuration, modules and certificates. The router continues with the previous ones, so `/health` and metrics show
//! the refusal until it is fixed.

use std::sync::Mutex;

use metrics::gauge;

use crate::wiring::lock;

/// The current refusals.
#[derive(Default)]
pub struct Refused(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    configuration: Option<String>,
    modules: Vec<String>,
    certificates: Vec<String>,
}

impl Refused {
    /// Records the result of the last reload: the reason if it was refused.
    pub fn configuration(&self, reason: Option<String>) {
        gauge!("weir_config_last_reload_successful").set(if reason.is_none() { 1.0 } else { 0.0 });
        lock(&self.0).configuration = reason;
    }

    /// Records the reasons of all modules that can't be loaded.
    pub fn modules(&self, reasons: Vec<String>) {
        gauge!("weir_filter_modules_refused").set(reasons.len() as f64);
        lock(&self.0).modules = reasons;
    }

    /// Records what is wrong with the certificate of the servers.
    pub fn certificates(&self, reasons: Vec<String>) {
        lock(&self.0).certificates = reasons;
    }

    /// All reasons, one line each.
    pub fn reasons(&self) -> Vec<String> {
        let waiting = lock(&self.0);
        let configuration =
            waiting.configuration.iter().map(|reason| format!("the configuration is refused: {reason}"));
        configuration.chain(waiting.modules.iter().chain(&waiting.certificates).cloned()).collect()
    }
}

/// Describes the metrics; called once.
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
    fn refusals_are_reported_until_they_are_fixed() {
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
