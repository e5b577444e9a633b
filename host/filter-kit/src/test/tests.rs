//! Files of cases: their content, and the errors of invalid ones.

use super::cases::{Cases, keys, parse};
use super::run::Verdict;
use weir_document::Syntax;

fn good(toml: &str) -> Cases {
    parse("cases.toml", toml.as_bytes(), Syntax::Toml).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The errors, without the quoted source.
fn wrong(toml: &str) -> Vec<String> {
    let problems = parse("cases.toml", toml.as_bytes(), Syntax::Toml).expect_err("it should have been refused");
    let place = |problem| problems.position(problem).map_or(0, |(line, _)| line);
    problems.iter().map(|problem| format!("{} {}", place(problem), problem.message())).collect()
}

#[test]
fn cases_have_line_numbers_and_canonical_records() {
    let cases = good(
        "[options]\nmask = \"x\"\n\n[[case]]\nname = \"one\"\nrecords = [{ msg = \"hi\", severity = \"warn\", n = 1.5 }]\n\
         verdicts = [\"change\"]\n[[case]]\nname = \"two\"\nerror = \"mask\"\n[case.options]\nmask = 1\n",
    );
    assert_eq!(cases.options["mask"], "x");
    assert_eq!(cases.cases.iter().map(|case| case.line).collect::<Vec<_>>(), [4, 8]);
    let record = cases.cases[0].records.record(0);
    assert_eq!((record.message(), record.level().as_str(), record.source()), ("hi", "WARNING", "test"));
    assert_eq!(record.get("n").and_then(|n| n.as_f64()), Some(1.5));
    assert_eq!(cases.cases[0].verdicts, Some(vec![Verdict::Change]));
    assert_eq!(cases.cases[1].options["mask"], 1);
}

#[test]
fn json_cases_keep_null_and_large_numbers() {
    let json = br#"{"options": {"mask": "x"}, "case": [
        {"name": "one", "records": [{"message": "hi", "n": 18446744073709551615, "no": null}], "expect": [{"no": null}]}
    ]}"#;
    let cases = parse("cases.json", json, Syntax::Json).unwrap_or_else(|problems| panic!("{problems}"));
    let case = &cases.cases[0];
    assert_eq!((case.line, case.expect.as_deref()), (2, Some(&[serde_json::json!({ "no": null })][..])));
    let record = case.records.record(0);
    assert_eq!(record.get("n"), Some(weir_record::Value::UInt(u64::MAX)));
    assert_eq!(record.get("no"), Some(weir_record::Value::Nil));
}

#[test]
fn invalid_cases_are_refused_with_their_line() {
    assert_eq!(wrong(""), ["0 there are no cases"]);
    assert_eq!(wrong("[[case]]\nrecords = [{}]\n"), ["1 `name` is missing in `[[case]]`"]);
    assert_eq!(wrong("[[case]]\nname = \"a\"\n"), ["1 the case `a` has no records"]);
    assert_eq!(
        wrong("[[case]]\nname = \"a\"\nrecords = [{}, {}]\nverdicts = [\"keep\"]\n"),
        ["4 there are 1 verdicts on 2 records; give one for each, in order"]
    );
    assert_eq!(
        wrong("[[case]]\nname = \"a\"\nrecords = [{}]\nexact = true\nafter = \"1s\"\n"),
        ["4 `exact` has no effect here", "5 `after` has no effect here"]
    );
    assert_eq!(
        wrong("[[case]]\nname = \"a\"\nrecords = [{}]\n[[case]]\nname = \"a\"\nrecords = [{}]\n"),
        ["5 the case of line 1 has this name too"]
    );
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let found = wrong(&format!("[[case]]\nname = \"a\"\nrecords = [{{ a = {deep} }}]\n"));
    assert!(found.len() == 1 && found[0].contains("deep"), "{found:?}");
}

#[test]
fn every_key_is_in_the_documentation() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../filters/README.md");
    let text = std::fs::read_to_string(path).expect("the README of the filters");
    assert!(keys().len() > 10);
    for key in keys() {
        assert!(text.contains(&format!("| `{key}` | ")), "`{key}` is in no table of filters/README.md");
    }
}
