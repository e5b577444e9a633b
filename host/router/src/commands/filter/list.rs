//! `weir filter list`: each filter with its rights and imports and, if the router is running, its memory and busy time.

use std::process::ExitCode;

use serde_json::Value;
use weir_engine::{Filter, Right};
use weir_record::escape::escaped;

use crate::cli::FilterListArgs;
use crate::commands::run;
use crate::filters::{self, DesiredFilter};
use crate::versions::{History, Versions, short};
use weir_filter_kit::loader::Loader;
use weir_ingest::client;

/// Indentation of the details below a filter.
const INDENT: usize = 17;

/// Loads and describes every filter.
pub fn run(args: &FilterListArgs) -> anyhow::Result<ExitCode> {
    let settings = run::settings(&args.setup.run_args())?;
    let loader = Loader::start()?;
    let router = args.running.router(&settings)?;
    let running = client::get_json(&router, "/health");
    let versions = Versions::of(&settings.data);
    let mut code = ExitCode::SUCCESS;
    for wanted in filters::wanted(&settings) {
        let name = &wanted.spec.name;
        let loaded = wanted.source.read().and_then(|bytes| match loader.engine.load(&wanted.spec, &bytes) {
            Ok(filter) => Ok((filter, signed_by(&bytes))),
            Err(error) => Err(error.to_string()),
        });
        match loaded {
            Ok((filter, signer)) => {
                weir_terminal::text(&about(&filter, &wanted, signer.as_deref()))?;
                weir_terminal::text(&pinned(&versions, name, filter.digest()))?;
                if let Ok(health) = &running {
                    weir_terminal::text(&format!("{:INDENT$}{}\n", "", live(&filter, health)))?;
                }
                if args.versions {
                    weir_terminal::text(&history(&versions.history(name)))?;
                }
            }
            Err(reason) => {
                code = ExitCode::FAILURE;
                weir_terminal::text(&format!("{name:<16} can't be loaded: {reason}\n"))?;
            }
        }
    }
    for path in filters::unused(&settings) {
        let lines = filters::lines_to_use(&path).join(&format!("\n{:INDENT$}  ", ""));
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        weir_terminal::text(&format!("{file:<16} not used: no [[filter]] names it; add\n{:INDENT$}  {lines}\n", ""))?;
    }
    if let Err(error) = &running {
        weir_terminal::text(&format!("\nmemory and busy time are unknown: {error:#}\n"))?;
    }
    if args.setup.stored.config.is_none() {
        let others: Vec<_> = weir_filter_kit::bundled::names().collect();
        weir_terminal::text(&format!("\nbundled: {}\n", others.join(", ")))?;
    }
    Ok(code)
}

/// The description from the module and the configuration.
fn about(filter: &Filter, wanted: &DesiredFilter, signer: Option<&str>) -> String {
    let (about, rights) = (filter.description(), filter.rights());
    let lines = [
        format!("from {}, sha256 {}{}", wanted.source, short(filter.digest()), signer.unwrap_or_default()),
        format!("sees {}; may change {}", paths(&rights.reads), paths(&rights.writes)),
        format!("imports {}", imports(filter.imports())),
    ];
    let head = format!("{:<16} {:<8} {:<22} {}\n", filter.name(), about.version, filter.world(), about.description);
    lines.iter().fold(head, |text, line| format!("{text}{:INDENT$}{line}\n", ""))
}

/// Who signed a module, if it is signed.
fn signed_by(module: &[u8]) -> Option<String> {
    Some(match weir_engine::signer(module)? {
        Ok(key) => format!(", signed by {key}"),
        Err(key) => format!(", changed after it was signed by {key}"),
    })
}

/// The version that a pin runs instead, if there is one.
fn pinned(versions: &Versions, name: &str, digest: &str) -> String {
    match versions.pin(name).filter(|pin| pin.instead_of == digest) {
        None => String::new(),
        Some(pin) => {
            let run = short(&pin.run);
            format!("{:INDENT$}not running: sha256 {run} runs instead, by {}: {}\n", "", pin.by, pin.why)
        }
    }
}

