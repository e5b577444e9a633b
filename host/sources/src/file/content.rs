//! Opens files, and reads compressed ones as a stream.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use rustix::fs::OFlags;

use super::seen::Seen;
use super::stored::Inode;

/// How a file is compressed, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    pub fn of(path: &Path) -> Option<Compression> {
        let extension = path.extension()?;
        if extension.eq_ignore_ascii_case("gz") {
            Some(Compression::Gzip)
        } else if extension.eq_ignore_ascii_case("zst") {
            Some(Compression::Zstd)
        } else {
            None
        }
    }

    /// The number in positions; 0 is for files that are not compressed.
    pub fn number(self) -> u8 {
        match self {
            Compression::Gzip => 1,
            Compression::Zstd => 2,
        }
    }

    pub fn of_number(number: u8) -> Option<Compression> {
        match number {
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Zstd),
            _ => None,
        }
    }

    fn decoder(self, file: File) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Compression::Gzip => Box::new(MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
        })
    }
}

/// Opens a regular file to read it. A pipe or a device is an error, and doesn't block.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Opens the file of that inode. If another one is at its path by now, it is not found.
pub(super) fn open_inode(path: &Path, inode: Inode) -> io::Result<File> {
    let file = open(path)?;
    match Inode::of(&file.metadata()?) == inode {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The first bytes of a compressed file, decompressed.
pub(super) fn head(file: File, compression: Compression, length: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut decoder = compression.decoder(file)?.take(length as u64);
    match decoder.read_to_end(&mut head) {
        Err(error) if head.is_empty() => Err(error),
        _ => Ok(head),
    }
}

/// How far a compressed file was skipped.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// To the offset.
    Done,
    /// Not yet so far.
    More,
    /// The file has fewer bytes.
    TooShort,
}

/// A compressed file that is being read.
pub(super) struct Stream {
    decoder: Box<dyn Read + Send>,
    /// What was read before, while it is skipped.
    pub skipped: Seen,
    /// Bytes after the position.
    ahead: Vec<u8>,
    /// Nothing follows the bytes ahead.
    pub is_at_end: bool,
}

impl Stream {
    pub fn new(file: File, compression: Compression) -> io::Result<Stream> {
        let decoder = compression.decoder(file)?;
        Ok(Stream { decoder, skipped: Seen::default(), ahead: Vec::new(), is_at_end: false })
    }

    /// Skips what comes before an offset, at most `most` bytes of it.
    pub fn skip_to(&mut self, offset: u64, most: u64) -> io::Result<Skip> {
        let mut buffer = vec![0; 64 << 10];
        let until = offset.min(self.skipped.offset() + most);
        while self.skipped.offset() < until {
            let want = buffer.len().min(usize::try_from(until - self.skipped.offset()).unwrap_or(usize::MAX));
            match self.decoder.read(&mut buffer[..want])? {
                0 => return Ok(Skip::TooShort),
                read => self.skipped.advance(&buffer[..read]),
            }
        }
        Ok(if self.skipped.offset() == offset { Skip::Done } else { Skip::More })
    }

    /// Reads until `want` bytes are ahead, or as many as there are. What comes before an error is ahead, too.
    pub fn fill(&mut self, want: usize) -> io::Result<()> {
        if self.ahead.len() < want && !self.is_at_end {
            let missing = want - self.ahead.len();
            let read = self.decoder.by_ref().take(missing as u64).read_to_end(&mut self.ahead)?;
            self.is_at_end = read < missing;
        }
        Ok(())
    }

    /// The bytes after the position that were read.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Moves the position.
    pub fn consume(&mut self, length: usize) {
        self.ahead.drain(..length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_stream_continues_at_any_offset_of_several_members() {
        let folder = tempfile::tempdir().expect("a folder");
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        for (name, compression) in [("a.gz", Compression::Gzip), ("a.ZST", Compression::Zstd)] {
            let path = folder.path().join(name);
            assert_eq!(Compression::of(&path), Some(compression));
            let mut bytes = Vec::new();
            for half in [&text[..99_999], &text[99_999..]] {
                bytes.extend(match compression {
                    Compression::Gzip => {
                        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                        encoder.write_all(half).expect("compressed");
                        encoder.finish().expect("compressed")
                    }
                    Compression::Zstd => zstd::encode_all(half, 1).expect("compressed"),
                });
            }
            std::fs::write(&path, &bytes).expect("written");
            assert_eq!(head(open(&path).expect("opened"), compression, 100).expect("read"), text[..100]);
            let mut stream = Stream::new(open(&path).expect("opened"), compression).expect("opened");
            assert_eq!(stream.skip_to(123_456, 100_000).expect("skipped"), Skip::More);
            assert_eq!(stream.skip_to(123_456, 100_000).expect("skipped"), Skip::Done);
            stream.fill(10).expect("read");
            assert_eq!(stream.ahead(), &text[123_456..123_466]);
            stream.consume(4);
            stream.fill(1 << 20).expect("read");
            assert_eq!(stream.ahead(), &text[123_460..]);
            assert!(stream.is_at_end);
            let mut stream = Stream::new(open(&path).expect("opened"), compression).expect("opened");
            assert_eq!(stream.skip_to(1 << 30, 1 << 30).expect("skipped"), Skip::TooShort);
            std::fs::write(&path, &bytes[..bytes.len() - 9]).expect("written");
            let mut stream = Stream::new(open(&path).expect("opened"), compression).expect("opened");
            stream.fill(1 << 20).expect_err("incomplete");
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path()).expect_err("a folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
        open(&pipe).expect_err("a pipe");
    }
}
