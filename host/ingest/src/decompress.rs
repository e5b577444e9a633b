//! Decompresses a body, with a limit on the output.
//!
//! Runs after the whole body was read and before it is parsed. The output grows in steps that are counted in flight, so
//! a decompression bomb is stopped at the limit and never in memory as a whole. Invariants: at most one byte more than
//! the limit is produced; a stream that is truncated or followed by other bytes is an error, never a shorter log.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status, bufread::MultiGzDecoder};

use crate::{budget::HeldBytes, limits, reply::Refused, request::Encoding, snappy};

/// Why a body could not be decompressed.
#[derive(Debug)]
pub(crate) enum DecompressError {
    /// The output exceeds the limit.
    Bound,
    /// The stream is invalid, with the reason.
    Broken(String),
    /// Too much is in flight to continue.
    Refused(Refused),
}

/// Decompresses `body` to at most `max_bytes`. The output is counted in `held`, on success and on failure.
pub(crate) fn decompress(
    encoding: Encoding,
    body: &[u8],
    max_bytes: usize,
    held: &mut HeldBytes,
) -> Result<Vec<u8>, DecompressError> {
    let mut out = Output { bytes: Vec::new(), max_bytes, counted: 0, held };
    match encoding {
        Encoding::Identity => out.copy(body)?,
        Encoding::Gzip => out.copy(MultiGzDecoder::new(body))?,
        Encoding::Deflate => inflate(body, &mut out)?,
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(|error| broken(&error))?;
            decoder.window_log_max(limits::ZSTD_WINDOW_LOG).map_err(|error| broken(&error))?;
            out.copy(decoder)?;
        }
        Encoding::GrpcGzip => match grpc_message(body)? {
            (0, message) => out.copy(message)?,
            (_, message) => out.copy(MultiGzDecoder::new(message))?,
        },
        Encoding::Snappy => {
            let length = snappy::declared_length(body).map_err(|reason| DecompressError::Broken(reason.to_owned()))?;
            out.make_room_for(length)?;
            snappy::decompress(body, &mut out.bytes).map_err(|reason| DecompressError::Broken(reason.to_owned()))?;
        }
    }
    Ok(out.bytes)
}

/// The flag and the content of the one message of a gRPC request.
fn grpc_message(body: &[u8]) -> Result<(u8, &[u8]), DecompressError> {
    match body.split_first_chunk::<5>() {
        Some(([flag, length @ ..], message)) if u32::from_be_bytes(*length) as usize == message.len() => {
            Ok((*flag, message))
        }
        _ => Err(DecompressError::Broken("the request is not exactly one message".to_owned())),
    }
}

fn broken(error: &io::Error) -> DecompressError {
    DecompressError::Broken(error.to_string())
}

/// The growing output: allocates in steps, enforces the limit, counts in flight.
struct Output<'a> {
    bytes: Vec<u8>,
    max_bytes: usize,
    /// Capacity counted in flight, in bytes.
    counted: usize,
    held: &'a mut HeldBytes,
}

impl Output<'_> {
    /// Makes room for the next step: doubles, up to the limit plus the one byte that shows it was exceeded.
    fn make_room(&mut self) -> Result<usize, DecompressError> {
        let length = self.bytes.len();
        if length > self.max_bytes {
            return Err(DecompressError::Bound);
        }
        let step = length.max(limits::DECOMPRESS_STEP_BYTES).min(self.max_bytes + 1 - length);
        let needed = (length + step).saturating_sub(self.counted);
        self.held.grow(needed).map_err(DecompressError::Refused)?;
        self.counted += needed;
        self.bytes.reserve_exact(step);
        Ok(step)
    }

    /// Makes room for the whole output.
    fn make_room_for(&mut self, length: usize) -> Result<(), DecompressError> {
        if length > self.max_bytes {
            return Err(DecompressError::Bound);
        }
        self.held.grow(length).map_err(DecompressError::Refused)?;
        self.counted = length;
        self.bytes.reserve_exact(length);
        Ok(())
    }

    fn copy(&mut self, mut reader: impl Read) -> Result<(), DecompressError> {
        loop {
            let step = self.make_room()?;
            let room = u64::try_from(step).unwrap_or(u64::MAX);
            let read = reader.by_ref().take(room).read_to_end(&mut self.bytes).map_err(|error| broken(&error))?;
            if read < step {
                return Ok(());
            }
        }
    }
}

/// By the standard, `deflate` means zlib, but some clients send the raw stream. The two bytes of a zlib header tell
/// them apart, because no compressor starts a raw stream with them.
fn inflate(body: &[u8], out: &mut Output<'_>) -> Result<(), DecompressError> {
    let zlib = matches!(body, [first, second, ..]
        if first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([*first, *second]) % 31 == 0);
    let mut stream = Decompress::new(zlib);
    loop {
        out.make_room()?;
        let (read, written) = (stream.total_in(), out.bytes.len());
        let rest = usize::try_from(read).ok().and_then(|read| body.get(read..)).unwrap_or(&[]);
        let status = stream
            .decompress_vec(rest, &mut out.bytes, FlushDecompress::None)
            .map_err(|error| DecompressError::Broken(error.to_string()))?;
        match status {
            Status::StreamEnd if stream.total_in() == body.len() as u64 => break,
            Status::StreamEnd => return Err(DecompressError::Broken("extra bytes after its end".to_owned())),
            _ if stream.total_in() == read && out.bytes.len() == written => {
                return Err(DecompressError::Broken("it is truncated".to_owned()));
            }
            _ => {}
        }
    }
    if out.bytes.len() > out.max_bytes { Err(DecompressError::Bound) } else { Ok(()) }
}

#[cfg(test)]
#[path = "decompress_tests.rs"]
mod tests;
