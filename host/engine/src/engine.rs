//! The shared runtime of all filters, and the state that outlives a single filter.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use wasmtime::Cache;
use wasmtime::component::Linker;

use crate::compiler::Compiler;
use crate::context::FilterContext;
use crate::error::{EngineError, LoadErrorKind};
use crate::guest::HostState;
use crate::lock::lock;
use crate::runtime::{Runtime, open_cache};
use crate::{v1, v2};

/// Options for [`Engine::new`].
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Folder for compiled filters, which makes later starts fast. Created if missing. Anyone who can write to it can
    /// run code as Weir, so only Weir should have access.
    pub cache_folder: Option<PathBuf>,
    /// Number of workers. Loading a filter starts as many instances, so that a swap delays no batch.
    pub workers: usize,
}

/// No cache, and one worker per processor.
impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache_folder: None, workers: std::thread::available_parallelism().map_or(2, usize::from) }
    }
}

/// Loads filters and holds what they share.
pub struct Engine {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) linker: Linker<HostState>,
    pub(crate) workers: usize,
    /// By filter name, while any version of the filter exists.
    contexts: Mutex<HashMap<String, Weak<FilterContext>>>,
    next_id: AtomicU64,
    /// The next id for a record that may be held.
    next_record: AtomicU64,
    cache: Option<Cache>,
    /// If `None`, modules are compiled in this process, without limits on time and memory.
    compiler: Option<Compiler>,
    /// Set when no more modules are to be compiled.
    stops_compiling: AtomicBool,
}

impl Engine {
    /// Starts the runtime and the deadline thread.
    pub fn new(options: EngineOptions) -> Result<Arc<Engine>, EngineError> {
        Self::start(options, None)
    }

    /// Like [`new`](Self::new), but compiles modules in a separate process.
    pub fn with_compiler(options: EngineOptions, compiler: Compiler) -> Result<Arc<Engine>, EngineError> {
        Self::start(options, Some(compiler))
    }

    fn start(options: EngineOptions, compiler: Option<Compiler>) -> Result<Arc<Engine>, EngineError> {
        let cache = options.cache_folder.as_deref().map(open_cache).transpose()?;
        let runtime = Runtime::start(cache.clone())?;
        let mut linker = Linker::new(&runtime.wasmtime);
        for host in [v1::HOST, v2::HOST] {
            v1::link(&mut linker, host).map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        }
        Ok(Arc::new(Engine {
            runtime: Arc::new(runtime),
            linker,
            workers: options.workers.max(1),
            contexts: Mutex::default(),
            next_id: AtomicU64::new(0),
            next_record: AtomicU64::new(1),
            cache,
            compiler,
            stops_compiling: AtomicBool::new(false),
        }))
    }

    /// Kills the compiler process, if one is running. Every later attempt to compile fails.
    pub fn stop_compiling(&self) {
        self.stops_compiling.store(true, Ordering::Relaxed);
    }

    /// Compiles a module in a separate process, if the engine was set up with a compiler.
    pub(crate) fn ensure_compilable(&self, module: &[u8]) -> Result<(), LoadErrorKind> {
        self.compiler.as_ref().map_or(Ok(()), |compiler| compiler.ensure_compilable(module, &self.stops_compiling))
    }

    /// Number of filters found in the compile cache since the start.
    pub fn cache_hits(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::cache_hits)
    }

    /// Makes ids of held records start after `last`, because ids up to it are in use.
    pub fn reserve_ids_up_to(&self, last: u64) {
        self.next_record.fetch_max(last.saturating_add(1), Ordering::Relaxed);
    }

    /// Reserves `count` ids for records and returns the first.
    pub(crate) fn new_numbers(&self, count: usize) -> u64 {
        self.next_record.fetch_add(count as u64, Ordering::Relaxed)
    }

    /// A new id, as held records have.
    pub fn new_record_id(&self) -> u64 {
        self.new_numbers(1)
    }

    pub(crate) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The context that all versions of a filter share.
    pub(crate) fn context(&self, filter: &str) -> Arc<FilterContext> {
        let mut by_name = lock(&self.contexts);
        if let Some(context) = by_name.get(filter).and_then(Weak::upgrade) {
            return context;
        }
        by_name.retain(|_, context| context.strong_count() > 0);
        let context = FilterContext::new(filter);
        by_name.insert(filter.into(), Arc::downgrade(&context));
        context
    }
}
