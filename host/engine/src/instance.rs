//! A running instance of a filter, and the template that instances are started from.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::InstancePre;

use crate::context::FilterContext;
use crate::description::Description;
use crate::error::{LoadErrorKind, one_line};
use crate::guest::{Guest, HostState};
use crate::limits::{GROWN_FAR_FRACTION, GROWN_FAR_TIMES};
use crate::runtime::Runtime;
use crate::spec::{Bounds, FilterSpec};
use crate::usage::Usage;
use crate::v1::{Contract, Exports};

/// A compiled module with its configuration: everything needed to start an instance.
pub(crate) struct Template {
    pub runtime: Arc<Runtime>,
    pub pre: InstancePre<HostState>,
    pub contract: Contract,
    pub spec: FilterSpec,
    pub bounds: Bounds,
    pub options: String,
    pub usage: Arc<Usage>,
}

/// A configured instance.
pub(crate) struct Instance {
    pub guest: Guest,
    pub exports: Exports,
    /// Memory after configuring and restoring state.
    initial_bytes: usize,
}

impl Template {
    /// The template of a filter with this configuration.
    pub fn new(
        runtime: Arc<Runtime>,
        compiled: (InstancePre<HostState>, Contract),
        spec: &FilterSpec,
    ) -> Result<Template, LoadErrorKind> {
        let (pre, contract) = compiled;
        let (bounds, options) = (spec.bounds()?, spec.options_text()?);
        let usage = Arc::new(Usage::new(&spec.name));
        Ok(Template { runtime, pre, contract, spec: spec.clone(), bounds, options, usage })
    }

    /// Starts, describes and configures an instance.
    pub fn start(
        &self,
        context: Arc<FilterContext>,
        deadline: Duration,
    ) -> Result<(Instance, Description), LoadErrorKind> {
        let mut guest = Guest::new(self.runtime.clone(), context, self.bounds, self.usage.clone());
        let mut exports = Exports::instantiate(&mut guest, &self.pre, &self.contract, deadline)
            .map_err(|error| LoadErrorKind::Start(error.reason))?
            .map_err(LoadErrorKind::WrongShape)?;
        let description = exports
            .describe(&mut guest, &self.spec, deadline)
            .map_err(|error| LoadErrorKind::Describe(error.reason))?;
        exports
            .configure(&mut guest, &self.options, deadline)
            .map_err(|error| LoadErrorKind::Configure(error.reason))?
            .map_err(|refusal| LoadErrorKind::of_options(&refusal))?;
        let initial_bytes = guest.memory_bytes();
        Ok((Instance { guest, exports, initial_bytes }, description))
    }
}

impl Instance {
    /// Restores a state. Returns the reason if that fails.
    pub fn restore(&mut self, saved: &[u8], deadline: Duration) -> Result<(), String> {
        let Instance { guest, exports, .. } = self;
        let restored = exports.restore(guest, saved, deadline).map_err(|error| error.reason)?;
        restored.map_err(|reason| one_line(&reason))?;
        self.reset_growth();
        Ok(())
    }

    /// Whether its memory is at least twice what it started with and half of its limit.
    pub fn has_grown_far(&self, bounds: &Bounds) -> bool {
        let bytes = self.guest.memory_bytes();
        bytes > bounds.memory_bytes / GROWN_FAR_FRACTION && bytes > self.initial_bytes * GROWN_FAR_TIMES
    }

    /// Measures growth from the current memory.
    pub fn reset_growth(&mut self) {
        self.initial_bytes = self.guest.memory_bytes();
    }
}
