//! A message of a bus as a record: what it holds, and what the bus says about it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use weir_record::{ComposeError, Composer, SyntaxError};

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Format {
    Auto,
    Json,
    Msgpack,
    Text,
}

/// Adds the record of a message, or sets the message aside. `origin` adds the entries that say where it comes from.
pub(crate) fn compose(
    composer: &mut Composer<'_, '_>,
    format: Format,
    payload: &[u8],
    origin: impl FnOnce(&mut Composer<'_, '_>) -> Result<(), ComposeError>,
) -> Result<(), SyntaxError> {
    composer.begin();
    let composed = payload_of(composer, format, payload).and_then(|()| origin(composer));
    match composed {
        // Other messages don't depend on this one.
        Err(error) if error.is_syntax() => composer.reject(error.reason().to_owned(), payload.to_vec()),
        composed => composer.end(composed, || payload.to_vec()),
    }
}

fn payload_of(composer: &mut Composer<'_, '_>, format: Format, payload: &[u8]) -> Result<(), ComposeError> {
    match format {
        Format::Json => composer.json_object(payload),
        Format::Auto if is_object(payload) => match composer.json_object(payload) {
            Err(error) if error.is_syntax() => {
                composer.begin();
                composer.message(payload);
                Ok(())
            }
            read => read,
        },
        Format::Msgpack => map(composer, payload),
        Format::Auto if is_map(payload) => map(composer, payload),
        Format::Auto | Format::Text => {
            composer.message(payload);
            Ok(())
        }
    }
}

fn is_object(payload: &[u8]) -> bool {
    payload.trim_ascii_start().starts_with(b"{")
}

fn is_map(payload: &[u8]) -> bool {
    // With up to 15, up to 65,535, or more entries.
    matches!(payload.first(), Some(0x80..=0x8f | 0xde | 0xdf))
}

/// Whether it is a JSON object, or begins as a MessagePack map does.
pub(crate) fn holds_map(payload: &[u8]) -> bool {
    is_map(payload) || is_object(payload) && serde_json::from_slice::<IgnoredAny>(payload).is_ok()
}

fn map(composer: &mut Composer<'_, '_>, payload: &[u8]) -> Result<(), ComposeError> {
    match composer.msgpack_map(payload)? {
        length if length == payload.len() => Ok(()),
        _ => Err(ComposeError::syntax("expected nothing after the map")),
    }
}
