//! Trials of filters with `canary`: the running version continues until the trial of the new one ends.
//!
//! If a version is rejected, the previous version is pinned: it runs, even after a restart, until the module changes.
//!
//! Changed options apply to both versions immediately: the running version is reconfigured as without a trial, and the
//! trial restarts. If the running version doesn't accept them, for example because only the new version knows an
//! option, it keeps its options until the trial ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use metrics::counter;

use super::{DesiredFilter, FilterSet, RunningFilter, SelectedModule};
use crate::canary::{Canary, Pair, Verdict};
use crate::config::CanarySettings;
use crate::versions::Pin;
use crate::wiring::lock;

/// A running trial.
pub struct RunningTrial {
    wanted: DesiredFilter,
    digest: String,
    canary: Canary,
}

/// A trial to start.
pub struct PendingTrial {
    wanted: DesiredFilter,
    digest: String,
    settings: CanarySettings,
    /// The module; `None` if its trial is already running.
    module: Option<Vec<u8>>,
}

impl FilterSet {
    /// Gives the set a reference to itself, which trials need to report their end, and starts waiting trials.
    pub fn set_self_reference(me: &Arc<Mutex<FilterSet>>) {
        let mut set = lock(me);
        set.me = Arc::downgrade(me);
        if set.wanted.iter().any(|wanted| wanted.canary.is_some()) {
            set.republish();
        }
    }

    /// Returns the module if it is to run without a trial. Otherwise adds it to `trials`.
    pub(super) fn defer_to_trial(
        &self,
        wanted: &DesiredFilter,
        chosen: SelectedModule,
        trials: &mut Vec<PendingTrial>,
    ) -> Result<Option<SelectedModule>, String> {
        let name = &wanted.spec.name;
        let Some(settings) = wanted.canary.clone() else { return Ok(Some(chosen)) };
        let before = self.find(name).map(|running| running.digest.clone()).or_else(|| self.last(name));
        let is_new = before.as_ref().is_some_and(|before| *before != chosen.digest);
        let is_promoted = self.promoted.get(name) == Some(&chosen.digest);
        if !is_new || chosen.is_pinned || is_promoted {
            return Ok(Some(chosen));
        }
        let is_on_trial =
            self.trials.get(name).is_some_and(|trial| trial.digest == chosen.digest && trial.wanted == *wanted);
        if !is_on_trial && self.find(name).is_some() {
            // Fail before the trial if the module can't be loaded.
            self.load_module(wanted, &chosen.module)?;
        }
        let module = (!is_on_trial).then_some(chosen.module);
        trials.push(PendingTrial { wanted: wanted.clone(), digest: chosen.digest, settings, module });
        Ok(None)
    }

    /// The digest of the last running version, if its module is still kept.
    fn last(&self, name: &str) -> Option<String> {
        let last = self.versions.history(name).versions.pop()?;
        self.versions.module(name, &last.digest).is_ok().then_some(last.digest)
    }

    /// The version that runs during a trial: the running one with the current options.
    pub(super) fn load_during_trial(&self, wanted: &DesiredFilter) -> Result<RunningFilter, String> {
        let name = &wanted.spec.name;
        let Some(running) = self.find(name) else { return self.load_last_version(wanted) };
        if running.wanted == *wanted {
            return Ok(running.clone());
        }
        let loaded = self.versions.module(name, &running.digest).and_then(|module| self.load_module(wanted, &module));
        Ok(match loaded {
            Ok(filter) => RunningFilter { wanted: wanted.clone(), filter, ..running.clone() },
            Err(reason) => {
                tracing::warn!(
                    "filter `{name}`: the running version keeps its settings until the trial ends: {reason}"
                );
                running.clone()
            }
        })
    }

    /// Loads the version that ran before the router was restarted.
    pub(super) fn load_last_version(&self, wanted: &DesiredFilter) -> Result<RunningFilter, String> {
        let name = &wanted.spec.name;
        let history = self.versions.history(name);
        let last = history.versions.last().ok_or_else(|| format!("filter `{name}` has no version history"))?;
        let module = self.versions.module(name, &last.digest)?;
        let filter = self.load_module(wanted, &module)?;
        Ok(RunningFilter { wanted: wanted.clone(), digest: last.digest.clone(), by: last.by.clone(), filter })
    }

