//! The configured wasmtime engine and the clock behind filter deadlines.

use std::path::Path;

use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::error::EngineError;
use crate::limits;
use crate::ticker::Ticker;

/// The wasmtime engine that all filters share.
pub(crate) struct Runtime {
    pub wasmtime: wasmtime::Engine,
    pub ticker: Ticker,
}

impl Runtime {
    /// Starts the engine and the deadline thread.
    pub fn start(cache: Option<Cache>) -> Result<Runtime, EngineError> {
        let wasmtime = start_runtime(cache).map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        Ok(Runtime { ticker: Ticker::start(wasmtime.clone())?, wasmtime })
    }
}

pub(crate) fn open_cache(folder: &Path) -> Result<Cache, EngineError> {
    let refused = |reason: String| EngineError::Cache { folder: folder.display().to_string(), reason };
    std::fs::create_dir_all(folder).map_err(|error| refused(error.to_string()))?;
    let folder = folder.canonicalize().map_err(|error| refused(error.to_string()))?;
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|error| refused(format!("{error:#}")))
}

/// A wasmtime engine that compiles with the same configuration, so that both share cache entries. It never runs code.
pub(crate) fn bare_runtime(cache: Cache) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&configuration(Some(cache)))
}

/// Uses the pooling allocator if the system allows the address space to be reserved, and on-demand allocation otherwise
/// (for example in a container with a limit on virtual memory).
fn start_runtime(cache: Option<Cache>) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = configuration(cache);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    wasmtime::Engine::new(&config).or_else(|error| {
        tracing::warn!("can't reserve a pool of memories, filters allocate on demand: {error:#}");
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        wasmtime::Engine::new(&config)
    })
}

fn configuration(cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits::MAX_STACK_BYTES)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Compile on one core: filters are compiled while the pipeline runs, which needs the other cores. It also takes
        // a third less memory than two cores.
        .parallel_compilation(false)
        .cache(cache);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::MAX_INSTANCES)
        .total_core_instances(limits::MAX_INSTANCES * 4)
        .total_memories(limits::MAX_INSTANCES)
        .total_tables(limits::MAX_INSTANCES * 4)
        .max_core_instances_per_component(limits::MAX_CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(limits::MAX_MEMORIES_PER_COMPONENT)
        .max_tables_per_component(limits::MAX_TABLES_PER_COMPONENT)
        .max_tables_per_module(limits::MAX_TABLES_PER_COMPONENT)
        .table_elements(limits::MAX_TABLE_ELEMENTS)
        .max_memory_size(limits::MAX_MEMORY_BYTES as usize)
        .max_unused_warm_slots(0)
        .linear_memory_keep_resident(limits::KEEP_RESIDENT_BYTES);
    pool
}
