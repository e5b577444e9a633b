//! The store of an instance: bounds every call and turns its failure into an error.
//!
//! Every call goes through [`Guest::call`], which sets the deadline. After any failure other than an error that the
//! filter returned, the owner must drop the instance and not call it again.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ResourceLimiter, Store, Trap, WasmBacktrace};

use crate::context::FilterContext;
use crate::error::{CallError, FailureKind};
use crate::limits::{MAX_MEMORY_BYTES, MAX_TABLE_ELEMENTS};
use crate::runtime::Runtime;
use crate::spec::Bounds;
use crate::ticker::Ticker;
use crate::usage::Usage;

/// The data of a store.
pub(crate) struct HostState {
    pub context: Arc<FilterContext>,
    pub memory: MemoryLimit,
}

/// Enforces the memory limit of an instance.
pub(crate) struct MemoryLimit {
    max_bytes: usize,
    bytes: usize,
    usage: Arc<Usage>,
    /// The size that was refused, if growth was refused.
    refused_bytes: Option<usize>,
}

impl MemoryLimit {
    fn new(max_bytes: usize, usage: Arc<Usage>) -> Self {
        usage.instance_created();
        Self { max_bytes, bytes: 0, usage, refused_bytes: None }
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        self.usage.instance_dropped(self.bytes);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired - current);
        let refused = bytes > self.max_bytes;
        if refused {
            self.refused_bytes = Some(bytes);
        } else {
            self.usage.memory_grew(bytes - self.bytes);
            self.bytes = bytes;
        }
        Ok(!refused)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

/// A store for the instances of one filter component.
pub(crate) struct Guest {
    runtime: Arc<Runtime>,
    store: Store<HostState>,
    bounds: Bounds,
}

impl Guest {
    pub fn new(runtime: Arc<Runtime>, context: Arc<FilterContext>, bounds: Bounds, usage: Arc<Usage>) -> Guest {
        let memory = MemoryLimit::new(bounds.memory_bytes, usage);
        let mut store = Store::new(&runtime.wasmtime, HostState { context, memory });
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(bounds.output_bytes);
        Guest { runtime, store, bounds }
    }

    /// Calls into the instance, with a deadline.
    pub fn call<R>(
        &mut self,
        deadline: Duration,
        body: impl FnOnce(&mut Store<HostState>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        let _running = self.runtime.ticker.running();
        self.store.set_epoch_deadline(Ticker::ticks(deadline));
        self.store.data_mut().memory.refused_bytes = None;
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
            return CallError::new(FailureKind::Stack, format!("its stack overflowed{place}"));
        }
        if let Some(wanted) = self.store.data().memory.refused_bytes {
            return CallError::new(FailureKind::Memory, too_much_memory(self.bounds.memory_bytes, wanted));
        }
        if trap.is_none() && is_too_much_output(error) {
            let limit = self.bounds.output_bytes >> 10;
            return CallError::new(FailureKind::Output, format!("it returned more than its limit of {limit} KiB"));
        }
        if trap == Some(&Trap::UnreachableCodeReached) {
            return CallError::new(FailureKind::Trap, format!("it trapped (a panic or an abort){place}"));
        }
        CallError::new(FailureKind::Trap, format!("it trapped: {}{place}", error.root_cause()))
    }
}

/// Whether the host stopped copying the guest's output because it exceeds [`Bounds::output_bytes`].
///
/// This is the only failure recognised by its text, because wasmtime's error type is private; all other errors that are
/// not a [`Trap`] are treated alike. A test fails if the text changes.
fn is_too_much_output(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls")
}

/// The error for operators, with a setting that is at least twice what the filter asked for.
fn too_much_memory(limit_bytes: usize, wanted_bytes: usize) -> String {
    let enough = (wanted_bytes as u64).next_power_of_two().saturating_mul(2).min(MAX_MEMORY_BYTES);
    let enough = match enough >> 30 {
        0 => format!("{}MiB", (enough >> 20).max(1)),
        gib => format!("{gib}GiB"),
    };
    let limit_kib = limit_bytes >> 10;
    format!("it needs more memory than its limit of {limit_kib} KiB; if that is expected, set `memory = \"{enough}\"`")
}

/// The innermost named function.
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
    fn the_memory_limit_covers_all_memories_of_an_instance() {
        let usage = Arc::new(Usage::new("f"));
        let mut limit = MemoryLimit::new(100, usage.clone());
        assert!(limit.memory_growing(0, 60, None).unwrap());
        assert!(!limit.memory_growing(0, 60, None).unwrap());
        assert_eq!(limit.refused_bytes, Some(120));
        assert!(limit.memory_growing(60, 100, None).unwrap());
        assert_eq!((usage.usage().memory_bytes, usage.usage().instances), (100, 1));
        drop(limit);
        assert_eq!((usage.usage().memory_bytes, usage.usage().instances), (0, 0));
    }

    #[test]
    fn the_memory_error_names_the_setting_that_raises_the_limit() {
        let told = too_much_memory(64 << 20, 65 << 20);
        assert!(told.contains("65536 KiB") && told.ends_with("set `memory = \"256MiB\"`"), "{told}");
        assert!(too_much_memory(64 << 10, 100 << 10).ends_with("\"1MiB\"`"));
        assert!(too_much_memory(2 << 30, 3 << 30).ends_with("\"4GiB\"`"));
    }
}
