//! Sinks and options from the environment: `WEIR_SINKS=file,datadog` selects sinks if the file has none, and each sink
//! type has its usual variables (`DD_API_KEY`) for options that the file omits.

use serde_json::{Map, Value as Json};
use weir_sinks::Kind;

use weir_document::Environment;

/// The variables that select sinks; the first one that is set applies.
const CHOICE: [&str; 2] = ["WEIR_SINKS", "LOG_BACKENDS"];

/// Returns the sink types that the environment selects, without duplicates, and warnings.
pub(super) fn kinds(environment: Environment<'_>) -> (Vec<&'static Kind>, Vec<String>) {
    let given = CHOICE.iter().find_map(|name| Some((*name, environment(name).filter(|text| !text.trim().is_empty())?)));
    let Some((variable, text)) = given else { return Default::default() };
    let (mut kinds, mut warnings): (Vec<&Kind>, Vec<String>) = Default::default();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match weir_sinks::kind(&name.to_lowercase()) {
            Some(kind) if kinds.iter().any(|chosen| chosen.name == kind.name) => {}
            Some(kind) => kinds.push(kind),
            None => warnings.push(unknown(variable, name)),
        }
    }
    if kinds.is_empty() {
        warnings.push(format!("{variable} names no known sink; using the default sinks"));
    }
    (kinds, warnings)
}

fn unknown(variable: &str, name: &str) -> String {
    let known = || weir_sinks::KINDS.iter().map(|kind| kind.name);
    let hint = match weir_document::nearest(name, known()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("the sinks are {}", weir_document::list(known(), "and")),
    };
    format!("{variable}: unknown sink `{name}` is ignored; {hint}")
}

/// Fills in omitted options from their variables. Returns the values from the environment, since they may be secrets.
pub(super) fn fill(kind: &Kind, options: &mut Map<String, Json>, environment: Environment<'_>) -> Vec<String> {
    let mut taken = Vec::new();
    for variable in kind.variables {
        let given = || environment(variable.name).filter(|text| !text.is_empty());
        if options.contains_key(variable.option) {
            continue;
        }
        if let Some(text) = given() {
            let schema = (kind.schema)();
            options.insert(variable.option.to_owned(), typed(&text, &schema["properties"][variable.option]));
            taken.push(text);
        }
    }
    taken
}

/// Converts the text to the option's type: number, boolean, list or string. Text that doesn't parse stays a string, and
/// the sink reports it.
fn typed(text: &str, schema: &Json) -> Json {
    let is = |name: &str| match &schema["type"] {
        Json::String(only) => only == name,
        Json::Array(several) => several.iter().any(|one| one == name),
        _ => false,
    };
    let read = || serde_json::from_str::<Json>(text).ok();
    if is("array") {
        return text.split(',').map(|item| Json::from(item.trim())).collect();
    }
    match read() {
        Some(number @ Json::Number(_)) if is("integer") || is("number") => number,
        Some(switch @ Json::Bool(_)) if is("boolean") => switch,
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_sinks_are_skipped_with_a_warning() {
        let choose = |text: &'static str| kinds(&move |name| (name == "LOG_BACKENDS").then(|| text.to_owned()));
        let (chosen, warnings) = choose(" console, FILE ,,console,fiel,nonesuch ");
        assert_eq!(chosen.iter().map(|kind| kind.name).collect::<Vec<_>>(), ["console", "file"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("`fiel`") && warnings[0].contains("did you mean `file`"), "{warnings:?}");
        assert!(warnings[1].contains("`nonesuch`") && warnings[1].contains("sqlite"), "{warnings:?}");
        assert!(choose("").0.is_empty() && choose("").1.is_empty());
        let (none, warnings) = choose("x");
        assert!(none.is_empty() && warnings.len() == 2, "{warnings:?}");
        let (first, _) = kinds(&|name| Some(if name == "WEIR_SINKS" { "file" } else { "console" }.to_owned()));
        assert_eq!(first[0].name, "file");
    }

    #[test]
    fn text_is_converted_to_the_type_of_the_option() {
        let typed = |text: &str, kind: Json| typed(text, &serde_json::json!({ "type": kind }));
        assert_eq!(typed("5", "integer".into()), 5);
        assert_eq!(typed("5", "string".into()), "5");
        assert_eq!(typed("true", vec!["boolean", "null"].into()), true);
        assert_eq!(typed("a, b", vec!["array", "null"].into()), serde_json::json!(["a", "b"]));
        assert_eq!(typed("five", "integer".into()), "five");
    }
}