/// The version history, newest first.
fn history(history: &History) -> String {
    let lines = history.versions.iter().rev().enumerate().map(|(age, kept)| {
        let digest = short(&kept.digest);
        let mark = if age == 0 { "*" } else { " " };
        format!("{:INDENT$}{mark} {digest}  {:<8} {}  by {}\n", "", kept.version, kept.when, kept.by)
    });
    lines.collect()
}

fn paths(right: &Right) -> String {
    match &right.paths {
        None => "everything".to_owned(),
        Some(paths) if paths.is_empty() => "nothing".to_owned(),
        Some(paths) if right.is_enforced => escaped(&paths.join(", ")).into_owned(),
        Some(paths) => format!("{} (declared by the filter)", escaped(&paths.join(", "))),
    }
}

/// Groups the imported functions by interface.
fn imports(functions: Vec<String>) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for import in functions {
        let (interface, function) = import.split_once(' ').unwrap_or((&import, ""));
        if interface == last {
            text.push_str(&format!(", {function}"));
        } else {
            let between = if text.is_empty() { "" } else { "; " };
            text.push_str(&format!("{between}{interface} {function}"));
            interface.clone_into(&mut last);
        }
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// The state of the filter in the running router.
fn live(filter: &Filter, health: &Value) -> String {
    let none = Vec::new();
    let all = health["filters"].as_array().unwrap_or(&none);
    let Some(running) = all.iter().find(|running| running["name"] == filter.name()) else {
        return "the router runs no filter with this name".to_owned();
    };
    let busy = |running: &Value| running["busy_seconds"].as_f64().unwrap_or_default();
    let all_busy: f64 = all.iter().map(busy).sum();
    let share = if all_busy > 0.0 { 100.0 * busy(running) / all_busy } else { 0.0 };
    let mut text = format!(
        "{} in {} instances; busy for {:.3} s, {share:.0} % of the time of all filters; {}",
        weir_terminal::size(running["memory_bytes"].as_u64().unwrap_or_default()),
        running["instances"],
        busy(running),
        running["state"].as_str().unwrap_or("state unknown"),
    );
    if running["digest"] != filter.digest() {
        text.push_str(&format!("; the router runs another version, sha256 {}", shown(&running["digest"])));
    }
    let trial = &running["trial"];
    if trial.is_object() {
        let word = |key: &str| trial[key].as_str().unwrap_or_default();
        text.push_str(&format!(
            "\n{:INDENT$}on trial until {}: {}, sha256 {}; so far {}",
            "",
            word("until"),
            word("version"),
            shown(&trial["digest"]),
            word("so_far"),
        ));
    }
    text
}

fn shown(digest: &Value) -> &str {
    short(digest.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_grouped_by_interface() {
        assert_eq!(imports(vec![]), "nothing");
        let names = ["a:b/host log", "a:b/host now", "wasi:clocks/wall now"].map(str::to_owned);
        assert_eq!(imports(names.to_vec()), "a:b/host log, now; wasi:clocks/wall now");
    }

    #[test]
    fn unenforced_rights_are_marked_as_declared() {
        let right = |paths: Option<&[&str]>, is_enforced| Right {
            paths: paths.map(|paths| paths.iter().map(|path| (*path).to_owned()).collect()),
            is_enforced,
        };
        assert_eq!(paths(&right(None, false)), "everything");
        assert_eq!(paths(&right(Some(&[]), true)), "nothing");
        assert_eq!(paths(&right(Some(&["a", "b.*"]), true)), "a, b.*");
        assert_eq!(paths(&right(Some(&["a"]), false)), "a (declared by the filter)");
        assert_eq!(paths(&right(Some(&["\u{1b}[2J"]), false)), "\\x1b[2J (declared by the filter)");
    }
}
