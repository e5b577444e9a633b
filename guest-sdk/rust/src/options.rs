//! Turning the operator's options into a filter's own type.
//!
//! The host hands over JSON; the operator wrote TOML. So errors name the option
//! by its path and leave out where it stood in the JSON.

use serde::de::DeserializeOwned;

/// Reads options from a JSON object; `{}` gives the default ones.
pub fn read<O: DeserializeOwned + Default>(json: &str) -> Result<O, String> {
    if json.trim().is_empty() || json.trim() == "{}" {
        return Ok(O::default());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let reason = without_position(&error.inner().to_string()).to_owned();
        match path.as_str() {
            "." | "?" => reason,
            // An unknown option names itself.
            _ if reason.starts_with("unknown field") && !path.contains('.') => reason,
            path => format!("option `{path}`: {reason}"),
        }
    })
}

fn without_position(reason: &str) -> &str {
    match reason.rfind(" at line ") {
        Some(at) if reason[at..].contains(" column ") => &reason[..at],
        _ => reason,
    }
}
