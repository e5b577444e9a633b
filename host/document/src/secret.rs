//! Secrets in files that people write: passwords, keys, tokens, and URLs and headers that may contain one.
//!
//! The type of a key is what makes it a secret: its schema has the format `password`, by which the checks of a file
//! recognise it. Then no message quotes its value, and reports hide it in the lines that they show.
//!
//! A secret is not wiped from memory: whoever needs it to connect again keeps it as long as it runs.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value as Json;

/// What is shown in place of a secret.
pub const HIDDEN: &str = "[secret]";

/// A secret. It can't be printed by accident: only [`Secret::expose`] shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, to give it to whom it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        // The original error quotes the value.
        String::deserialize(deserializer).map(Secret).map_err(|_| de::Error::custom("expected a string"))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password" })
    }
}

/// Whether the values of a schema are secrets.
pub fn is_secret(schema: &Json) -> bool {
    schema["format"] == "password"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_only_on_request() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").expect("a string");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(
            (format!("{:?}", Some(&secret)), serde_json::json!(secret)),
            ("Some([secret])".into(), HIDDEN.into())
        );
        let error = serde_json::from_str::<Secret>("471147").expect_err("a number").to_string();
        assert!(error.contains("expected a string") && !error.contains("471147"), "{error}");
        assert!(is_secret(&crate::schema_of::<Secret>()));
    }
}
