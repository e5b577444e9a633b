//! `weir erase`: erases records in the running router, or in the data folder if none is running.

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use anyhow::bail;
use serde_json::{Value, json};
use weir_api::{AuditEntry, Outcome};
use weir_ingest::client::{self, RunningRouter};

use crate::cli::EraseArgs;
use crate::commands::quarantine;
use crate::config::Settings;
use crate::erase::{Job, Request, erase_in_folder};
use crate::limits;

const PATH: &str = "/api/erase";

pub fn run(args: &EraseArgs) -> anyhow::Result<ExitCode> {
    let settings = quarantine::settings(&args.stored)?;
    let is_asked = !args.dry_run && !args.yes;
    if is_asked && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("nobody can be asked here; count with --dry-run, and erase with --yes");
    }
    if is_asked {
        eprint!("{}", shown(&erase(args, &settings, true)?));
        if !is_confirmed()? {
            bail!("nothing was erased");
        }
    }
    let report = erase(args, &settings, args.dry_run)?;
    match args.json {
        true => weir_terminal::json(&report)?,
        false => weir_terminal::text(&shown(&report))?,
    }
    Ok(if report["complete"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_confirmed() -> io::Result<bool> {
    eprint!("Erase them? This can't be undone. [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// In the data folder, unless a router runs there or an address is given.
fn erase(args: &EraseArgs, settings: &Settings, dry_run: bool) -> anyhow::Result<Value> {
    if args.running.address.is_none() {
        let request = Request { text: args.query.clone(), dry_run, all: args.all, within: args.within };
        let job = Job::new(request, Arc::<AtomicBool>::default())?;
        let begun = Instant::now();
        let watched = job.clone();
        let progress = move || (begun.elapsed().as_secs(), watched.doing(), watched.erasure.counted());
        let audit = |report: &Value| audit_entry(&job.text, report);
        if let Some(report) = with_progress(progress, || erase_in_folder(settings, &job, audit))? {
            return Ok(report);
        }
    }
    let within = format!("{}ns", args.within.as_nanos());
    let body = json!({ "query": args.query, "dry_run": dry_run, "all": args.all, "within": within });
    let router = args.running.router(settings)?;
    let patience = args.within + limits::ERASE_GRACE;
    let asked = router.clone();
    let report = with_progress(move || progress_of(&asked), || client::post_json(&router, PATH, &body, patience))?;
    Ok(report)
}

fn progress_of(router: &RunningRouter) -> (u64, String, u64) {
    let status = client::get_json(router, PATH).unwrap_or_default();
    let number = |key: &str| status[key].as_u64().unwrap_or_default();
    (number("seconds"), status["doing"].as_str().unwrap_or_default().to_owned(), number("records"))
}

/// Who erased what, without a router that could know.
fn audit_entry(query: &str, report: &Value) -> AuditEntry {
    let outcome = match report["complete"] == true {
        true => Outcome::Done,
        false => Outcome::Failed("some of it could not be done".to_owned()),
    };
    AuditEntry {
        who: Some(format!("user {} of this machine", rustix::process::getuid().as_raw())),
        address: Ipv4Addr::LOCALHOST.into(),
        act: "erase",
        about: query.to_owned(),
        outcome,
        details: report.clone(),
    }
}

/// Shows on a terminal how far long work is: seconds, what is being done, and records so far.
fn with_progress<T>(status: impl Fn() -> (u64, String, u64) + Send, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut is_shown = false;
            while is_done.recv_timeout(limits::ERASE_PROGRESS) == Err(RecvTimeoutError::Timeout) {
                let (seconds, doing, records) = status();
                // Over the same line each time.
                eprint!("\r\x1b[K{seconds} s, {records} records, {doing}; Ctrl-C stops it");
                // A terminal that can't be written to needs no progress.
                let _ = io::stderr().flush();
                is_shown = true;
            }
            if is_shown {
                eprint!("\r\x1b[K");
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}

/// One line for each place.
fn shown(report: &Value) -> String {
    let verb = if report["dry_run"] == true { "would erase" } else { "erased" };
    let mut lines = String::new();
    for place in report["places"].as_array().into_iter().flatten() {
        let name = place["place"].as_str().unwrap_or_default();
        let text = |key: &str| place[key].as_str();
        let line = match (place["erased"].as_u64(), text("out_of_reach"), text("failed")) {
            (Some(records), ..) => {
                let count = weir_terminal::count(records, "record", "records");
                format!("{verb} {count}{}", text("detail").map(|detail| format!(" {detail}")).unwrap_or_default())
            }
            (_, Some(reason), _) => format!("out of reach: {reason}"),
            (.., reason) => format!("failed: {}", reason.unwrap_or("for an unknown reason")),
        };
        lines.push_str(&format!("{name}: {line}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_line() {
        let report = json!({ "dry_run": false, "places": [
            { "place": "journal", "erased": 2, "detail": "in 1 segment" },
            { "place": "sink `store`", "erased": 1, "detail": null },
            { "place": "sink `alerts`", "out_of_reach": "erase them there" },
            { "place": "sink `team`", "failed": "it is down" },
        ]});
        let lines = [
            "journal: erased 2 records in 1 segment\n",
            "sink `store`: erased 1 record\n",
            "sink `alerts`: out of reach: erase them there\n",
            "sink `team`: failed: it is down\n",
        ];
        assert_eq!(shown(&report), lines.concat());
        assert!(
            shown(&json!({ "dry_run": true, "places": [{ "place": "journal", "erased": 0 }] }))
                .contains("would erase 0 records")
        );
    }
}