    /// Starts new trials and cancels those that are no longer wanted.
    pub(super) fn start_trials(&mut self, trials: Vec<PendingTrial>) {
        let mut going_on = HashMap::new();
        for trial in trials {
            let name = trial.wanted.spec.name.clone();
            match (&trial.module, self.trials.remove(&name)) {
                (None, Some(on_trial)) => {
                    going_on.insert(name, on_trial);
                }
                _ => match self.start_trial(&trial) {
                    Ok(canary) => {
                        let PendingTrial { wanted, digest, .. } = trial;
                        going_on.extend(canary.map(|canary| (name, RunningTrial { wanted, digest, canary })));
                    }
                    Err(reason) => self.finish_trial(&name, &trial.digest, Verdict::Reject(reason)),
                },
            }
        }
        self.trials = going_on;
        self.show_trials();
    }

    fn show_trials(&self) {
        let status = |(name, trial): (&String, &RunningTrial)| (name.clone(), trial.canary.status.clone());
        self.shared.trials.store(Arc::new(self.trials.iter().map(status).collect()));
    }

    fn start_trial(&self, trial: &PendingTrial) -> Result<Option<Canary>, String> {
        let name = trial.wanted.spec.name.clone();
        let (Some(running), Some(module)) = (self.find(&name), &trial.module) else { return Ok(None) };
        if self.me.strong_count() == 0 {
            // At startup, `set_self_reference` starts it later.
            return Ok(None);
        }
        let engine = &self.shared.engine;
        let running_module = self.versions.module(&name, &running.digest)?;
        let pair = Pair::load(engine, &running.filter, &running_module, &trial.wanted.spec, module)?;
        tracing::info!(
            "filter `{name}`: trial of {} against {} on {} % of the batches for {:?}",
            trial.wanted.source,
            running.filter.description().version,
            f64::from(trial.settings.share_ppm) / 1e4,
            trial.settings.time
        );
        let status = pair.status(&trial.settings);
        let (set, digest, this) = (self.me.clone(), trial.digest.clone(), status.clone());
        let decided = move |verdict| {
            let Some(set) = set.upgrade() else { return };
            let mut set = lock(&set);
            // Otherwise another trial has started in the meantime.
            if set.trials.get(&name).is_some_and(|trial| Arc::ptr_eq(&trial.canary.status, &this)) {
                set.finish_trial(&name, &digest, verdict);
            }
        };
        Canary::start(&running.filter, pair, status, trial.settings.clone(), engine.clone(), decided)
            .map(Some)
            .map_err(|error| format!("can't start the trial thread: {error}"))
    }

    /// Handles the end of a trial.
    fn finish_trial(&mut self, name: &str, digest: &str, verdict: Verdict) {
        self.trials.remove(name);
        self.show_trials();
        let outcome = match &verdict {
            Verdict::Promote(_) => "promoted",
            Verdict::Reject(_) => "rejected",
        };
        counter!("weir_filter_canaries_total", "filter" => name.to_owned(), "outcome" => outcome).increment(1);
        match verdict {
            Verdict::Promote(summary) => {
                tracing::info!("filter `{name}`: the new version is promoted: {summary}");
                self.promoted.insert(name.to_owned(), digest.to_owned());
                self.republish();
                self.promoted.remove(name);
            }
            Verdict::Reject(reason) => {
                if let Some(running) = self.find(name) {
                    let pin = Pin {
                        instead_of: digest.to_owned(),
                        run: running.digest.clone(),
                        by: "canary".to_owned(),
                        why: reason.clone(),
                    };
                    if let Err(error) = self.versions.set_pin(name, &pin) {
                        tracing::error!(
                            "filter `{name}`: can't record the rejection; the next start repeats the trial: {error}"
                        );
                    }
                }
                // Logged after the pin is written, so that it is also true after a restart.
                tracing::error!("filter `{name}`: the new version is rejected, the running one stays: {reason}");
            }
        }
    }
}
