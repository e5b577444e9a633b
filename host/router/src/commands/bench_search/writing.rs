//! How fast a sink writes while it is searched. Searches run on a thread of lower priority, as in the router.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use weir_query::Query;
use weir_sinks::Sink;

use super::{Bench, LIMIT, data};
use crate::reading;

/// Each of these times is measured, alternating.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// Records a second.
pub struct Rates {
    alone: f64,
    searched: f64,
    searches: u64,
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rates { alone, searched, searches } = self;
        let ratio = searched / alone;
        write!(f, "{alone:.0} records/s, and {searched:.0} during {searches} searches: ratio {ratio:.2}")
    }
}

pub async fn while_searched(bench: &Bench, kind: &str, sink: &mut dyn Sink, written: u64) -> anyhow::Result<Rates> {
    let batch = Arc::new(data::later()?);
    let mut sequence = written.div_ceil(data::BATCH) + 1;
    let (mut alone, mut searched) = (0.0, 0.0);
    let searches = Arc::new(AtomicU64::new(0));
    for _ in 0..TURNS {
        for is_searched in [false, true] {
            let stop = Arc::new(AtomicBool::new(!is_searched));
            let searching = search(bench, kind, stop.clone(), searches.clone())?;
            let (since, mut records) = (Instant::now(), 0);
            while since.elapsed() < TURN {
                sink.deliver(&[data::frame(sequence, batch.clone())]).await?;
                sequence += 1;
                records += data::BATCH;
            }
            let rate = records as f64 / since.elapsed().as_secs_f64() / TURNS as f64;
            *(if is_searched { &mut searched } else { &mut alone }) += rate;
            stop.store(true, Ordering::Relaxed);
            searching.await??;
        }
    }
    sink.flush().await?;
    Ok(Rates { alone, searched, searches: searches.load(Ordering::Relaxed) })
}

/// Repeats a search that reads much, until it is stopped.
fn search(
    bench: &Bench,
    kind: &str,
    stop: Arc<AtomicBool>,
    searches: Arc<AtomicU64>,
) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
    let search = bench.search(kind)?;
    let runtimes = reading::Runtimes::start()?;
    let answers = runtimes.answers.clone();
    Ok(answers.spawn(async move {
        let query = Query::parse("metadata.amount>499.5", None)?;
        while !stop.load(Ordering::Relaxed) {
            search.newest(&query, None, LIMIT).await?;
            searches.fetch_add(1, Ordering::Relaxed);
        }
        drop(runtimes);
        Ok(())
    }))
}
