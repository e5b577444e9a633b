//! `weir query`: records that a sink has stored. Works with and without a running router, since it reads what the sink has
//! written.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use weir_live::message::{CSV_HEAD, Names, write_csv, write_record};
use weir_query::Query;
use weir_query::search::{Hit, Place, Search};
use weir_record::Record;
use weir_record::time::now_ns;
use weir_sinks::{BuildContext, Clock, ConsoleStyle, Kind};

use crate::cli::{QueryArgs, QueryFormat};
use crate::commands::quarantine;
use crate::config::{Settings, SinkSettings};

/// Records that are read at a time.
const PAGE: usize = 1000;

/// How often a long search shows that it goes on.
const PROGRESS: Duration = Duration::from_secs(1);

pub fn run(args: &QueryArgs) -> anyhow::Result<()> {
    let query = Query::parse(&args.query.join(" "), now_ns())?;
    let settings = quarantine::settings(&args.stored)?;
    let search = search(&settings, args.sink.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.explain {
        let explained = runtime.block_on(search.explain(&query, args.records as usize))?;
        return Ok(weir_terminal::text(&explained)?);
    }
    let mut hits = runtime.block_on(with_progress(newest(&*search, &query, args.records as usize)))?;
    // As in a log, the newest comes last.
    hits.reverse();
    let mut out = Vec::new();
    if args.format == QueryFormat::Csv {
        out.extend_from_slice(CSV_HEAD.as_bytes());
    }
    let clock = if args.local { Clock::Local } else { Clock::Utc };
    let table = ConsoleStyle::human(weir_terminal::colours(), clock);
    for hit in &hits {
        let record = Record::new(&hit.record);
        match args.format {
            QueryFormat::Table => table.push(record, &mut out),
            QueryFormat::Csv => write_csv(&mut out, hit.id, record),
            QueryFormat::Json => {
                write_record(&mut out, hit.id, None, record, Names::Own);
                out.push(b'\n');
            }
        }
    }
    match io::stdout().lock().write_all(&out) {
        // The reader has seen enough, as in `weir query … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// The search of the sink with that name, or of the first one that can be searched, a database before files.
fn search(settings: &Settings, name: Option<&str>) -> anyhow::Result<Arc<dyn Search>> {
    let context =
        BuildContext { data: settings.data.clone(), base: settings.folder.clone(), ..BuildContext::default() };
    let open = |sink: &SinkSettings, kind: &Kind| {
        let search = kind.open_search(&sink.name, sink.options.clone(), &context);
        let search = search.with_context(|| format!("sink `{}` ({}) can't be searched", sink.name, kind.name))?;
        search.map_err(anyhow::Error::msg)
    };
    let mut kinds: Vec<_> =
        settings.sinks.iter().filter_map(|sink| Some((sink, weir_sinks::kind(&sink.kind)?))).collect();
    if let Some(name) = name {
        let found = kinds.into_iter().find(|(sink, _)| sink.name == name);
        let (sink, kind) = found.with_context(|| format!("there is no sink `{name}`; `weir sinks` lists them"))?;
        return open(sink, kind);
    }
    kinds.sort_by_key(|(_, kind)| kind.search_order());
    kinds.into_iter().find_map(|(sink, kind)| open(sink, kind).ok()).with_context(|| {
        "no sink can be searched; add one of type `sqlite` or `postgres`, or of type `file` with `format = \"json\"`"
    })
}

/// Says on a terminal that a long search goes on.
async fn with_progress<T>(search: impl Future<Output = T>) -> T {
    let mut search = std::pin::pin!(search);
    if !io::stderr().is_terminal() {
        return search.await;
    }
    let begun = Instant::now();
    let mut is_shown = false;
    loop {
        match tokio::time::timeout(PROGRESS, &mut search).await {
            Err(_) => {
                // Over the same line each time.
                eprint!("\rsearching for {} s; Ctrl-C stops it", begun.elapsed().as_secs());
                is_shown = true;
            }
            Ok(found) => {
                if is_shown {
                    eprint!("\r\x1b[K");
                }
                return found;
            }
        }
    }
}

/// The newest matching records, newest first.
async fn newest(search: &dyn Search, query: &Query, most: usize) -> anyhow::Result<Vec<Hit>> {
    let mut hits: Vec<Hit> = Vec::new();
    loop {
        let wanted = (most - hits.len()).min(PAGE);
        let before = hits.last().map(|hit| Place { timestamp_ns: Record::new(&hit.record).timestamp(), id: hit.id });
        let page = search.newest(query, before, wanted).await?;
        let is_last = page.len() < wanted;
        hits.extend(page);
        if is_last || hits.len() >= most {
            return Ok(hits);
        }
    }
}
