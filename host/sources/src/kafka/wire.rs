//! The encoding of Kafka's requests and answers: big-endian numbers, texts and lists with their lengths before them.
//!
//! In flexible versions, lengths are variable, plus one, and tagged fields follow every structure. What a broker sends is
//! not trusted: every length is checked against the bytes that are there before anything is allocated.

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is read.
pub(super) type Read<T> = Result<T, Malformed>;

/// Reads from the start of some bytes.
#[derive(Clone, Debug)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    is_flexible: bool,
}

impl<'b> Reader<'b> {
    pub fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { rest: bytes, is_flexible: false }
    }

    /// The same for a flexible version.
    pub fn flexible(bytes: &'b [u8]) -> Reader<'b> {
        Reader { rest: bytes, is_flexible: true }
    }

    pub fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub fn take(&mut self, length: usize) -> Read<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn i8(&mut self) -> Read<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn uuid(&mut self) -> Read<[u8; 16]> {
        self.array()
    }

    /// Seven bits a byte, the lowest first.
    fn unsigned(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// The same for negative numbers: their sign is the lowest bit.
    pub fn varint(&mut self) -> Read<i64> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Bytes whose length is a [`varint`](Self::varint); `None` if it is negative.
    pub fn varint_bytes(&mut self) -> Read<Option<&'b [u8]>> {
        match self.varint()? {
            ..0 => Ok(None),
            length => usize::try_from(length).map_err(|_| Malformed).and_then(|length| self.take(length)).map(Some),
        }
    }

    /// The length of a text, or of bytes or a list; `None` for null.
    fn length(&mut self, is_text: bool) -> Read<Option<usize>> {
        let length = match (self.is_flexible, is_text) {
            (true, _) => i64::try_from(self.unsigned()?).map_err(|_| Malformed)? - 1,
            (false, true) => i64::from(self.i16()?),
            (false, false) => i64::from(self.i32()?),
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed),
        }
    }

    pub fn optional_text(&mut self) -> Read<Option<String>> {
        let Some(length) = self.length(true)? else { return Ok(None) };
        let text = str::from_utf8(self.take(length)?).map_err(|_| Malformed)?;
        Ok(Some(text.to_owned()))
    }

    pub fn text(&mut self) -> Read<String> {
        self.optional_text()?.ok_or(Malformed)
    }

    /// Null is none.
    pub fn bytes(&mut self) -> Read<&'b [u8]> {
        let length = self.length(false)?.unwrap_or(0);
        self.take(length)
    }

    /// A list; null is an empty one.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Reader<'b>) -> Read<T>) -> Read<Vec<T>> {
        let length = self.length(false)?.unwrap_or(0);
        // An item has at least one byte, so a length that is a lie ends with the bytes.
        (0..length).map(|_| item(self)).collect()
    }

    /// Skips the tagged fields that end a structure of a flexible version.
    pub fn tags(&mut self) -> Read<()> {
        if self.is_flexible {
            for _ in 0..self.unsigned()? {
                self.unsigned()?;
                let length = usize::try_from(self.unsigned()?).map_err(|_| Malformed)?;
                self.take(length)?;
            }
        }
        Ok(())
    }
}

/// Writes a request.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    is_flexible: bool,
}

impl Writer {
    /// For a flexible version.
    pub fn flexible() -> Writer {
        Writer { is_flexible: true, ..Writer::default() }
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub fn raw(mut self, bytes: &[u8]) -> Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn i8(self, value: i8) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn i16(self, value: i16) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn i32(self, value: i32) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    pub fn i64(self, value: i64) -> Writer {
        self.raw(&value.to_be_bytes())
    }

    fn unsigned(mut self, mut value: u64) -> Writer {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    /// Lengths are those of what is in memory here, far below what their types hold.
    fn length(self, length: Option<usize>, is_text: bool) -> Writer {
        match (self.is_flexible, is_text) {
            (true, _) => self.unsigned(length.map_or(0, |length| length as u64 + 1)),
            (false, true) => self.i16(length.map_or(-1, |length| length as i16)),
            (false, false) => self.i32(length.map_or(-1, |length| length as i32)),
        }
    }

    pub fn optional_text(self, text: Option<&str>) -> Writer {
        self.length(text.map(str::len), true).raw(text.unwrap_or_default().as_bytes())
    }

    pub fn text(self, text: &str) -> Writer {
        self.optional_text(Some(text))
    }

    pub fn bytes(self, bytes: &[u8]) -> Writer {
        self.length(Some(bytes.len()), false).raw(bytes)
    }

    /// A list that is null.
    pub fn null_list(self) -> Writer {
        self.length(None, false)
    }

    pub fn list<T>(self, items: &[T], item: impl Fn(Writer, &T) -> Writer) -> Writer {
        let counted = self.length(Some(items.len()), false);
        items.iter().fold(counted, item)
    }

    /// No tagged fields, at the end of a structure.
    pub fn tags(self) -> Writer {
        if self.is_flexible { self.unsigned(0) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(writer: Writer) -> Vec<u8> {
        let texts = ["", "topic"];
        writer
            .i8(-1)
            .i16(-2)
            .i32(3)
            .i64(i64::MIN)
            .list(&texts, |writer, text| writer.text(text).tags())
            .optional_text(None)
            .null_list()
            .bytes(b"bytes")
            .tags()
            .finish()
    }

    fn read(mut reader: Reader<'_>) -> Read<()> {
        assert_eq!((reader.i8()?, reader.i16()?, reader.i32()?, reader.i64()?), (-1, -2, 3, i64::MIN));
        let texts = reader.list(|reader| {
            let text = reader.text()?;
            reader.tags().map(|()| text)
        })?;
        assert_eq!(texts, ["", "topic"]);
        assert_eq!(reader.optional_text()?, None);
        assert_eq!(reader.list(Reader::i8)?, [0; 0]);
        assert_eq!(reader.bytes()?, b"bytes");
        reader.tags()
    }

    #[test]
    fn what_is_written_is_read_and_less_of_it_is_refused() {
        let (plain, flexible) = (write(Writer::default()), write(Writer::flexible()));
        assert_eq!((read(Reader::new(&plain)), read(Reader::flexible(&flexible))), (Ok(()), Ok(())));
        for cut in 0..plain.len() {
            assert_eq!(read(Reader::new(&plain[..cut])), Err(Malformed), "{cut}");
        }
        for cut in 0..flexible.len() {
            assert_eq!(read(Reader::flexible(&flexible[..cut])), Err(Malformed), "{cut}");
        }
    }

    #[test]
    fn variable_numbers_are_those_of_protocol_buffers() {
        // From the documentation of that encoding.
        for (bytes, value) in [
            (&[0][..], 0),
            (&[1], -1),
            (&[2], 1),
            (&[0xac, 2], 150),
            (&[0xff, 0xff, 0xff, 0xff, 0xf], i64::from(i32::MIN)),
        ] {
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(Malformed));
        let mut reader = Reader::new(&[4, b'a', b'b', 1]);
        assert_eq!((reader.varint_bytes(), reader.varint_bytes()), (Ok(Some(&b"ab"[..])), Ok(None)));
    }
}
