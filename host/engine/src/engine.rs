//! The runtime that all filters run in, configured once, and what outlives a single filter.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::compiler::Compiler;
use crate::error::{EngineError, LoadError};
use crate::filter::{Filter, FilterSpec};
use crate::guest::HostState;
use crate::limits;
use crate::shared::{Shared, lock};
use crate::ticker::Ticker;
use crate::{v1, v2};

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where compiled filters are kept, so that the next start is quick. It is made when it is missing. Whoever can
    /// write there can run code as Weir, so it belongs to Weir alone.
    pub cache_folder: Option<PathBuf>,
    /// How many workers there will be: as many instances of a filter are made ready when it is loaded, so that a swap
    /// delays no batch.
    pub workers: usize,
}

/// No cache, and a worker for each processor.
impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache_folder: None, workers: std::thread::available_parallelism().map_or(2, usize::from) }
    }
}

/// The runtime for filters.
pub struct Engine {
    pub(crate) runtime: wasmtime::Engine,
    pub(crate) ticker: Ticker,
    pub(crate) linker: Linker<HostState>,
    pub(crate) workers: usize,
    /// By the filter's name, as long as a version of it lives.
    shared: Mutex<HashMap<String, Weak<Shared>>>,
    next_id: AtomicU64,
    /// The next number for a record that may be held.
    next_record: AtomicU64,
    cache: Option<Cache>,
    /// Without it, modules are compiled here, as long and with as much memory as that takes.
    pub(crate) compiler: Option<Compiler>,
}

impl Engine {
    /// Starts the runtime and the thread behind the deadlines.
    pub fn new(options: EngineOptions) -> Result<Arc<Engine>, EngineError> {
        Self::start(options, None)
    }

    /// The same; modules are compiled in a process of their own.
    pub fn with_compiler(options: EngineOptions, compiler: Compiler) -> Result<Arc<Engine>, EngineError> {
        Self::start(options, Some(compiler))
    }

    fn start(options: EngineOptions, compiler: Option<Compiler>) -> Result<Arc<Engine>, EngineError> {
        let cache = options.cache_folder.as_deref().map(open_cache).transpose()?;
        let runtime = start_runtime(cache.clone()).map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        let mut linker = Linker::new(&runtime);
        for host in [v1::HOST, v2::HOST] {
            v1::link(&mut linker, host).map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        }
        Ok(Arc::new(Engine {
            ticker: Ticker::start(runtime.clone())?,
            runtime,
            linker,
            workers: options.workers.max(1),
            shared: Mutex::default(),
            next_id: AtomicU64::new(0),
            next_record: AtomicU64::new(1),
            cache,
            compiler,
        }))
    }

    /// Makes a filter of a component or a core module: compiles, describes and configures it. Takes as long as the
    /// compiler does, so it belongs on a thread of its own.
    pub fn load(self: &Arc<Self>, spec: &FilterSpec, module: &[u8]) -> Result<Arc<Filter>, LoadError> {
        self.load_with(self.shared(&spec.name), spec, module)
    }

    /// The same for a filter whose work comes to nothing: it has a store of its own, and neither its log nor its
    /// counters are heard.
    pub fn load_shadow(self: &Arc<Self>, spec: &FilterSpec, module: &[u8]) -> Result<Arc<Filter>, LoadError> {
        self.load_with(Shared::for_trial(&spec.name), spec, module)
    }

    fn load_with(
        self: &Arc<Self>,
        shared: Arc<Shared>,
        spec: &FilterSpec,
        module: &[u8],
    ) -> Result<Arc<Filter>, LoadError> {
        Filter::load(self.clone(), shared, spec, module)
            .map_err(|problem| LoadError { filter: spec.name.clone(), problem })
    }

    /// How many filters were found compiled in the cache since the start.
    pub fn cache_hits(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::cache_hits)
    }

    /// Numbers that records are held under begin after this one: those up to it are in use already.
    pub fn number_records_after(&self, last: u64) {
        self.next_record.fetch_max(last.saturating_add(1), Ordering::Relaxed);
    }

    /// The first of so many new numbers for records.
    pub(crate) fn new_numbers(&self, count: usize) -> u64 {
        self.next_record.fetch_add(count as u64, Ordering::Relaxed)
    }

    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// What the versions of a filter share.
    pub(crate) fn shared(&self, filter: &str) -> Arc<Shared> {
        let mut by_name = lock(&self.shared);
        if let Some(shared) = by_name.get(filter).and_then(Weak::upgrade) {
            return shared;
        }
        by_name.retain(|_, shared| shared.strong_count() > 0);
        let shared = Shared::new(filter);
        by_name.insert(filter.into(), Arc::downgrade(&shared));
        shared
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

/// What compiles as the engine's own runtime does, so that both find the same in the cache, and is never run.
pub(crate) fn bare_runtime(cache: Cache) -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&configuration(Some(cache)))
}

/// With a pool of memories when the system lets it reserve the address space, without one otherwise (a container with
/// a limit on virtual memory).
fn start_runtime(cache: Option<Cache>) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = configuration(cache);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    wasmtime::Engine::new(&config).or_else(|error| {
        tracing::warn!("filters run without a pool of memories: {error:#}");
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
        // One core: a filter is compiled while others are at work, and the rest of the machine is theirs. It also
        // takes a third less memory than two do.
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
