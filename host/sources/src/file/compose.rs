//! Makes a record of the text of a line.

use weir_record::{Composer, SyntaxError};

use super::options::Format;

/// Appends the record of a text. `piece` is the number of a piece of a line, or 0.
pub(super) fn compose(
    composer: &mut Composer<'_, '_>,
    format: Format,
    file: Option<(&str, &[u8])>,
    text: &[u8],
    piece: u32,
) -> Result<(), SyntaxError> {
    let is_object = format != Format::Text && piece == 0 && text.trim_ascii_start().starts_with(b"{");
    begin(composer, file);
    if is_object {
        match composer.json_object(text) {
            Err(error) if error.is_syntax() => {}
            read => return composer.end(read, || text.to_vec()),
        }
        begin(composer, file);
    }
    if format == Format::Json {
        return composer.reject("the line is not a JSON object".to_owned(), text.to_vec());
    }
    composer.message(text);
    let numbered = match piece {
        0 => Ok(()),
        piece => composer.entry(b"piece", |value| {
            value.uint(piece.into());
            Ok(())
        }),
    };
    composer.end(numbered, || text.to_vec())
}

fn begin(composer: &mut Composer<'_, '_>, file: Option<(&str, &[u8])>) {
    composer.begin();
    if let Some((key, path)) = file {
        // A path is shorter than any limit of a record; if not, the record has none.
        _ = composer.text(key, path);
    }
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
