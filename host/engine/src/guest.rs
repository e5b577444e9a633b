//! One instance of a filter: its store, its exports, and how a call of it is bounded and its failure put into words.
//!
//! Every call goes through [`Guest::call`], which sets the deadline. After a failure that is not the filter's own
//! refusal the instance must not be called again; whoever owns it throws it away.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ResourceLimiter, Store, Trap, WasmBacktrace};

use crate::engine::Engine;
use crate::error::{CallError, FailureKind};
use crate::limits::MAX_TABLE_ELEMENTS;
use crate::shared::Shared;
use crate::ticker::Ticker;
use crate::usage::Usage;

/// What a store holds beside the instance.
pub(crate) struct HostState {
    pub shared: Arc<Shared>,
    pub memory: MemoryLimit,
}

/// Keeps count of an instance's memory.
pub(crate) struct MemoryLimit {
    max_bytes: usize,
    bytes: usize,
    usage: Arc<Usage>,
    /// It asked for more than it may have, and was told no.
    refused: bool,
}

impl MemoryLimit {
    fn new(max_bytes: usize, usage: Arc<Usage>) -> Self {
        usage.instance_made();
        Self { max_bytes, bytes: 0, usage, refused: false }
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        self.usage.instance_gone(self.bytes);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired - current);
        self.refused = bytes > self.max_bytes;
        if !self.refused {
            self.usage.memory_grew(bytes - self.bytes);
            self.bytes = bytes;
        }
        Ok(!self.refused)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// The bounds of one instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub memory_bytes: usize,
    /// What it may return, or hand to the host, in one call.
    pub output_bytes: usize,
}

/// A store, in which instances of one contract version live.
pub(crate) struct Guest {
    engine: Arc<Engine>,
    store: Store<HostState>,
    bounds: Bounds,
}

impl Guest {
    pub fn new(engine: Arc<Engine>, shared: Arc<Shared>, bounds: Bounds, usage: Arc<Usage>) -> Guest {
        let memory = MemoryLimit::new(bounds.memory_bytes, usage);
        let mut store = Store::new(&engine.runtime, HostState { shared, memory });
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(bounds.output_bytes);
        Guest { engine, store, bounds }
    }

    /// Calls into the instance. The answer must come before the deadline.
    pub fn call<R>(
        &mut self,
        deadline: Duration,
        body: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        let _running = self.engine.ticker.running();
        self.store.set_epoch_deadline(Ticker::ticks(deadline));
        self.store.data_mut().memory.refused = false;
        body(&mut self.store).map_err(|error| self.explain(&error, deadline))
    }

    /// Memory of the instance, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().memory.bytes
    }

    fn explain(&self, error: &wasmtime::Error, deadline: Duration) -> CallError {
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) {
            return CallError::new(FailureKind::Timeout, format!("it ran longer than {} ms", deadline.as_millis()));
        }
        let place = error.downcast_ref::<WasmBacktrace>().and_then(innermost).unwrap_or_default();
        if trap == Some(&Trap::StackOverflow) {
            return CallError::new(FailureKind::Stack, format!("its calls went too deep for the stack{place}"));
        }
        if self.store.data().memory.refused {
            let limit = self.bounds.memory_bytes >> 10;
            return CallError::new(
                FailureKind::Memory,
                format!("it wanted more memory than the {limit} KiB it may have"),
            );
        }
        let cause = error.root_cause().to_string();
        if cause.contains("fuel allocated for hostcalls") {
            let limit = self.bounds.output_bytes >> 10;
            return CallError::new(FailureKind::Output, format!("it returned more than the {limit} KiB it may"));
        }
        if trap == Some(&Trap::UnreachableCodeReached) {
            return CallError::new(FailureKind::Trap, format!("it trapped (a panic or an abort){place}"));
        }
        CallError::new(FailureKind::Trap, format!("it trapped: {cause}{place}"))
    }
}

/// The innermost function that has a name.
fn innermost(backtrace: &WasmBacktrace) -> Option<String> {
    let name = backtrace.frames().iter().find_map(|frame| {
        frame
            .symbols()
            .iter()
            .find_map(|symbol| symbol.name().map(str::to_owned))
            .or(frame.func_name().map(str::to_owned))
    })?;
    Some(format!(" in `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let usage = Arc::new(Usage::new("f"));
        let mut limit = MemoryLimit::new(100, usage.clone());
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(!limit.memory_growing(0, 60, None).unwrap());
        assert!(limit.refused);
        assert!(limit.memory_growing(60, 100, None).unwrap());
        assert!(!limit.refused);
        assert_eq!((usage.taken().memory_bytes, usage.taken().instances), (100, 1));
        drop(limit);
        assert_eq!((usage.taken().memory_bytes, usage.taken().instances), (0, 0));
    }
}
