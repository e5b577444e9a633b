//! Searches the files of a `file` sink that writes JSON, also while the sink writes them, and while no router runs.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | implements [`Search`]; a search that is dropped is stopped |
//! | `catalog.rs` | the files, and **the ids of records** |
//! | `blocks.rs` | the blocks of a file, with the range of their times |
//! | `words.rs` | filters of the words of blocks |
//! | `summary.rs` | what is kept of blocks: times, counts, filters |
//! | `saved.rs` | the summaries on disk, and **why they can be trusted** |
//! | `prepare.rs` | summarises files in the background |
//! | `line.rs` | which lines can match, and lines as records |
//! | `job.rs` | what a running search has open |
//! | `newest.rs` | the newest matching records |
//! | `explain.rs` | how they are found, for people |
//! | `neighbours.rs` | one record, and those next to it |
//! | `histogram.rs` | counts over time |
//!
//! A search reads what the files contain, and never waits for the sink or makes it wait. It sees whole lines only. It
//! holds the files open that it reads, so their rotation, compression and removal don't matter to it.
//!
//! Results are in the order of the records' times, as in a database. The blocks of all files are read by their newest
//! time, so the newest records come first, and the rest is not read. The time in the path of a file saves even the first
//! look into the others: with the default path, the files of other days. Blocks that certainly lack a word of the query
//! are not read either, once a router has summarised them.

mod blocks;
mod catalog;
mod explain;
mod histogram;
mod job;
pub(super) mod line;
mod neighbours;
mod newest;
mod prepare;
mod saved;
mod summary;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_summaries;
mod words;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use weir_query::search::{By, Histogram, Hit, Place, Search, SearchError};
use weir_query::{EntryId, Query};

use self::catalog::Catalog;
use self::job::{Job, Stop};
use self::prepare::Background;
use self::saved::Saved;
use super::file_list::FileList;
use super::path::PathTemplate;
use super::records::{FILE_LIST, POSITION};
use super::{FileOptions, Format};
use crate::disk::Disk;
use crate::limits;
use crate::registry::{BuildContext, options};

/// The search of a sink. Opens nothing.
pub(super) fn open(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Search>, String> {
    FileSearch::new(name, options(name, given)?, context).map(|search| Arc::new(search) as Arc<dyn Search>)
}

struct FileSearch {
    sink: String,
    catalog: Arc<Catalog>,
    /// A permit for each thread that searches.
    permits: Arc<Semaphore>,
    position: PathBuf,
    in_background: bool,
    /// Started after the first search. `None` in it: it can't be started.
    background: OnceLock<Option<Background>>,
}

impl FileSearch {
    fn new(name: &str, options: FileOptions, context: &BuildContext) -> Result<FileSearch, String> {
        if options.format != Format::Json {
            return Err(format!("sink `{name}`: lines of text can't be searched; set `format = \"json\"`"));
        }
        let template = PathTemplate::parse(&options.path, &context.base, context.started_ns)
            .map_err(|error| format!("sink `{name}`: {error}"))?;
        let list = FileList::new(context.own_file(name, FILE_LIST), Disk::default());
        Ok(FileSearch {
            sink: name.into(),
            catalog: Arc::new(Catalog::new(
                name,
                list,
                template,
                Saved::new(context.own_search_folder(name)),
                context.owners.rewrites(),
            )),
            permits: Arc::new(Semaphore::new(limits::SEARCH_CONNECTIONS)),
            position: context.own_file(name, POSITION),
            in_background: context.prepares_searches,
            background: OnceLock::new(),
        })
    }

    /// Prepares later searches, once this one is over.
    fn prepare_in_background(&self) {
        let start = || {
            let started = Background::start(&self.sink, self.catalog.clone(), self.position.clone());
            started.inspect_err(|error| tracing::warn!(sink = self.sink, "searches are not prepared: {error}")).ok()
        };
        if self.in_background
            && let Some(background) = self.background.get_or_init(start)
        {
            background.wake();
        }
    }

    /// Searches on a thread for blocking work. The thread stops at the next block once this is dropped.
    async fn run<T: Send + 'static>(
        &self,
        search: impl Fn(&mut Job) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, SearchError> {
        let stopping = || SearchError::Unavailable(format!("sink `{}`: the router is stopping", self.sink));
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| stopping())?;
        if !self.catalog.exists() {
            let text = format!("sink `{}`: there are no files yet: the sink creates them when it starts", self.sink);
            return Err(SearchError::Unavailable(text));
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let _on_drop = CancelOnDrop(cancelled.clone());
        let catalog = self.catalog.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            loop {
                let changes = catalog.rewrites().changes();
                let found = search(&mut Job::start(catalog.clone(), cancelled.clone())?);
                // Once more, if files were rewritten meanwhile: some lines may have been looked for in the wrong places.
                if catalog.rewrites().changes() == changes || cancelled.load(Ordering::Relaxed) {
                    return found;
                }
            }
        });
        let found = thread.await.map_err(|_| stopping())?.map_err(|stop| stop.error(&self.sink));
        self.prepare_in_background();
        found
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Search for FileSearch {
    async fn newest(&self, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, SearchError> {
        let query = query.clone();
        self.run(move |job| newest::newest(job, &query, before, limit)).await
    }

    async fn get(&self, id: EntryId) -> Result<Option<Hit>, SearchError> {
        self.run(move |job| neighbours::get(job, id)).await
    }

    async fn around(&self, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, SearchError> {
        let query = query.clone();
        self.run(move |job| neighbours::around(job, &query, id, before, after)).await
    }

    async fn explain(&self, query: &Query, _limit: usize) -> Result<String, SearchError> {
        let query = query.clone();
        self.run(move |job| explain::explain(job, &query)).await
    }

    async fn histogram(&self, query: &Query, by: By, buckets: usize) -> Result<Histogram, SearchError> {
        let query = query.clone();
        self.run(move |job| histogram::histogram(job, &query, by, buckets)).await
    }

    async fn prepare(&self) -> Result<(), SearchError> {
        let position = self.position.clone();
        self.run(move |job| prepare::prepare(job, &position)).await
    }
}
