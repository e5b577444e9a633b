//! Errors of filters about their options, with positions in the file.

use std::path::Path;

use super::{in_short, variables};
use weir_document::Diagnostics;

use crate::config::{FilterError, FilterSettings, load_bytes};

/// Loads a text with filters that refuse their options.
fn refused(text: &str, refuse: impl Fn(&FilterSettings) -> Option<FilterError>) -> Diagnostics {
    load_bytes("weir.toml", Path::new(""), text.as_bytes(), &variables, &mut |_, filter| refuse(filter)).unwrap_err()
}

fn mistakes(all: &[&str]) -> Option<FilterError> {
    Some(FilterError::Options(all.iter().map(|text| (*text).to_owned()).collect()))
}

const TEXT: &str = r#"lisen = "x"
[[filter]]
name = "f"
module = "bundled:route"

[filter.options]
kyes = ["a"]
rates = { "a.b" = 2, c = "x" }

[[filter.options.rules]]
when = { source = "auth" }
[[filter.options.rules]]
when = { level = "LOUD" }
"#;

#[test]
fn filter_errors_are_shown_at_their_options() {
    let problems = refused(TEXT, |_| {
        mistakes(&[
            "unknown field `kyes`, expected one of `keys`, `rates`; did you mean `keys`?",
            "option `rates.a.b`: 2; a rate is 0 to 1",
            "option `rules[1].when.level`: it must be TRACE, DEBUG, …",
            "option `rules[0].routes` is missing",
            "option `hash_key` is missing",
            "they are all wrong",
        ])
    });
    assert_eq!(
        in_short(&problems),
        [
            "1:1 unknown key `lisen` at the top level",
            "6:9 filter `f`: option `hash_key` is missing",
            "6:9 filter `f`: they are all wrong",
            "7:1 filter `f`: unknown field `kyes`, expected one of `keys`, `rates`",
            "8:19 filter `f`: option `rates.a.b`: 2; a rate is 0 to 1",
            "10:1 filter `f`: option `rules[0].routes` is missing",
            "13:18 filter `f`: option `rules[1].when.level`: it must be TRACE, DEBUG, …",
        ]
    );
    let report = problems.to_string();
    assert!(report.contains("7 | kyes = [\"a\"]\n  | ^^^^ did you mean `keys`?"), "{report}");
}

#[test]
fn load_errors_are_shown_at_the_module_or_the_file() {
    let refuse = |_: &FilterSettings| Some(FilterError::Filter("no such file".into()));
    assert_eq!(in_short(&refused(TEXT.trim_start_matches("lisen = \"x\""), refuse)), ["4:10 no such file"]);
    assert_eq!(in_short(&refused("", refuse)), ["no such file"]);
}

#[test]
fn a_filter_with_an_invalid_table_is_not_checked() {
    for wrong in ["module = 'bundled:redct'", "module = 'bundled:redact'\noptions = { a = '${MISSING}' }"] {
        let problems = refused(&format!("[[filter]]\nname = 'f'\n{wrong}"), |_| mistakes(&["asked"]));
        assert_eq!(in_short(&problems).len(), 1, "{problems}");
    }
}

#[test]
fn option_values_from_the_environment_are_not_printed() {
    let text = "[[filter]]\nname = 'f'\nmodule = 'bundled:redact'\noptions = { patterns = ['${WORD}('] }";
    let problems = refused(text, |_| mistakes(&["option `patterns[0]`: `s3cret(` is no pattern"]));
    assert_eq!(in_short(&problems), ["4:25 filter `f`: option `patterns[0]`: `…` is no pattern"]);
}
