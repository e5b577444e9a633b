//! The runtime that all filters run in, configured once, and what outlives a single filter.

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

/// How the engine is set up.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// Where compiled filters are kept, so that the next start is quick. It is made when it is missing. Whoever can
    /// write there can run code as Weir, so it belongs to Weir alone.
    pub cache_folder: Option<PathBuf>,
    /// How many workers there will be: as many instances of a filter are made ready when it is loaded, so that a swap
    /// delays no batch.
    pub workers: usize,
}

/// The runtime for filters.
pub struct Engine {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) linker: Linker<HostState>,
    pub(crate) workers: usize,
    /// By the filter's name, as long as a version of it lives.
    contexts: Mutex<HashMap<String, Weak<FilterContext>>>,
    next_id: AtomicU64,
    /// The next number for a record that may be held.
    next_record: AtomicU64,
    cache: Option<Cache>,
    /// Without it, modules are compiled here, as long and with as much memory as that takes.
    compiler: Option<Compiler>,
    /// Set once nothing is to be compiled any more.
    stops_compiling: AtomicBool,
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

    /// Kills the process that compiles a module, if there is one, and fails every later attempt to compile.
    pub fn stop_compiling(&self) {
        self.stops_compiling.store(true, Ordering::Relaxed);
    }

    /// Has a module compiled in a process of its own, if the engine was set up with one.
    pub(crate) fn ensure_compilable(&self, module: &[u8]) -> Result<(), LoadErrorKind> {
        self.compiler.as_ref().map_or(Ok(()), |compiler| compiler.ensure_compilable(module, &self.stops_compiling))
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
