//! Creates a filter from the operator's options, or reports all mistakes in them.
//!
//! The host passes the options as JSON, but the operator wrote TOML. So errors name the option by its path, without a
//! position in the JSON; Weir adds the line of the TOML. An error has one line for each mistake, so the operator can fix
//! all of them at once: an option that can't be read is removed and the rest is read again, until nothing is wrong.

mod nearest;
mod rest;

use std::fmt::Display;

use serde::de::DeserializeOwned;
use serde_path_to_error::Path;

use nearest::nearest;
use rest::PartialOptions;

/// Maximum number of mistakes in an error.
const MAX_MISTAKES: usize = 20;

/// An option that a filter can't use, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionError {
    option: String,
    problem: String,
}

impl OptionError {
    /// `option` is its path, such as `rules[2].when`; `problem` says what would be valid.
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        OptionError { option: option.into(), problem: problem.into() }
    }
}

impl Display for OptionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "option `{}`: {}", self.option, self.problem)
    }
}

impl std::error::Error for OptionError {}

/// Collects all mistakes in options, to report them at once.
///
/// ```
/// # use weir_guest::OptionErrors;
/// # fn pattern(_: &str) -> Result<(), String> { Err("option `pattern`: an open bracket".into()) }
/// let mut mistakes = OptionErrors::default();
/// let pattern = mistakes.check(pattern("("));
/// if 2 > 1 {
///     mistakes.add("option `rate`: 2; it must be 0 to 1");
/// }
/// let told = mistakes.finish().unwrap_err();
/// assert_eq!(told, "option `pattern`: an open bracket\noption `rate`: 2; it must be 0 to 1");
/// ```
#[derive(Debug, Default)]
pub struct OptionErrors(Vec<String>);

impl OptionErrors {
    /// Adds a mistake. Start it with the option: ``option `window`: …``.
    pub fn add(&mut self, mistake: impl Display) {
        let one_line = mistake.to_string().replace('\n', " ");
        if self.0.len() < MAX_MISTAKES && !self.0.contains(&one_line) {
            self.0.push(one_line);
        }
    }

    /// Returns the value of a result, or adds its error, which may contain several mistakes, one per line.
    pub fn check<T>(&mut self, part: Result<T, impl Display>) -> Option<T> {
        part.map_err(|error| error.to_string().lines().for_each(|line| self.add(line))).ok()
    }

    /// Returns an error with one line per mistake, if there are any.
    pub fn finish(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.join("\n")) }
    }
}

/// Creates a filter with options from a JSON object; `{}` means the defaults.
pub fn build<O, F>(json: &str, new: impl FnOnce(O) -> Result<F, String>) -> Result<F, String>
where
    O: DeserializeOwned + Default,
{
    if json.trim().is_empty() || json.trim() == "{}" {
        return new(O::default());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(options) => new(options),
        Err(first) => Err(all_mistakes(json, &first, new)),
    }
}

/// Finds the other mistakes, after the first one.
fn all_mistakes<O, F>(
    json: &str,
    first: &serde_path_to_error::Error<serde_json::Error>,
    new: impl FnOnce(O) -> Result<F, String>,
) -> String
where
    O: DeserializeOwned,
{
    let mut mistakes = OptionErrors::default();
    let mut left_out = Vec::new();
    let Ok(whole) = serde_json::from_str(json) else {
        return told(&path_text(first.path()), &first.inner().to_string());
    };
    let mut rest = PartialOptions::new(&whole);
    let mut can_go_on = note(&mut rest, first, &mut left_out, &mut mistakes);
    while can_go_on && mistakes.0.len() < MAX_MISTAKES {
        match serde_path_to_error::deserialize::<_, O>(rest.value()) {
            Err(error) => can_go_on = note(&mut rest, &error, &mut left_out, &mut mistakes),
            Ok(options) => {
                let more = new(options).err().unwrap_or_default();
                more.lines().filter(|line| !speaks_of(line, &left_out)).for_each(|line| mistakes.add(line));
                break;
            }
        }
    }
    mistakes.finish().err().unwrap_or_default()
}

