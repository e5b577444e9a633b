//! Bodies of MessagePack: their forms, errors, and normalisation.

use super::*;
use crate::{Aliases, Level, Value};

fn read_into(body: &[u8], out: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 0,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    read_msgpack(body, &defaults, out)
}

fn read(body: &[u8]) -> (Batch, Vec<RejectedRecord>) {
    let mut batch = Batch::new();
    let bad = read_into(body, &mut batch).expect("readable");
    (batch, bad)
}

/// `{"msg": text}`.
fn said(text: &str) -> Vec<u8> {
    let mut out = vec![0x81];
    write::str(&mut out, "msg");
    write::str(&mut out, text);
    out
}

fn messages(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|record| record.message()).collect()
}

#[test]
fn a_map_a_list_and_concatenated_maps_are_distinguished() {
    let (a, b) = (said("a"), said("b"));
    assert_eq!(messages(&read(&a).0), ["a"]);
    assert_eq!(messages(&read(&[a.clone(), b.clone()].concat()).0), ["a", "b"]);
    assert_eq!(messages(&read(&[vec![0x92], a.clone(), b.clone()].concat()).0), ["a", "b"]);
    assert_eq!(messages(&read(&[vec![0x91], a, b].concat()).0), ["a", "b"]);
    assert!(read(&[]).0.is_empty() && read(&[0x90]).0.is_empty());
}

#[test]
fn a_truncated_list_is_rejected_as_a_whole() {
    let body = [vec![0x92], said("a"), said("b")].concat();
    for len in 1..body.len() {
        let mut batch = Batch::new();
        assert!(read_into(&body[..len], &mut batch).is_err(), "{len} bytes");
        assert!(batch.is_empty());
    }
}

#[test]
fn complete_maps_are_accepted_and_a_truncated_one_is_bad() {
    let (a, b) = (said("a"), said("b"));
    let body = [&a[..], &b[..3]].concat();
    let (batch, bad) = read(&body);
    assert_eq!(messages(&batch), ["a"]);
    assert_eq!((bad.len(), bad[0].index, &bad[0].bytes[..]), (1, 1, &b[..3]));
    assert!(read_into(&a[..3], &mut Batch::new()).is_err());
}

#[test]
fn hostile_lengths_and_nesting_cost_no_more_than_their_bytes() {
    for body in [
        &[0xdd, 255, 255, 255, 255][..],
        &[0xdf, 255, 255, 255, 255, 0xa1, b'a'],
        &[0x81, 0xa1, b'a', 0xc6, 255, 255, 255, 255],
        &[0xc1],
        &[0x91; 16 << 20],
        &[0x81, 0xa1, b'a', 0x91, 0x91],
    ] {
        assert!(read_into(body, &mut Batch::new()).is_err());
    }
    let mut nested = [&[0x81, 0xa1, b'a'][..], &[0x91; 64], &[1]].concat();
    nested.extend_from_slice(&said("after"));
    let (batch, bad) = read(&nested);
    assert_eq!(messages(&batch), ["after"]);
    assert_eq!(bad[0].error, RecordFault::TooDeep.reason());
    assert_eq!(read(&[&[0x81, 0xa1, b'a'][..], &[0x91; 63], &[1]].concat()).1, []);
}

#[test]
fn records_that_are_not_maps_are_bad_and_the_others_accepted() {
    let body = [&[0x93, 7][..], &said("a"), &[0x91, 1]].concat();
    let (batch, bad) = read(&body);
    assert_eq!(messages(&batch), ["a"]);
    assert_eq!(bad.iter().map(|bad| bad.index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(bad[1].bytes, [0x91, 1]);
}

#[test]
fn keys_become_text_and_text_becomes_valid() {
    let mut body = vec![0x86];
    body.extend_from_slice(&[0x05, 1]);
    body.extend_from_slice(&[0xc0, 2]);
    body.extend_from_slice(&[0xc4, 1, b'b', 3]);
    body.extend_from_slice(&[0xa1, 0xff, 4]);
    body.extend_from_slice(&[0xa1, b't', 0xa2, 0xc3, b'x']);
    body.extend_from_slice(&[0xa1, b'n', 0x81, 0xc3, 0x91, 0xa1, 0xff]);
    let (batch, bad) = read(&body);
    assert_eq!(bad, []);
    let record = batch.record(0);
    for (path, value) in [
        ("5", Value::Int(1)),
        ("null", Value::Int(2)),
        ("b", Value::Int(3)),
        ("\u{fffd}", Value::Int(4)),
        ("t", Value::Str("\u{fffd}x")),
        ("n.true.0", Value::Str("\u{fffd}")),
    ] {
        assert_eq!(record.get(path), Some(value), "{path}");
    }
    assert_eq!(read(&[0x81, 0x91, 1, 2]).1[0].error, RecordFault::KeyIsNotText.reason());
}

#[test]
fn of_duplicate_keys_the_last_wins_whatever_type_they_had() {
    let body = [0x83, 0xa1, b'a', 1, 0xc4, 1, b'a', 2, 0xa1, b'm', 0x82, 0x05, 1, 0xa1, b'5', 2];
    let (batch, _) = read(&body);
    assert_eq!(batch.record(0).get("a"), Some(Value::Int(2)));
    assert_eq!(batch.record(0).get("m.5"), Some(Value::Int(2)));
    assert_eq!(batch.record(0).entries().count(), 6);
}

#[test]
fn values_keep_the_bytes_they_came_in() {
    let wide = [0x81, 0xa1, b'a', 0xdd, 0, 0, 0, 3, 0xd3, 0, 0, 0, 0, 0, 0, 0, 1, 0xca, 0, 0, 0, 0, 0xd4, 9, 9];
    let (batch, _) = read(&wide);
    assert!(batch.get(0).ends_with(&wide[1..]));
}

#[test]
fn a_body_over_the_limits_is_refused_as_a_whole() {
    let aliases = Aliases::default();
    let source = "s".repeat(60_000);
    let defaults = Defaults {
        received_ns: 0,
        source: &source,
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    for header in [&[][..], &[0xdc, 0x0f, 0xa0]] {
        let body = [header, &[0x80; 4_000]].concat();
        let error = read_msgpack(&body, &defaults, &mut batch).expect_err("too much");
        assert!(error.too_much && batch.is_empty(), "{error}");
    }
    let bad = vec![1; crate::limits::MAX_BAD_PER_BODY + 1];
    assert!(read_into(&bad, &mut batch).expect_err("too many").too_much);
}
