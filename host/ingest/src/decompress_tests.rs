//! Every encoding: complete, truncated, damaged, too long.

use std::{io::Write, sync::Arc};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use super::*;
use crate::budget::ByteBudget;

const AMPLE: usize = 1 << 30;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn raw(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap()
}

/// Every form of every encoding.
fn forms(content: &[u8]) -> [(Encoding, Vec<u8>); 6] {
    [
        (Encoding::Identity, content.to_vec()),
        (Encoding::Gzip, gzip(content)),
        (Encoding::Deflate, zlib(content)),
        (Encoding::Deflate, raw(content, Compression::default())),
        (Encoding::Deflate, raw(content, Compression::none())),
        (Encoding::Zstd, zstd(content)),
    ]
}

fn undone(encoding: Encoding, body: &[u8], max_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut held = ByteBudget::new(AMPLE).hold(0).unwrap();
    decompress(encoding, body, max_bytes, &mut held)
}

#[test]
fn every_encoding_decompresses_at_any_size() {
    for size in [0, 1, 100, limits::DECOMPRESS_STEP_BYTES - 1, limits::DECOMPRESS_STEP_BYTES, 300_000] {
        let content: Vec<u8> = (0..size).map(|i| u8::try_from(i * i % 251).unwrap()).collect();
        for (encoding, body) in forms(&content) {
            // Exactly at the limit it succeeds.
            assert_eq!(undone(encoding, &body, size).unwrap(), content, "{encoding:?} {size}");
        }
    }
}

#[test]
fn one_byte_over_the_bound_is_refused() {
    let content = vec![7; 100_000];
    for (encoding, body) in forms(&content) {
        assert!(matches!(undone(encoding, &body, 99_999), Err(DecompressError::Bound)), "{encoding:?}");
    }
}

#[test]
fn a_decompression_bomb_uses_no_more_memory_than_the_limit() {
    let bound = 1 << 20;
    let content = vec![0; 16 << 20];
    for (encoding, body) in
        [(Encoding::Gzip, gzip(&content)), (Encoding::Deflate, zlib(&content)), (Encoding::Zstd, zstd(&content))]
    {
        let flight = ByteBudget::new(AMPLE);
        let mut held = flight.hold(0).unwrap();
        assert!(matches!(decompress(encoding, &body, bound, &mut held), Err(DecompressError::Bound)), "{encoding:?}");
        // The counted bytes are the allocated ones.
        assert_eq!(flight.held_bytes(), bound + 1, "{encoding:?}");
    }
}

#[test]
fn output_is_counted_in_flight_while_it_grows_and_refused_over_that_bound() {
    let flight = ByteBudget::new(500_000);
    let other = flight.hold(300_000).unwrap();
    let mut held = flight.hold(0).unwrap();
    let body = gzip(&vec![1; 400_000]);
    let refused = decompress(Encoding::Gzip, &body, AMPLE, &mut held).unwrap_err();
    assert!(matches!(refused, DecompressError::Refused(refused) if refused.status.as_u16() == 503));
    drop((held, other));
    assert_eq!(Arc::strong_count(&flight), 1);
    assert_eq!(flight.held_bytes(), 0);
}

#[test]
fn concatenated_members_are_one_body() {
    for make in [gzip, zstd] {
        let encoding = if make(b"x")[0] == 0x1f { Encoding::Gzip } else { Encoding::Zstd };
        let body = [make(b"one\n"), make(b"two\n"), make(b"")].concat();
        assert_eq!(undone(encoding, &body, 100).unwrap(), b"one\ntwo\n");
    }
}

#[test]
fn a_truncated_stream_is_an_error_and_never_a_shorter_body() {
    let content: Vec<u8> = (0..2000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for (encoding, body) in forms(&content).into_iter().skip(1) {
        for end in 1..body.len() {
            let result = undone(encoding, &body[..end], AMPLE);
            assert!(matches!(result, Err(DecompressError::Broken(_))), "{encoding:?} cut at {end} of {}", body.len());
        }
    }
}

#[test]
fn bytes_after_the_end_are_an_error() {
    for (encoding, mut body) in forms(b"content").into_iter().skip(1) {
        body.extend_from_slice(b"garbage");
        assert!(matches!(undone(encoding, &body, AMPLE), Err(DecompressError::Broken(_))), "{encoding:?}");
    }
}

#[test]
fn a_changed_byte_never_panics_and_never_passes_the_bound() {
    let content = b"the same words again and again, the same words again and again".repeat(20);
    for (encoding, body) in forms(&content).into_iter().skip(1) {
        for at in 0..body.len() {
            let mut body = body.clone();
            body[at] ^= 0x55;
            if let Ok(out) = undone(encoding, &body, 10_000) {
                assert!(out.len() <= 10_000);
            }
        }
    }
}

#[test]
fn a_zstd_frame_that_wants_a_huge_window_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"small").unwrap();
    let body = encoder.finish().unwrap();
    assert!(matches!(undone(Encoding::Zstd, &body, AMPLE), Err(DecompressError::Broken(_))));
}
