//! The packets of MQTT 3.1.1 and 5 that a subscriber sends and gets.
//!
//! What a server sends is not trusted: lengths are checked against the bytes that are there, and of a packet beyond the
//! limit the rest is left out, so that no message can stop the source.

use super::bytes::{Malformed, Reader, text, variable};
use crate::limits;

/// The version of the protocol, as its number in a CONNECT packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1.1.
    V4 = 4,
    V5 = 5,
}

/// What a CONNECT packet says.
pub(super) struct Connect<'a> {
    pub client: &'a str,
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
    /// How long the server keeps the session without a connection, in seconds; version 5 only.
    pub session_seconds: u32,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// The answer to CONNECT.
    Accepted {
        has_session: bool,
        keep_alive_seconds: Option<u16>,
    },
    /// It refuses the connection, or ends it.
    Refused(String),
    Publish(Message),
    /// The answer to SUBSCRIBE, one result for each topic.
    Subscribed(Vec<Result<(), String>>),
    /// The answer to UNSUBSCRIBE.
    Unsubscribed,
    Pong,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub topic: String,
    /// To acknowledge it; none if it was published with QoS 0.
    pub id: Option<u16>,
    /// The server kept it for those who subscribe later.
    pub is_retained: bool,
    pub payload: Vec<u8>,
}

impl Message {
    /// Its size.
    pub fn byte_len(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

const SESSION_EXPIRY: u8 = 0x11;
const SERVER_KEEP_ALIVE: u8 = 0x13;
const REASON: u8 = 0x1f;
const RECEIVE_MAXIMUM: u8 = 0x21;

impl Version {
    pub fn connect(self, connect: &Connect<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, b"MQTT");
        body.push(self as u8);
        // A session that outlives the connection: no flag for a clean one.
        let flags = u8::from(connect.user.is_some()) << 7 | u8::from(connect.password.is_some()) << 6;
        body.push(flags);
        body.extend(limits::MQTT_KEEP_ALIVE_SECONDS.to_be_bytes());
        if self == Version::V5 {
            let mut properties = vec![SESSION_EXPIRY];
            properties.extend(connect.session_seconds.to_be_bytes());
            properties.push(RECEIVE_MAXIMUM);
            properties.extend(limits::MQTT_IN_FLIGHT.to_be_bytes());
            variable(&mut body, properties.len());
            body.extend(properties);
        }
        text(&mut body, connect.client.as_bytes());
        connect.user.into_iter().chain(connect.password).for_each(|part| text(&mut body, part.as_bytes()));
        packet(0x10, &body)
    }

    /// Subscribes with QoS 1. In version 5, retained messages are sent only for subscriptions that are new.
    pub fn subscribe(self, id: u16, topics: &[String]) -> Vec<u8> {
        let options = if self == Version::V5 { 0x11 } else { 1 };
        self.about_topics(0x82, id, topics, Some(options))
    }

    pub fn unsubscribe(self, id: u16, topics: &[String]) -> Vec<u8> {
        self.about_topics(0xa2, id, topics, None)
    }

    fn about_topics(self, kind: u8, id: u16, topics: &[String], options: Option<u8>) -> Vec<u8> {
        let mut body = id.to_be_bytes().to_vec();
        if self == Version::V5 {
            body.push(0);
        }
        for topic in topics {
            text(&mut body, topic.as_bytes());
            body.extend(options);
        }
        packet(kind, &body)
    }

    /// Reads the body of a packet.
    pub fn read(self, first: u8, body: &[u8]) -> Result<Packet, Malformed> {
        let mut body = Reader(body);
        match first >> 4 {
            2 => self.read_connack(body),
            3 => self.read_publish(first, body).map(Packet::Publish),
            9 => {
                self.skip_acknowledged(&mut body)?;
                let result = |code: &u8| if *code < 0x80 { Ok(()) } else { Err(reason(*code)) };
                Ok(Packet::Subscribed(body.0.iter().map(result).collect()))
            }
            11 => Ok(Packet::Unsubscribed),
            13 => Ok(Packet::Pong),
            14 => {
                let code = body.0.first().copied().unwrap_or(0);
                _ = body.take(1);
                Ok(Packet::Refused(with_text(reason(code), property(body.properties().unwrap_or(&[]), REASON))))
            }
            _ => Err(Malformed),
        }
    }

    fn read_connack(self, mut body: Reader<'_>) -> Result<Packet, Malformed> {
        let &[flags, code] = body.take(2)? else { return Err(Malformed) };
        // A server that knows only 3.1.1 answers in its way.
        let properties = if body.0.is_empty() { &[] } else { body.properties()? };
        if code == 0 {
            let keep_alive = property(properties, SERVER_KEEP_ALIVE);
            let keep_alive_seconds = keep_alive.and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes);
            return Ok(Packet::Accepted { has_session: flags & 1 == 1, keep_alive_seconds });
        }
        let code = match code {
            1 => 0x84,
            2 => 0x85,
            3 => 0x88,
            4 => 0x86,
            5 => 0x87,
            code => code,
        };
        Ok(Packet::Refused(with_text(reason(code), property(properties, REASON))))
    }

