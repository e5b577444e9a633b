//! The exact report for each kind of error.

use super::{bad, in_short};

/// Expects this report, without its last line, for a text with one error.
#[track_caller]
fn expect(text: &str, report: &str) {
    let got = bad(text).to_string();
    let (body, count) = got.rsplit_once("\n\n").expect("a count at the end");
    assert_eq!(count, "1 problem in weir.toml", "{got}");
    assert_eq!(body, report.trim_matches('\n'), "{got}");
}

#[test]
fn a_misspelled_key_gets_a_suggestion() {
    expect(
        "[http]\nlisten = \"127.0.0.1:1\"\nmax_bdy = \"1MiB\"\n",
        r"
error: unknown key `max_bdy` in `[http]`
 --> weir.toml:3:1
  |
3 | max_bdy = 1MiB
  | ^^^^^^^ did you mean `max_body`?"
            .replace("= 1MiB", "= \"1MiB\"")
            .as_str(),
    );
}

#[test]
fn an_unknown_key_lists_the_allowed_keys() {
    expect(
        "[log]\ncolour = true",
        r"
error: unknown key `colour` in `[log]`
 --> weir.toml:2:1
  |
2 | colour = true
  | ^^^^^^
  |
  = help: allowed here: `format` and `level`",
    );
}

#[test]
fn a_misplaced_key_gets_a_hint_with_its_section() {
    expect(
        "max_body = 'x'",
        r"
error: unknown key `max_body` at the top level
 --> weir.toml:1:1
  |
1 | max_body = 'x'
  | ^^^^^^^^
  |
  = help: `max_body` is a key of `[http]`",
    );
    expect(
        "[journal]\nauto_load = true",
        r"
error: unknown key `auto_load` in `[journal]`
 --> weir.toml:2:1
  |
2 | auto_load = true
  | ^^^^^^^^^
  |
  = help: `auto_load` belongs at the top of the file, before the first `[section]`",
    );
}

#[test]
fn an_invalid_value_lists_the_allowed_values() {
    expect(
        "[journal]\nwhen_full = \"drop-oldest\"",
        r#"
error: `drop-oldest` is not one of the allowed values
 --> weir.toml:2:13
  |
2 | when_full = "drop-oldest"
  |             ^^^^^^^^^^^^^ did you mean `drop_oldest`?
  |
  = help: allowed are `refuse` and `drop_oldest`"#,
    );
}

#[test]
fn a_misspelled_sink_type_gets_a_suggestion() {
    let report = bad("[sink.a]\ntype = 'fil'\npath = 'x'").to_string();
    assert!(
        report.starts_with(
            "error: `fil` is not one of the allowed values\n \
             --> weir.toml:2:8\n  \
             |\n\
             2 | type = 'fil'\n  \
             |        ^^^^^ did you mean `file`?\n  \
             |\n  \
             = help: allowed are "
        ),
        "{report}"
    );
    for kind in weir_sinks::KINDS {
        assert!(report.contains(&format!("`{}`", kind.name)), "{report}");
    }
}

#[test]
fn a_misspelled_sink_option_is_not_also_reported_as_missing() {
    expect(
        "[sink.a]\ntype = 'file'\npth = 'x'",
        r"
error: unknown key `pth` in `[sink.a]`
 --> weir.toml:3:1
  |
3 | pth = '*'
  | ^^^ did you mean `path`?",
    );
}