/// Adds a mistake and removes its option; returns false if nothing can be read without it. `left_out` lists the options
/// that are missing for this reason from then on, which is not a mistake of its own.
fn note(
    rest: &mut PartialOptions<'_>,
    error: &serde_path_to_error::Error<serde_json::Error>,
    left_out: &mut Vec<String>,
    mistakes: &mut OptionErrors,
) -> bool {
    let reason = error.inner().to_string();
    let place = rest.place(error.path());
    if !(reason.starts_with("missing field") && speaks_of(&reason, left_out)) {
        mistakes.add(told(&place.to_string(), &reason));
    }
    left_out.extend(place.first_key().map(str::to_owned));
    left_out.extend(meant(&reason).filter(|option| !rest.has(option)).map(str::to_owned));
    rest.leave_out(place)
}

/// Whether a mistake is about an option that was given, but removed because of another one.
fn speaks_of(mistake: &str, left_out: &[String]) -> bool {
    left_out.iter().any(|option| mistake.split(['`', '.', '[']).any(|part| part == option))
}

fn path_text(path: &Path) -> String {
    match path.to_string().as_str() {
        "." | "?" => String::new(),
        path => path.to_owned(),
    }
}

/// Formats a mistake, with a suggestion.
fn told(path: &str, reason: &str) -> String {
    let reason = without_position(reason);
    let hint = meant(reason).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    match path {
        "" => format!("{reason}{hint}"),
        // An unknown option names itself.
        _ if reason.starts_with("unknown field") && !path.contains('.') => format!("{reason}{hint}"),
        path => format!("option `{path}`: {reason}{hint}"),
    }
}

/// Of the accepted words in serde's error, returns the one most similar to the wrong one.
fn meant(reason: &str) -> Option<&str> {
    let rest = reason.strip_prefix("unknown field `").or_else(|| reason.strip_prefix("unknown variant `"))?;
    let (wrong, right) = rest.split_once("`, expected ")?;
    nearest(wrong, right.split('`').skip(1).step_by(2))
}

fn without_position(reason: &str) -> &str {
    match reason.rfind(" at line ") {
        Some(at) if reason[at..].contains(" column ") => &reason[..at],
        _ => reason,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        colours: Vec<Colour>,
        rates: HashMap<String, f64>,
        rules: Vec<Rule>,
        window: Option<u64>,
        key: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[allow(dead_code, reason = "only its parsing is tested")]
        when: String,
    }

    fn mistakes(json: &str) -> Vec<String> {
        let new = |options: Options| {
            let mut mistakes = OptionErrors::default();
            if options.window.is_none_or(|window| window == 0) {
                mistakes.add("option `window`: it must be given, and more than 0");
            }
            if options.key.is_none() {
                mistakes.add("option `key` is missing: the window needs it");
            }
            mistakes.finish()
        };
        build(json, new).unwrap_err().lines().map(str::to_owned).collect()
    }

    #[test]
    fn mistakes_have_their_place_in_the_operators_options() {
        let told = mistakes(
            r#"{"colours": ["red", 7, "green", "gren"], "rates": {"a": "b", "c": 1}, "rules": [{"when": "x"}, {"wen": "y"}],
                "window": 0}"#,
        );
        let expected = [
            "option `colours[1]`: ",
            "option `colours[3]`: unknown variant `gren`, expected `red` or `green`; did you mean `green`?",
            "option `rates.a`: invalid type: string \"b\", expected f64",
            "option `rules[1].wen`: unknown field `wen`, expected `when`; did you mean `when`?",
            "option `window`: it must be given",
            "option `key` is missing",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for part in expected {
            assert!(told.iter().any(|line| line.starts_with(part)), "{part} is not in {told:#?}");
        }
    }

    #[test]
    fn consequences_of_a_mistake_are_not_reported() {
        let told = mistakes(r#"{"windw": 5, "key": "k"}"#);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("unknown field `windw`") && told[0].ends_with("did you mean `window`?"),
            "{told:?}"
        );
        assert_eq!(mistakes(r#"{"window": "5", "key": "k"}"#).len(), 1);
    }

    #[test]
    fn anything_but_an_object_is_one_mistake() {
        assert_eq!(mistakes("[").len(), 1);
        assert_eq!(mistakes("7").len(), 1);
    }

    #[test]
    fn the_number_of_reported_mistakes_is_limited() {
        let many: Vec<String> = (0..100).map(|n| format!("\"x{n}\": 1")).collect();
        assert_eq!(mistakes(&format!("{{{}}}", many.join(","))).len(), MAX_MISTAKES);
    }
}
