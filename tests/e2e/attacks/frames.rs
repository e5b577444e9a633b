//! HTTP/2: streams that are reset at once, and floods of frames.

use std::io::Write;
use std::process::Command;

use super::{Cost, Target, read_all};
use crate::clients::run;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_OF_STREAM_AND_HEADERS: u8 = 5;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /health` as HPACK.
fn head() -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [&[0x82, 0x86, 0x04][..], &text("/health"), &[0x01], &text("localhost")].concat()
}

/// Repeats frames on one connection until the router closes it; returns how many it took at most.
fn until_closed(target: &Target, mut frames: impl FnMut(u32) -> Vec<u8>) -> u32 {
    let mut stream = target.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    let reading = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || drop(read_all(reading)));
    for number in 0..10_000_000 {
        if stream.write_all(&frames(number)).is_err() {
            reader.join().unwrap();
            return number;
        }
    }
    panic!("{}: the router takes it for ever", target.name);
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let target = Target::new("HTTP/2 rapid reset");
    until_closed(&target, |number| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END_OF_STREAM_AND_HEADERS, stream, &head()), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
            .concat()
    });
    target.ends("closed", Cost { mib: 30, descriptors: 10 });
}

#[test]
fn floods_of_frames_end_the_connection() {
    let target = Target::new("HTTP/2 floods of PING and SETTINGS, endless CONTINUATION");
    until_closed(&target, |_| frame(PING, 0, 0, &[0; 8]).repeat(100));
    until_closed(&target, |_| frame(SETTINGS, 0, 0, &[]).repeat(100));
    until_closed(&target, |number| match number {
        0 => frame(HEADERS, 1, 1, &head()),
        // A header that is in the static table.
        _ => frame(CONTINUATION, 0, 1, &[0x90; 1000]),
    });
    target.ends("closed", Cost { mib: 30, descriptors: 10 });
}

#[test]
fn a_flood_of_streams_is_served_and_others_too() {
    let target = Target::new("HTTP/2 flood of streams (`h2load -n 200000 -c 50 -m 1000`)");
    let url = format!("{}/health", target.router.url);
    let mut command = Command::new("h2load");
    command.args(["-n", "200000", "-c", "50", "-m", "1000", &url]);
    let attacking = std::thread::spawn(move || run(&mut command).stdout);
    while !attacking.is_finished() {
        target.others_are_served();
    }
    let said = String::from_utf8_lossy(&attacking.join().unwrap()).into_owned();
    assert!(said.contains("200000 total") && said.contains(" 0 errored"), "{said}");
    target.ends("answered, or 503 if the answers are not read as fast", Cost { mib: 120, descriptors: 80 });
}
