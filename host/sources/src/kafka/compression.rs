//! Batches of messages that their producer has compressed.

use std::borrow::Cow;
use std::io::Read;

use crate::limits::KAFKA_BATCH_BYTES;

const TOO_LARGE: &str = "the batch is larger than 64 MiB without its compression";

/// What a batch holds, by the number of its compression.
pub(super) fn decompress(kind: i16, bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let fault = |error: &dyn std::fmt::Display| format!("the batch can't be decompressed: {error}");
    match kind {
        0 => return Ok(Cow::Borrowed(bytes)),
        1 => read(flate2::read::MultiGzDecoder::new(bytes)).map_err(|error| fault(&error))?,
        2 => snappy(bytes).map_err(|error| fault(&error))?,
        3 => lz4(bytes).ok_or_else(|| fault(&"not in the frame format of LZ4"))?,
        4 => zstd::Decoder::with_buffer(bytes).and_then(read).map_err(|error| fault(&error))?,
        kind => return Err(format!("the batch has a compression that is not known here, number {kind}")),
    }
    .map(Cow::Owned)
    .ok_or_else(|| TOO_LARGE.to_owned())
}

/// `None`: it is too large.
fn read(from: impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(KAFKA_BATCH_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() <= KAFKA_BATCH_BYTES))
}

/// In blocks behind the header of xerial's library, which Java's clients use, or one block alone.
fn snappy(bytes: &[u8]) -> Result<Option<Vec<u8>>, snap::Error> {
    let mut decoder = snap::raw::Decoder::new();
    let Some(mut rest) = bytes.strip_prefix(b"\x82SNAPPY\0").and_then(|rest| rest.get(8..)) else {
        return match snap::raw::decompress_len(bytes)? {
            length if length > KAFKA_BATCH_BYTES => Ok(None),
            _ => decoder.decompress_vec(bytes).map(Some),
        };
    };
    let mut whole = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        // A block that is cut off is no block.
        let block = &after[..length.min(after.len())];
        if whole.len() + snap::raw::decompress_len(block)? > KAFKA_BATCH_BYTES {
            return Ok(None);
        }
        whole.extend(decoder.decompress_vec(block)?);
        rest = &after[block.len()..];
    }
    Ok(Some(whole))
}

/// A frame of LZ4. Its checksums are left out: the batch has one. The outer `None`: it is not such a frame; the inner one:
/// it is too large.
fn lz4(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    const MAGIC: &[u8] = &0x184d_2204_u32.to_le_bytes();
    const BLOCK_CHECKSUM: u8 = 1 << 4;
    const SIZE: u8 = 1 << 3;
    const DICTIONARY: u8 = 1;
    const RAW: u32 = 1 << 31;
    const WINDOW: usize = 64 << 10;
    let (&[flags, sizes], mut rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    if flags & DICTIONARY != 0 {
        return None;
    }
    // 64 KiB, 256 KiB, 1 MiB or 4 MiB.
    let block_bytes = 1_usize << (8 + 2 * ((sizes >> 4) & 7).max(4));
    let header_left = if flags & SIZE != 0 { 9 } else { 1 };
    rest = rest.get(header_left..)?;
    let (mut whole, mut block) = (Vec::new(), vec![0; block_bytes]);
    loop {
        let (length, after) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            return Some(Some(whole));
        }
        let (data, after) = after.split_at_checked((length & !RAW) as usize)?;
        if length & RAW == 0 {
            let before = &whole[whole.len().saturating_sub(WINDOW)..];
            let written = lz4_flex::block::decompress_into_with_dict(data, &mut block, before).ok()?;
            whole.extend_from_slice(&block[..written]);
        } else {
            whole.extend_from_slice(data);
        }
        if whole.len() > KAFKA_BATCH_BYTES {
            return Some(None);
        }
        rest = if flags & BLOCK_CHECKSUM != 0 { after.get(4..)? } else { after };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text() -> Vec<u8> {
        (0..30_000).flat_map(|number: u32| format!("message {number} ").into_bytes()).collect()
    }

    fn xerial(text: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        for block in text.chunks(32 << 10) {
            let block = snap::raw::Encoder::new().compress_vec(block).expect("compressed");
            bytes.extend((block.len() as u32).to_be_bytes());
            bytes.extend(block);
        }
        bytes
    }

    /// Blocks that are independent, each of up to 64 KiB, the last stored as it is.
    fn framed(text: &[u8]) -> Vec<u8> {
        let mut bytes = [&0x184d_2204_u32.to_le_bytes()[..], &[0b0110_0000, 4 << 4, 0]].concat();
        let (compressed, raw) = text.split_at(text.len() - 100);
        for block in compressed.chunks(64 << 10) {
            let block = lz4_flex::block::compress(block);
            bytes.extend((block.len() as u32).to_le_bytes());
            bytes.extend(block);
        }
        bytes.extend((raw.len() as u32 | 1 << 31).to_le_bytes());
        bytes.extend(raw);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn every_compression_gives_the_same() {
        let text = text();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).expect("written");
        let snappy = snap::raw::Encoder::new().compress_vec(&text).expect("compressed");
        let zstd = zstd::encode_all(&text[..], 1).expect("compressed");
        let of = [
            (0, text.clone()),
            (1, gzip.finish().expect("finished")),
            (2, snappy),
            (2, xerial(&text)),
            (3, framed(&text)),
            (4, zstd),
        ];
        for (kind, bytes) in of {
            assert!(decompress(kind, &bytes).expect("valid") == text, "{kind}");
            if kind > 0 {
                decompress(kind, &bytes[..bytes.len() - 6]).expect_err("cut off");
                decompress(kind, b"nonsense").expect_err("nonsense");
            }
        }
        decompress(5, b"").expect_err("unknown");
    }

    #[test]
    fn what_would_be_too_large_is_refused() {
        let zeros = zstd::encode_all(std::io::repeat(0).take(KAFKA_BATCH_BYTES as u64 + 1), 1).expect("compressed");
        assert_eq!(decompress(4, &zeros), Err(TOO_LARGE.to_owned()));
    }
}