#[test]
fn a_fallback_is_another_sink_and_a_chain_of_them_ends() {
    let sink = |name: &str, more: &str| format!("[sink.{name}]\ntype = 'console'\n{more}\n");
    let file = [sink("a", "fallback = 'b'"), sink("b", "fallback = 'c'"), sink("c", "fallback = 'b'")].concat();
    let circle = in_short(&bad(file));
    assert_eq!(circle.len(), 3, "{circle:?}");
    assert_eq!(circle[1], "6:12 fallbacks form a cycle: b → c → b");
    assert_eq!(in_short(&bad(sink("a", "fallback = 'a'"))), ["3:12 a sink can't be its own fallback"]);
    expect(
        &[sink("store", ""), sink("a", "fallback = 'stor'")].concat(),
        r"
error: there is no sink `stor` to fall back to
 --> weir.toml:6:12
  |
6 | fallback = 'stor'
  |            ^^^^^^
  |
  = help: did you mean `store`?",
    );
    let both = in_short(&bad(sink("a", "standby = true\nroutes = ['x']\nfallback_after = '1us'")));
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn missing_keys_are_reported_at_their_section() {
    assert_eq!(
        in_short(&bad("[[filter]]\nname = 'a'\n\n[sink.b]\n")),
        ["1:1 `module` is missing in `[[filter]]`", "4:1 `type` is missing in `[sink.b]`",]
    );
}

#[test]
fn a_wrong_type_shows_the_expected_type_and_an_example() {
    expect(
        "[[filter]]\nname = 'a'\nmodule = 'a.wasm'\ntimeout = 250",
        r#"
error: expected a string, found an integer
 --> weir.toml:4:11
  |
4 | timeout = 250
  |           ^^^
  |
  = help: for example `"250ms"`"#,
    );
    for (text, expected) in [
        ("http = 1", "1:8 expected a table, found an integer"),
        ("auto_load = 'yes'", "1:13 expected `true` or `false`, found a string"),
        ("data = ['a']", "1:8 expected a string, found a list"),
        ("data = 2026-11-20", "1:8 expected a string, found a date"),
        ("filter = {}", "1:10 expected a list, found a table"),
        ("filter = [1]", "1:11 expected a table, found an integer"),
        ("sink.a = 1", "1:10 expected a table, found an integer"),
        ("[log]\nlevel = 1", "2:9 expected a string, found an integer"),
        ("[http]\nmax_body = true", "2:12 expected a string or an integer, found a boolean"),
        ("[http]\nmax_connections = 1.5", "2:19 expected an integer, found a number"),
        ("[sink.a]\ntype = 'console'\nroutes = 'audit'", "3:10 expected a list, found a string"),
        ("[sink.a]\ntype = 'console'\nroutes = ['a', 1]", "3:16 expected a string, found an integer"),
    ] {
        assert_eq!(in_short(&bad(text)), [expected], "{text}");
    }
}

#[test]
fn invalid_values_are_refused_with_specific_messages() {
    let filter = |rest: &str| format!("[[filter]]\nname = 'a'\nmodule = 'a.wasm'\n{rest}");
    let module = |module: &str| format!("[[filter]]\nname = 'a'\nmodule = '{module}'");
    for (text, expected) in [
        ("[http]\nmax_body = '1XB'".into(), "2:12 `1XB` is not a size"),
        ("[http]\nmax_body = '99999999TiB'".into(), "2:12 `99999999TiB` is not a size"),
        ("[http]\nmax_body = 10".into(), "2:12 10B is too small"),
        ("[http]\nmax_body = -1".into(), "2:12 -1 is out of range: it must be at least 0"),
        ("[http]\nmax_connections = 0".into(), "2:19 0 is out of range: it must be from 1 to 1000000"),
        ("[http]\nbody_timeout = '0s'".into(), "2:16 0s is too short"),
        ("[http]\nheader_timeout = 'soon'".into(), "2:18 `soon` is not a duration"),
        ("[http]\nlisten = '8080'".into(), "2:10 `8080` is not an address to listen on"),
        ("[http]\nlisten = 'logs.example:80'".into(), "2:10 `logs.example:80` is not an address to listen on"),
        ("[http]\nlisten = '127.0.0.1:99999'".into(), "2:10 `127.0.0.1:99999` is not an address to listen on"),
        ("[http]\nallowed_origins = ['a.example']".into(), "2:20 `a.example` is not an origin"),
        ("[http]\nmax_body = '100MiB'".into(), "2:12 `max_decompressed` (64MiB) is smaller than `max_body` (100MiB)"),
        ("[journal]\nsync = 'sometimes'".into(), "2:8 `sometimes` is not a sync mode"),
        ("[journal]\nsync = '0ms'".into(), "2:8 0s is too short"),
        ("[journal]\nmax_size = '100MiB'".into(), "2:12 `max_size` (100MiB) is less than two segments of 64MiB"),
        ("[journal]\nsegment_size = '1KiB'".into(), "2:16 1KiB is too small"),
        ("[quarantine]\nmax_age = '0s'".into(), "2:11 0s is too short"),
        ("[ingest]\naliases = { sev = 'levl' }".into(), "2:19 `levl` is not one of the allowed values"),
        (
            "[ingest]\naliases = { level = 'source' }".into(),
            "2:21 alias `level` is a reserved key; choose another name",
        ),
        ("[ingest]\naliases = { '' = 'source' }".into(), "2:18 an alias can't be empty"),
        ("[ingest]\ndefault_source = ''".into(), "2:18 a source can't be empty"),
        ("data = ''".into(), "1:8 this is not the path of a folder"),
        ("data = 'x'\nfilters_folder = 'x'".into(), "2:18 the filters folder and the data folder are the same"),
        ("[[filter]]\nname = ''\nmodule = 'a.wasm'".into(), "2:8 the name of a filter can't be empty"),
        ("[[filter]]\nname = '../a'\nmodule = 'a.wasm'".into(), "2:8 `../a` can't be the name of a filter"),
        ("[sink.'a b']\ntype = 'console'".into(), "1:7 `a b` can't be the name of a sink"),
        ("[sink.'']\ntype = 'console'".into(), "1:7 the name of a sink can't be empty"),
        ("[sink.a]\ntype = 'console'\nroutes = []".into(), "3:10 this is empty"),
        ("[sink.a]\ntype = 'console'\nroutes = ['']".into(), "3:11 this is empty"),
        ("[sink.a]\ntype = 'console'\nmin_level = 'WARN'".into(), "3:13 `WARN` is not one of the allowed values"),
        (module("/lib/a.wasm"), "3:10 `/lib/a.wasm` is outside the filters folder"),
        (module("x/../../a.wasm"), "3:10 `x/../../a.wasm` is outside the filters folder"),
        (module("redact"), "3:10 `redact` is not the path of a `.wasm` file"),
        (module(""), "3:10 `` is not the path of a `.wasm` file"),
        (module("bundled:redct"), "3:10 there is no bundled filter `redct`"),
        (filter("memory = '8GiB'"), "4:10 8GiB is too large"),
        (filter("max_output = '1B'"), "4:14 1B is too small"),
        (filter("timeout = '2m'"), "4:11 2m is too long"),
        (filter("on_error = 'drop'"), "4:12 `drop` is not one of the allowed values"),
        (filter("options = { a = nan }"), "4:17 this is not a finite number"),
        (filter("options = { a = 0xffffffffffffffffff }"), "4:17 this integer does not fit into 64 bits"),
    ] {
        assert_eq!(in_short(&bad(text.as_bytes())), [expected], "{text}");
    }
}

#[test]
fn sink_errors_are_shown_at_the_option() {
    let problems = bad("[sink.a]\ntype = 'file'\npath = 'x'\nformat = 'text'\ntemplate = '{timestamp'");
    let short = in_short(&problems);
    assert!(short.len() == 1 && short[0].starts_with("5:12 sink `a`: "), "{short:?}");
}

#[test]
fn duplicate_filter_names_are_refused_at_the_second() {
    let filter = "[[filter]]\nname = 'a'\nmodule = 'a.wasm'\n";
    assert_eq!(in_short(&bad(filter.repeat(2))), ["5:8 two filters are named `a`"]);
}

#[test]
fn the_name_length_limit_is_inclusive() {
    let sink = |length: usize| format!("[sink.{}]\ntype = 'console'", "a".repeat(length));
    super::good(sink(64));
    assert_eq!(in_short(&bad(sink(65))), ["1:7 the name of this sink is too long"]);
}

#[test]
fn all_problems_are_found_in_one_run_in_line_order() {
    let text = r#"lisen = "x"
data = 5

[http]
listen = "here"
max_body = "1XB"
max_connections = "${WORD}"

[[filter]]
name = "redact"
module = "bundled:redct"
options = { deep = { key = "${MISSING}" } }

[[filter]]
nam = "redact"
module = "../x.wasm"

[sink.archive]
type = "sqlit"

[sink.files]
type = "file"
path = "x"
nonsense = 1
"#;
    assert_eq!(
        in_short(&bad(text)),
        [
            "1:1 unknown key `lisen` at the top level",
            "2:8 expected a string, found an integer",
            "5:10 `here` is not an address to listen on",
            "6:12 `1XB` is not a size",
            "7:19 expected an integer, found other text",
            "11:10 there is no bundled filter `redct`",
            "12:29 the environment variable `MISSING` is not set",
            "15:1 unknown key `nam` in `[[filter]]`",
            "16:10 `../x.wasm` is outside the filters folder",
            "19:8 `sqlit` is not one of the allowed values",
            "24:1 unknown key `nonsense` in `[sink.files]`",
        ]
    );
}

#[test]
fn unknown_keys_are_found_however_deep_and_in_inline_tables() {
    assert_eq!(
        in_short(&bad("http.listen = '127.0.0.1:1'\nhttp.tls.cert = 'x'\nlog = { levle = 'info' }")),
        ["2:6 unknown key `tls` in `[http]`", "3:9 unknown key `levle` in `[log]`",]
    );
}

#[test]
fn all_syntax_errors_are_reported_without_follow_up_errors() {
    let problems = bad("a = \nb = 'x\n[http\nc == 1\n");
    let short = in_short(&problems);
    assert!(short.len() >= 2, "{short:?}");
    assert!(short.iter().all(|line| line.contains("this is not TOML")), "{short:?}");
}

#[test]
fn duplicate_keys_are_reported_with_other_problems() {
    assert_eq!(
        in_short(&bad("data = 'a'\ndata = 'b'\nauto_laod = true")),
        ["2:1 `data` is set twice", "3:1 unknown key `auto_laod` at the top level",]
    );
}

#[test]
fn variables_are_expanded_in_values_only_and_a_missing_one_is_marked_in_its_string() {
    expect(
        "[http]\nlisten = \"127.0.0.1:${LISTEN_PORT}\"",
        r#"
error: the environment variable `LISTEN_PORT` is not set
 --> weir.toml:2:21
  |
2 | listen = "127.0.0.1:${LISTEN_PORT}"
  |                     ^^^^^^^^^^^^^^
  |
  = help: set it, or give a default: `${LISTEN_PORT:-default}`"#,
    );
    assert_eq!(in_short(&bad("'${WORD}' = 1")), ["1:1 unknown key `${WORD}` at the top level"]);
}

#[test]
fn values_from_the_environment_are_never_printed() {
    for text in [
        "[http]\nlisten = '${WORD}'",
        "[http]\nmax_body = '${WORD}'",
        "[http]\nmax_connections = '${WORD}'",
        "[journal]\nsync = '${WORD}'\nwhen_full = '${WORD}'",
        "[[filter]]\nname = '/${WORD}'\nmodule = '${WORD}'",
        "[[filter]]\nname = 'a'\nmodule = 'bundled:${WORD}'",
        "[[filter]]\nname = '${WORD}'\nmodule = 'a.wasm'\n[[filter]]\nname = '${WORD}'\nmodule = 'a.wasm'",
        "[sink.a]\ntype = '${WORD}'",
        "[sink.a]\ntype = 'file'\npath = '${WORD}{'",
        "[log]\nlevel = '${WORD}'",
    ] {
        let report = bad(text).to_string();
        assert!(!report.contains("s3cret"), "{report}");
    }
}

#[test]
fn long_lines_are_cut_around_the_mistake_and_control_characters_are_not_shown() {
    let text = format!("[log]\nlevel = '{}\u{7f}\u{202e}' # x", "é".repeat(500));
    // A control character in a comment or string is itself an error.
    let report = bad(text).to_string();
    assert!(!report.contains('\u{7f}') && !report.contains('\u{202e}'), "{report}");
    let text = format!("[sink]\na = {{ type = 'console', b{} = 1 }}", "x".repeat(400));
    let report = bad(text).to_string();
    let rows: Vec<&str> = report.lines().skip(1).take(4).collect();
    assert!(rows.iter().all(|row| row.chars().count() < 130), "{report}");
    assert!(rows[2].contains("..."), "{report}");
}

#[test]
fn colours_are_added_only_when_asked_for_and_change_no_word() {
    let problems = bad("lisen = 1");
    let coloured = problems.render(true);
    assert!(!problems.to_string().contains('\u{1b}'));
    assert!(coloured.starts_with("\u{1b}["), "{coloured:?}");
    let codes = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a regex");
    assert_eq!(codes.replace_all(&coloured, ""), problems.to_string());
}

#[test]
fn a_single_bracket_gets_a_hint() {
    expect(
        "[filter]\nname = 'redact'\nmodule = 'bundled:redact'",
        r"
error: expected a list, found a table
 --> weir.toml:1:1
  |
1 | [filter]
  | ^^^^^^^^
  |
  = help: write `[[filter]]`, with two brackets: each such table is one item of the list",
    );
    let twice = bad("[filter]\nname = 'a'\n[filter]\nname = 'b'").to_string();
    assert!(twice.contains("weir.toml:3:2") && twice.contains("write `[[filter]]`"), "{twice}");
    for text in ["[sink]\ntype = 'console'", "[[sink]]\ntype = 'console'"] {
        assert!(bad(text).to_string().contains("`[sink.NAME]`"), "{}", bad(text));
    }
}

#[test]
fn a_bare_port_gets_a_hint_and_localhost_is_accepted() {
    expect(
        "[http]\nlisten = ':8080'",
        r"
error: `:8080` is not an address to listen on
 --> weir.toml:2:10
  |
2 | listen = ':8080'
  |          ^^^^^^^
  |
  = help: write `127.0.0.1:8080` for this machine alone, or `0.0.0.0:8080` for all",
    );
    let settings = super::good("[http]\nlisten = 'localhost:8080'\n[quarantine]\nmax_age = '7 days'");
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.quarantine.max_age.as_secs(), 7 * 86_400);
}

#[test]
fn a_key_comes_from_one_place() {
    let text = "[encryption]\nkey = {}\nprevious_keys = [{ file = 'a', env = 'B' }, { file = 'x' }]\n";
    let wrong = "a key has either `file` or `env`";
    assert_eq!(in_short(&bad(text)), [format!("2:7 {wrong}"), format!("3:18 {wrong}")]);
}
