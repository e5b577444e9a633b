//! Files as bytes: encodings, line endings, size, depth, missing files.

use std::fmt::Write as _;
use std::path::Path;

use super::{bad, good, in_short, load_text, variables};
use crate::config::{limits, load};
use weir_document::limits::{MAX_DEPTH, MAX_FILE_BYTES, MAX_PROBLEMS};

#[test]
fn a_byte_order_mark_changes_neither_meaning_nor_columns() {
    assert_eq!(good("\u{feff}auto_load = true"), good("auto_load = true"));
    assert_eq!(in_short(&bad("\u{feff}auto_laod = true")), ["1:1 unknown key `auto_laod` at the top level"]);
}

#[test]
fn windows_line_endings_change_neither_meaning_nor_report() {
    assert_eq!(good("[http]\r\nlisten = \"[::1]:1\"\r\n"), good("[http]\nlisten = \"[::1]:1\"\n"));
    let report = bad("[http]\r\nlisten = 1\r\n").to_string();
    assert!(report.contains("weir.toml:2:10"), "{report}");
    assert!(!report.contains('\r') && !report.contains('\u{fffd}'), "{report}");
}

#[test]
fn invalid_utf8_is_refused_with_its_position() {
    let report = bad(b"data = \"a\"\n# caf\xe9 noir\n").to_string();
    assert_eq!(
        report,
        "error: the file is not UTF-8\n \
         --> weir.toml:2:6\n  \
         |\n\
         2 | # caf\u{fffd} noir\n  \
         |      ^\n\
         \n1 problem in weir.toml"
    );
}

#[test]
fn a_utf16_file_gets_a_hint() {
    let utf16: Vec<u8> = "\u{feff}data".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(bad(utf16).to_string().contains("save it as UTF-8"));
}

#[test]
fn empty_files_and_comments_mean_the_defaults() {
    let empty = good("");
    assert_eq!(empty, good("# nothing\n\n"));
    assert_eq!(empty.filters.len(), 1);
    let kinds: Vec<&str> = empty.sinks.iter().map(|sink| sink.kind.as_str()).collect();
    assert_eq!(kinds, ["console", "sqlite"]);
    assert!(!empty.auto_load);
}

#[test]
fn the_file_size_limit_is_inclusive() {
    let most = usize::try_from(MAX_FILE_BYTES).expect("a small number");
    good(vec![b'\n'; most]);
    assert_eq!(in_short(&bad(vec![b'\n'; most + 1])), ["the file is larger than 1MiB"]);
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    let deep = 200_000;
    let list = format!("a = {}{}", "[".repeat(deep), "]".repeat(deep));
    let table = format!("a = {}1{}", "{a=".repeat(deep), "}".repeat(deep));
    let dotted = format!("{}a = 1", "a.".repeat(deep));
    let header = format!("[{}a]", "a.".repeat(deep));
    for text in [list, table, dotted, header] {
        bad(text);
    }
}

#[test]
fn options_as_deep_as_allowed_are_kept_and_one_deeper_is_refused() {
    // The levels above the list: filter, its table, options.
    let options = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!("[[filter]]\nname = 'a'\nmodule = 'a.wasm'\noptions.x = {open}1{close}")
    };
    good(options(MAX_DEPTH - 4));
    assert_eq!(in_short(&bad(options(MAX_DEPTH - 3))).len(), 1, "one problem however deep it is");
}

#[test]
fn nested_headers_do_not_bypass_the_depth_limit() {
    let mut text = String::new();
    let mut name = "filter.options".to_owned();
    for _ in 0..60 {
        name.push_str(".a");
        _ = writeln!(text, "[{name}]");
    }
    bad(text);
}

#[test]
fn all_problems_are_counted_but_only_some_are_shown() {
    let mut text = String::new();
    for index in 0..MAX_PROBLEMS + 10 {
        _ = writeln!(text, "zzzz{index} = 1");
    }
    let problems = bad(text);
    assert_eq!(problems.iter().count(), MAX_PROBLEMS + 10);
    let report = problems.to_string();
    assert_eq!(report.matches("error:").count(), MAX_PROBLEMS);
    assert!(report.contains("… and 10 more"), "{report}");
}

#[test]
fn a_large_file_of_many_sections_is_read() {
    let mut text = String::new();
    for index in 0..limits::MAX_FILTERS {
        _ = writeln!(text, "[[filter]]\nname = 'f{index}'\nmodule = 'f.wasm'");
        _ = writeln!(text, "options.words = [{}]", "'abcdefgh', ".repeat(1000));
    }
    assert_eq!(good(&text).filters.len(), limits::MAX_FILTERS);
    text.push_str("[[filter]]\nname = 'more'\nmodule = 'f.wasm'");
    assert_eq!(bad(&text).iter().count(), 1);
}

#[test]
fn missing_files_and_folders_are_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("weir.toml");
    let report = load(&missing, &variables).expect_err("not there").to_string();
    assert!(report.contains("can't read") && report.contains("weir.toml"), "{report}");
    load(folder.path(), &variables).expect_err("a folder");
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    std::fs::write(&file, "data = 'd'\nfilters_folder = '/f'").expect("writable");
    let settings = load(&file, &variables).expect("a good file");
    assert_eq!(settings.data, folder.path().join("d"));
    assert_eq!(settings.filters_folder, Path::new("/f"));
    assert_eq!(settings.folder, folder.path());
}

#[test]
fn damaged_files_never_cause_a_panic() {
    let text = include_str!("../../../../../examples/config/environment.toml");
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).step_by(3).collect();
    for at in places {
        let (before, after) = text.split_at(at);
        let rest = after.chars().next().map_or("", |first| &after[first.len_utf8()..]);
        for put in ["", "\"", "[", "=", "\n", "é", "${", "\0"] {
            let damaged = format!("{before}{put}{rest}");
            if let Err(problems) = load_text(&damaged) {
                assert!(problems.render(true).contains("error"));
            }
        }
        if let Err(problems) = load_text(before) {
            assert!(problems.render(false).contains("error"));
        }
    }
}
