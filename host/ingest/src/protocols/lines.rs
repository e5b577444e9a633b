//! Lines over TCP, Unix sockets or datagrams: a record each, JSON or text.
//!
//! A line that is a JSON object is a record with its entries, as on `/ingest`. Every other line is the message of a
//! record, also one that begins like JSON and is not.
//!
//! ```console
//! $ printf '{"level":"warn","message":"disk at 91 %"}\nplain text\n' | nc 127.0.0.1 5170
//! ```

use weir_record::{ComposeError, Composer};

use crate::sockets::{Framing, Kind, OneWay, SocketProtocol, Transport};

pub(crate) const SOCKET: SocketProtocol = SocketProtocol {
    name: "lines",
    summary: "lines of JSON or text, a record each",
    transports: &[Transport::Tcp, Transport::Tls, Transport::Unix, Transport::Udp, Transport::UnixDatagram],
    has_key: false,
    kind: Kind::OneWay(OneWay { framing: Framing::Lines, has_chunks: false, compose }),
};

fn compose(line: &[u8], _: i64, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let line = line.trim_ascii_end();
    if line.trim_ascii_start().starts_with(b"{") {
        match composer.json_object(line) {
            Err(error) if error.is_syntax() => composer.begin(),
            read => return read,
        }
    }
    composer.message(line);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::test_bodies::composed;

    #[test]
    fn objects_have_their_entries_and_everything_else_is_a_message() {
        let (records, bad) = composed(
            compose,
            &[
                br#"{"level":"warn","message":"m","n":1}"#,
                b"plain \xff\r",
                b"{not json",
                b" {\"message\":\"indented\"}",
            ],
        );
        assert!(bad.is_empty());
        let shown: Vec<_> =
            records.iter().map(|record| (record["level"].as_str(), record["message"].as_str())).collect();
        let info = Some("INFO");
        assert_eq!(
            shown,
            [
                (Some("WARNING"), Some("m")),
                (info, Some("plain \u{fffd}")),
                (info, Some("{not json")),
                (info, Some("indented"))
            ]
        );
        assert_eq!(records[0]["n"], 1);
    }

    #[test]
    fn an_object_that_is_too_deep_is_set_aside() {
        let deep = [b"{\"a\":".repeat(100), b"1".to_vec(), b"}".repeat(100)].concat();
        let (records, bad) = composed(compose, &[&deep]);
        assert_eq!((records.len(), bad.len()), (0, 1));
    }
}
