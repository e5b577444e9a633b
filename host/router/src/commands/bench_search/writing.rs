//! How fast a sink writes while it is searched. Searches run on threads of lower priority, as in the router.
//!
//! Threads of the same priority that only compute, one for each core, show what the writer loses just because the cores
//! are in use: no search could take less.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use weir_query::Query;
use weir_sinks::Sink;

use super::{Bench, LIMIT, data};
use crate::reading;

/// Each of these times is measured, alternating.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);

/// What runs beside the writer.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    Threads,
    Searches,
}

/// Records a second.
pub struct Rates {
    /// Beside each.
    rates: [f64; 3],
    searches: u64,
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [alone, threads, searched] = self.rates;
        let ratio = |rate| rate / alone;
        write!(
            f,
            "{alone:.0} records/s; {threads:.0} beside busy threads: ratio {:.2}; {searched:.0} during {} searches: ratio {:.2}",
            ratio(threads),
            self.searches,
            ratio(searched)
        )
    }
}

/// `sequence` is that of the last frame.
pub async fn while_searched(
    bench: &Bench,
    kind: &str,
    sink: &mut dyn Sink,
    sequence: &mut u64,
) -> anyhow::Result<Rates> {
    let batch = Arc::new(data::later()?);
    let mut rates = [0.0; 3];
    let searches = Arc::new(AtomicU64::new(0));
    for _ in 0..TURNS {
        for beside in [Beside::Nothing, Beside::Threads, Beside::Searches] {
            let stop = Arc::new(AtomicBool::new(false));
            let running = match beside {
                Beside::Nothing => None,
                Beside::Threads => Some(compute(stop.clone())?),
                Beside::Searches => Some(search(bench, kind, stop.clone(), searches.clone())?),
            };
            let (since, mut records) = (Instant::now(), 0);
            while since.elapsed() < TURN {
                *sequence += 1;
                sink.deliver(&[data::frame(*sequence, batch.clone())]).await?;
                records += data::BATCH;
            }
            rates[beside as usize] += records as f64 / since.elapsed().as_secs_f64() / TURNS as f64;
            stop.store(true, Ordering::Relaxed);
            if let Some(running) = running {
                running.await??;
            }
        }
    }
    sink.flush().await?;
    Ok(Rates { rates, searches: searches.load(Ordering::Relaxed) })
}

/// Keeps all cores busy at the priority of searches, until it is stopped.
fn compute(stop: Arc<AtomicBool>) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let runtimes = reading::Runtimes::start()?;
    let answers = runtimes.answers.clone();
    Ok(answers.spawn(async move {
        // Threads inherit the priority of the one that starts them.
        let busy = |_| {
            let stop = stop.clone();
            thread::spawn(move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    number = black_box(number.wrapping_mul(3) + 1);
                }
            })
        };
        let threads: Vec<_> = (0..available_parallelism()?.get()).map(busy).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
        }
        drop(runtimes);
        Ok(())
    }))
}

/// Repeats a search that reads much, until it is stopped.
fn search(
    bench: &Bench,
    kind: &str,
    stop: Arc<AtomicBool>,
    searches: Arc<AtomicU64>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
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
