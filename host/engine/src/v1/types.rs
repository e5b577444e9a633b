//! The types of `wit/v1/filter.wit` in Rust: borrowed for the input of filters, owned for their output.
//!
//! Wasmtime checks them against a component's types when it is loaded, so a mismatch with the WIT is a load error and
//! never a misread value.
#![allow(unsafe_code, reason = "the derives implement unsafe traits of wasmtime, and check what they implement")]

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warning")]
    Warning,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl From<Level> for weir_record::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
            Level::Critical => Self::Critical,
        }
    }
}

impl From<weir_record::Level> for Level {
    fn from(level: weir_record::Level) -> Self {
        match level {
            weir_record::Level::Trace => Self::Trace,
            weir_record::Level::Debug => Self::Debug,
            weir_record::Level::Info => Self::Info,
            weir_record::Level::Warning => Self::Warning,
            weir_record::Level::Error => Self::Error,
            weir_record::Level::Critical => Self::Critical,
        }
    }
}

/// An input value.
#[derive(ComponentType, Lower, Clone, Copy, Debug, PartialEq)]
#[component(variant)]
pub(crate) enum ValueIn<'a> {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(&'a str),
    #[component(name = "binary")]
    Binary(&'a [u8]),
}

#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct FieldIn<'a> {
    pub path: &'a str,
    pub value: ValueIn<'a>,
}

#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct ViewIn<'a> {
    pub time: i64,
    pub level: Level,
    pub source: &'a str,
    pub message: &'a str,
    pub fields: &'a [FieldIn<'a>],
}

/// An output value.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq)]
#[component(variant)]
pub(crate) enum Value {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "binary")]
    Binary(Vec<u8>),
}

impl Value {
    /// Converts to a value of a record.
    pub fn as_record_value(&self) -> weir_record::Value<'_> {
        match self {
            Self::Null => weir_record::Value::Nil,
            Self::Boolean(value) => weir_record::Value::Bool(*value),
            Self::Integer(value) => weir_record::Value::Int(*value),
            Self::Float(value) => weir_record::Value::Float(*value),
            Self::Text(text) => weir_record::Value::Str(text),
            Self::Binary(bytes) => weir_record::Value::Bin(bytes),
        }
    }
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct Field {
    pub path: String,
    pub value: Value,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct View {
    pub time: i64,
    pub level: Level,
    pub source: String,
    pub message: String,
    pub fields: Vec<Field>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(crate) enum Change {
    #[component(name = "set")]
    Set(Field),
    #[component(name = "remove")]
    Remove(String),
    #[component(name = "level")]
    Level(Level),
    #[component(name = "message")]
    Message(String),
    #[component(name = "route")]
    Route(String),
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(variant)]
pub(crate) enum Verdict {
    #[component(name = "keep")]
    Keep,
    #[component(name = "drop")]
    Drop,
    #[component(name = "change")]
    Change(Vec<Change>),
    #[component(name = "expand")]
    Expand(Vec<View>),
}

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by the derived lifting alone")]
pub(crate) enum EncodingName {
    #[component(name = "msgpack")]
    Msgpack,
    #[component(name = "json")]
    Json,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct Output {
    pub verdicts: Vec<u8>,
    pub records: Vec<u8>,
}
