//! Whole loads: a text in, settings or a report out.
//!
//! | file | what is tested |
//! |---|---|
//! | `mistakes` | the report for every kind of mistake, word by word |
//! | `files` | encodings, line ends, sizes and depths of files |
//! | `settings` | what right files mean |
//! | `changes` | the difference between two settings |
//! | `documents` | schema, examples and reference agree with the code |
//! | `refusals` | what filters have against their options, at its place |
//! | `hints` | what is right and can't have been meant |
//! | `reference` | the tables of that reference |

mod changes;
mod documents;
mod files;
mod hints;
mod mistakes;
mod reference;
mod refusals;
mod settings;

use std::path::Path;

use weir_document::Problems;

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

fn load_text(text: impl AsRef<[u8]>) -> Result<Settings, Problems> {
    load_bytes("weir.toml", Path::new("/etc/weir"), text.as_ref(), &variables, &mut |_, _| None)
}

#[track_caller]
fn good(text: impl AsRef<[u8]>) -> Settings {
    load_text(text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn bad(text: impl AsRef<[u8]>) -> Problems {
    match load_text(text) {
        Ok(settings) => panic!("this should have been refused: {settings:#?}"),
        Err(problems) => problems,
    }
}

/// `line:column message`, one for each problem.
fn in_short(problems: &Problems) -> Vec<String> {
    let short = |problem| match problems.position(problem) {
        Some((line, column)) => format!("{line}:{column} {}", problem.message()),
        None => problem.message().to_owned(),
    };
    problems.iter().map(short).collect()
}