    fn read_publish(self, first: u8, mut body: Reader<'_>) -> Result<Message, Malformed> {
        let topic = String::from_utf8_lossy(body.text()?).into_owned();
        let id = if first & 6 == 0 { None } else { Some(body.u16()?) };
        if self == Version::V5 {
            body.properties()?;
        }
        Ok(Message { topic, id, is_retained: first & 1 == 1, payload: body.0.to_vec() })
    }

    fn skip_acknowledged(self, body: &mut Reader<'_>) -> Result<(), Malformed> {
        body.u16()?;
        if self == Version::V5 {
            body.properties()?;
        }
        Ok(())
    }
}

/// Acknowledges a message.
pub(super) fn acknowledgement(id: u16) -> [u8; 4] {
    let [high, low] = id.to_be_bytes();
    [0x40, 2, high, low]
}

pub(super) const PING: [u8; 2] = [0xc0, 0];
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    variable(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

/// The value of a property, if it is there before one that is unknown.
fn property(properties: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = Reader(properties);
    loop {
        let id = rest.take(1).ok()?[0];
        let value = match id {
            0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => rest.take(1),
            0x13 | 0x21..=0x23 => rest.take(2),
            0x11 | 0x27 => rest.take(4),
            0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => rest.text(),
            0x26 => rest.text().and_then(|_| rest.text()),
            _ => return None,
        };
        match value {
            Ok(value) if id == wanted => return Some(value),
            Ok(_) => {}
            Err(Malformed) => return None,
        }
    }
}

fn with_text(reason: String, text: Option<&[u8]>) -> String {
    match text.map(String::from_utf8_lossy) {
        Some(text) if !text.is_empty() => format!("{reason} ({text})"),
        _ => reason,
    }
}

/// What a code means, and what to do.
fn reason(code: u8) -> String {
    let text = match code {
        0 => "it closed the connection",
        0x80 => "it refuses without a reason",
        0x81 | 0x82 => "it found an error in the protocol",
        0x84 => "it does not speak this version of MQTT; set `version = 4` for MQTT 3.1.1",
        0x85 => "it does not accept the client id; set another with `client`",
        0x86 => "wrong user or password; check `user` and `password`",
        0x87 => "not authorised; check `user`, `password` and what the user may read",
        0x88 | 0x89 => "it is not available",
        0x8a => "this client is banned",
        0x8b => "it is shutting down",
        0x8d => "it got no sign of life in time",
        0x8e => "another client has the same id; each router needs a `client` of its own",
        0x8f => "it does not accept the name of the topic",
        0x91 => "the id of a packet is in use",
        0x97 => "a quota is exceeded",
        0x98 => "an administrator ended the connection",
        0x9c | 0x9d => "it wants another server to be used",
        0x9e => "it has no shared subscriptions",
        0xa2 => "it has no subscriptions with wildcards",
        _ => return format!("reason code {code:#04x}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::bytes::Arrived;

    fn packets(version: Version, bytes: &[u8], step: usize) -> Vec<Packet> {
        let (mut arrived, mut found) = (Arrived::default(), Vec::new());
        for piece in bytes.chunks(step) {
            arrived.bytes.extend_from_slice(piece);
            while let Some(packet) = arrived.next(version).expect("well-formed") {
                found.push(packet);
            }
        }
        assert!(arrived.bytes.is_empty());
        found
    }

    fn message(topic: &str, id: Option<u16>, payload: &[u8]) -> Packet {
        Packet::Publish(Message { topic: topic.into(), id, is_retained: false, payload: payload.into() })
    }

    #[test]
    fn packets_are_the_same_wherever_the_bytes_are_cut() {
        let bytes = [
            &[0x20, 2, 1, 0][..],
            &[0x90, 4, 0, 7, 1, 0x80],
            &[0x32, 8, 0, 3, b'a', b'/', b'b', 1, 2, b'x'],
            &[0xd0, 0, 0xb0, 2, 0, 8],
            &[0x31, 4, 0, 1, b't', b'y'],
        ]
        .concat();
        let due = [
            Packet::Accepted { has_session: true, keep_alive_seconds: None },
            Packet::Subscribed(vec![Ok(()), Err(reason(0x80))]),
            message("a/b", Some(0x102), b"x"),
            Packet::Pong,
            Packet::Unsubscribed,
            Packet::Publish(Message { topic: "t".into(), id: None, is_retained: true, payload: b"y".into() }),
        ];
        for step in 1..=bytes.len() {
            assert_eq!(packets(Version::V4, &bytes, step), due, "{step}");
        }
    }

    #[test]
    fn version_5_has_properties() {
        let bytes = [
            // Receive maximum 20, server keep-alive 10.
            &[0x20, 9, 0, 0, 6, 0x21, 0, 20, 0x13, 0, 10][..],
            // A user property.
            &[0x32, 15, 0, 1, b't', 0, 9, 7, 0x26, 0, 1, b'k', 0, 1, b'v', b'{', b'}'],
            // Session taken over, with a text.
            &[0xe0, 8, 0x8e, 6, 0x1f, 0, 3, b'b', b'y', b'e'],
            // As a server answers that knows only 3.1.1.
            &[0x20, 2, 0, 1],
        ]
        .concat();
        let found = packets(Version::V5, &bytes, 3);
        assert_eq!(found[0], Packet::Accepted { has_session: false, keep_alive_seconds: Some(10) });
        assert_eq!(found[1], message("t", Some(9), b"{}"));
        assert_eq!(found[2], Packet::Refused(format!("{} (bye)", reason(0x8e))));
        assert_eq!(found[3], Packet::Refused(reason(0x84)));
    }

    #[test]
    fn what_is_sent_is_as_the_standards_say() {
        let connect = Connect { client: "c", user: Some("u"), password: Some("p"), session_seconds: 3600 };
        let (keep, most) = (limits::MQTT_KEEP_ALIVE_SECONDS.to_be_bytes(), limits::MQTT_IN_FLIGHT.to_be_bytes());
        let rest = [0, 1, b'c', 0, 1, b'u', 0, 1, b'p'];
        let begin = |length, version| [&[0x10, length, 0, 4][..], b"MQTT", &[version, 0xc0], &keep].concat();
        assert_eq!(Version::V4.connect(&connect), [&begin(19, 4)[..], &rest].concat());
        let properties = [&[8, 0x11, 0, 0, 0x0e, 0x10, 0x21][..], &most].concat();
        assert_eq!(Version::V5.connect(&connect), [&begin(28, 5)[..], &properties, &rest].concat());
        let topics = ["a".to_owned()];
        assert_eq!(Version::V4.subscribe(1, &topics), [0x82, 6, 0, 1, 0, 1, b'a', 1]);
        assert_eq!(Version::V5.subscribe(1, &topics), [0x82, 7, 0, 1, 0, 0, 1, b'a', 0x11]);
        assert_eq!(Version::V5.unsubscribe(2, &topics), [0xa2, 6, 0, 2, 0, 0, 1, b'a']);
        assert_eq!(acknowledgement(0x0102), [0x40, 2, 1, 2]);
    }

    #[test]
    fn of_a_packet_beyond_the_limit_the_rest_is_left_out() {
        let payload = vec![b'x'; limits::BUS_VALUE_BYTES + 1000];
        let mut bytes = vec![0x30];
        variable(&mut bytes, payload.len() + 3);
        bytes.extend([0, 1, b't']);
        bytes.extend(&payload);
        bytes.extend([0xd0, 0]);
        let kept = limits::BUS_VALUE_BYTES - 3;
        for step in [1 << 16, bytes.len()] {
            assert_eq!(packets(Version::V4, &bytes, step), [message("t", None, &payload[..kept]), Packet::Pong]);
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for wrong in
            [&[0x20, 1, 0][..], &[0x10, 0], &[0x30, 2, 0, 9], &[0x32, 3, 0, 1, b't'], &[0x30, 255, 255, 255, 255]]
        {
            let mut arrived = Arrived::default();
            arrived.bytes.extend_from_slice(wrong);
            assert_eq!(arrived.next(Version::V4), Err(Malformed), "{wrong:?}");
        }
    }
}
