//! The options and their validation.

use serde::Deserialize;
use serde_json::Value as Json;
use thiserror::Error;
use weir_guest::{Level, Path};

use crate::compile::{SchemaError, compile};
use crate::limits::{DEFAULT_ERRORS, MAX_ERRORS};
use crate::node::Schema;

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The schema: a table, or a string of JSON.
    pub schema: Option<Json>,
    /// The path of the value to validate; by default the whole record.
    pub field: Option<Path>,
    /// Whether `field` may be absent.
    pub optional: bool,
    /// What happens to an invalid record.
    pub on_fail: OnFail,
    /// The label to add.
    pub route: Option<String>,
    /// The level to set.
    pub level: Option<Level>,
    /// The path for the errors.
    pub errors: String,
    /// Maximum number of errors.
    pub max_errors: usize,
}

/// What happens to an invalid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// It goes on with the errors.
    Tag,
    /// It goes on with the errors and a label.
    Route,
    /// The filter fails it; Weir's `on_error` decides what follows.
    Reject,
    Drop,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            schema: None,
            field: None,
            optional: false,
            on_fail: OnFail::Tag,
            route: None,
            level: None,
            errors: "schema_errors".to_owned(),
            max_errors: DEFAULT_ERRORS,
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    #[error("option `schema`: it is required, as a table or as a string of JSON")]
    NoSchema,
    #[error("option `schema`: the text is not valid JSON: {0}")]
    NoJson(String),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("option `route`: on_fail = \"route\" needs the label, such as route = \"invalid\"")]
    NoRoute,
    #[error("option `{0}`: it is for records that go on; leave it out with on_fail = \"reject\" or \"drop\"")]
    Unused(&'static str),
    #[error("option `route`: it requires on_fail = \"route\"")]
    RouteOfTag,
    #[error("option `optional`: it requires a `field`, because the record itself is always there")]
    Optional,
    #[error("option `errors`: `{0}` is a reserved field; name another path, or \"\" for none")]
    Errors(String),
    #[error("option `max_errors`: {0}; it must be 1 to {MAX_ERRORS}")]
    MaxErrors(usize),
}

impl Options {
    /// Validates the options and compiles the schema.
    pub fn check(&self) -> Result<Schema, OptionError> {
        let goes_on = matches!(self.on_fail, OnFail::Tag | OnFail::Route);
        match self.on_fail {
            OnFail::Route if self.route.as_deref().unwrap_or_default().is_empty() => return Err(OptionError::NoRoute),
            OnFail::Tag if self.route.is_some() => return Err(OptionError::RouteOfTag),
            _ => {}
        }
        if !goes_on && self.route.is_some() {
            return Err(OptionError::Unused("route"));
        }
        if !goes_on && self.level.is_some() {
            return Err(OptionError::Unused("level"));
        }
        if self.optional && self.field.is_none() {
            return Err(OptionError::Optional);
        }
        if matches!(self.errors.as_str(), "timestamp" | "level" | "source" | "message" | "routes") {
            return Err(OptionError::Errors(self.errors.clone()));
        }
        if !(1..=MAX_ERRORS).contains(&self.max_errors) {
            return Err(OptionError::MaxErrors(self.max_errors));
        }
        match self.schema.as_ref().ok_or(OptionError::NoSchema)? {
            Json::String(text) => {
                let schema = serde_json::from_str(text).map_err(|error| OptionError::NoJson(error.to_string()))?;
                Ok(compile(&schema)?)
            }
            schema => Ok(compile(schema)?),
        }
    }
}
