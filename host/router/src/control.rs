//! What the API reports about the router and changes in it.
//!
//! | file | purpose |
//! |---|---|
//! | `control/status.rs` | the pipeline, the quarantine and the levels |
//! | `control/totals.rs` | counts from the router's metrics |
//! | `control/acts.rs` | swaps of filters, deleted entries, levels |
//! | `control/replay.rs` | processes entries of the quarantine again |

mod acts;
mod replay;
mod status;
mod totals;

pub use acts::{AUDIT, audit_record};

use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock};
use std::time::Instant;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use weir_live::Live;
use weir_sinks::FallbackQueues;

use crate::erase::Erasing;
use crate::filters::FilterSet;
use crate::pipeline::{PipelineSender, PipelineState};
use crate::sink_set::SinkSet;
use crate::source_set::SourceSet;
use crate::versions::Versions;

/// The parts of the router that can be asked and changed.
#[derive(Clone)]
pub struct Control {
    pub filters: Arc<Lock<FilterSet>>,
    pub sink_set: Arc<Mutex<SinkSet>>,
    pub source_set: Arc<Mutex<SourceSet>>,
    pub shared: Arc<PipelineState>,
    pub sender: PipelineSender,
    /// Through which single sinks get records.
    pub queues: FallbackQueues,
    pub versions: Versions,
    pub live: Arc<Live>,
    pub journal_folder: PathBuf,
    /// The erasure that runs now.
    pub erasing: Erasing,
    /// Locked while records are erased or replayed.
    pub alone: Arc<Lock<()>>,
    pub prometheus: PrometheusHandle,
    pub since: Instant,
    /// Where it waits for sinks.
    pub runtime: Handle,
}
