//! Tests of complete loads: from text to settings or a report.
//!
//! | file | tests |
//! |---|---|
//! | `listen` | listeners |
//! | `mistakes` | the exact report for every kind of error |
//! | `files` | encodings, line endings, size and depth of files |
//! | `settings` | the settings of valid files |
//! | `changes` | differences between settings |
//! | `documents` | schema, examples and reference match the code |
//! | `refusals` | errors of filters about their options, with positions |
//! | `hints` | warnings for valid but unintended settings |
//! | `reference` | the tables of the reference |

mod changes;
mod documents;
mod files;
mod hints;
mod listen;
mod mistakes;
mod reference;
mod refusals;
mod settings;

use std::path::Path;

use weir_document::Diagnostics;

use super::{Settings, load_bytes};

/// The environment of the tests.
fn variables(name: &str) -> Option<String> {
    let value = match name {
        "PORT" => "9000",
        "YES" => "true",
        "COUNT" => "12",
        "WORD" => "s3cret",
        "TOML" => "x\"\nauto_load = true\n[sink.evil]\ntype = \"console\"\n#",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load_text(text: impl AsRef<[u8]>) -> Result<Settings, Diagnostics> {
    load_bytes("weir.toml", Path::new("/etc/weir"), text.as_ref(), &variables, &mut |_, _| None)
}

#[track_caller]
fn good(text: impl AsRef<[u8]>) -> Settings {
    load_text(text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn bad(text: impl AsRef<[u8]>) -> Diagnostics {
    match load_text(text) {
        Ok(settings) => panic!("this should have been refused: {settings:#?}"),
        Err(problems) => problems,
    }
}

/// `line:column message`, one for each problem.
fn in_short(problems: &Diagnostics) -> Vec<String> {
    let short = |problem| match problems.position(problem) {
        Some((line, column)) => format!("{line}:{column} {}", problem.message()),
        None => problem.message().to_owned(),
    };
    problems.iter().map(short).collect()
}
