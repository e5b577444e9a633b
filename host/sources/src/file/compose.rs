//! Makes a record of the text of a line.

use weir_record::{ComposeError, Composer, SyntaxError};

use super::container::Found;
use super::options::Format;
use crate::text::{Line, content, object};

/// The field with the path of the file, and the path.
type File<'f> = Option<(&'f str, &'f [u8])>;

/// Appends the record of a text. `piece` is the number of a piece of a line, or 0.
pub(super) fn compose(
    composer: &mut Composer<'_, '_>,
    format: Format,
    file: File<'_>,
    text: &[u8],
    piece: u32,
) -> Result<(), SyntaxError> {
    let before = |composer: &mut Composer<'_, '_>| add_file(composer, file);
    composer.begin();
    let composed = match (format, piece) {
        (Format::Auto, 0) => content(composer, Line { text, is_partial: false }, before),
        (Format::Json, 0) => match before(composer).and_then(|()| object(composer, text, before)) {
            Ok(false) => return composer.reject("the line is not a JSON object".to_owned(), text.to_vec()),
            read => read.map(|_| ()),
        },
        (Format::Auto | Format::Text, piece) => before(composer).and_then(|()| message(composer, text, piece)),
        (Format::Json | Format::Docker | Format::Cri, _) => {
            return composer.reject("the line is longer than `max_line`".to_owned(), text.to_vec());
        }
    };
    composer.end(composed, || text.to_vec())
}

/// Appends the record of a line of a container.
pub(super) fn compose_found(
    composer: &mut Composer<'_, '_>,
    file: File<'_>,
    found: &Found<'_>,
) -> Result<(), SyntaxError> {
    let line = match found {
        Found::Line(line) => line,
        Found::Unknown(line) => {
            return composer.reject("the line is not an entry of this `format`".to_owned(), line.to_vec());
        }
    };
    let text = line.shown();
    if text.is_empty() {
        return Ok(());
    }
    composer.begin();
    let composed = content(composer, Line { text, is_partial: line.is_partial }, |composer| {
        add_file(composer, file)?;
        composer.text("stream", line.stream.name().as_bytes())
    });
    composer.fallback_time(line.at_ns);
    composer.end(composed, || text.to_vec())
}

fn message(composer: &mut Composer<'_, '_>, text: &[u8], piece: u32) -> Result<(), ComposeError> {
    composer.message(text);
    match piece {
        0 => Ok(()),
        piece => composer.entry(b"piece", |value| {
            value.uint(piece.into());
            Ok(())
        }),
    }
}

fn add_file(composer: &mut Composer<'_, '_>, file: File<'_>) -> Result<(), ComposeError> {
    if let Some((key, path)) = file {
        // A path is shorter than any limit of a record; if not, the record has none.
        _ = composer.text(key, path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weir_record::{Aliases, Batch, Defaults, Level, write_json};

    use super::*;

    fn records(format: Format, lines: &[(&[u8], u32)]) -> (Vec<Value>, usize) {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 0,
            source: "app",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        let mut composer = Composer::new(&defaults, &mut batch);
        for (line, piece) in lines {
            compose(&mut composer, format, Some(("file", b"/a.log")), line, *piece).expect("composed");
        }
        let bad = composer.finish().len();
        let records = batch.iter().map(|record| {
            let mut json = Vec::new();
            write_json(record, &mut json);
            let mut record: Value = serde_json::from_slice(&json).expect("JSON");
            let record = record.as_object_mut().expect("an object");
            record.remove("timestamp");
            record.remove("source");
            record.remove("level");
            Value::Object(record.clone())
        });
        (records.collect(), bad)
    }

    #[test]
    fn a_line_is_an_object_or_a_message() {
        let lines: [(&[u8], u32); 5] = [
            (br#"{"message":"m","n":1,"file":"own"}"#, 0),
            (b"  plain \xff", 0),
            (b"{not json", 0),
            (b"{\"a\":1} {\"b\":2}", 0),
            (b"{\"n\":1}", 2),
        ];
        let text = |message: &str| json!({"file": "/a.log", "message": message});
        let (auto, bad) = records(Format::Auto, &lines);
        assert_eq!(auto[0], json!({"message": "m", "n": 1, "file": "own"}));
        assert_eq!(auto[1..4], [text("  plain \u{fffd}"), text("{not json"), text("{\"a\":1} {\"b\":2}")]);
        assert_eq!(auto[4], json!({"file": "/a.log", "message": "{\"n\":1}", "piece": 2}));
        assert_eq!((auto.len(), bad), (5, 0));
        let (json, bad) = records(Format::Json, &lines);
        assert_eq!((json.len(), bad), (1, 4));
        let (texts, bad) = records(Format::Text, &lines);
        assert_eq!((texts.len(), bad), (5, 0));
        assert_eq!(texts[0], text(r#"{"message":"m","n":1,"file":"own"}"#));
    }
}
