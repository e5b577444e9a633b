//! What a certificate (RFC 5280) says: its names, its end, its fingerprint.
//!
//! rustls checks certificates; this only reads what it doesn't tell.

use std::fmt::Write;

use ring::digest::{SHA256, digest};
use weir_access::{ClientCertificate, FINGERPRINT_PREFIX};
use weir_record::time::parse_rfc3339;

use super::der::{self, Elements};
use crate::limits;

/// The object identifiers of the common name and of alternative names.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The alternative names (DNS, email, URI), then the common name.
    pub names: Vec<String>,
    /// `sha256:` and the hash of the whole certificate.
    pub fingerprint: String,
    /// In nanoseconds since 1970.
    pub begins_ns: i64,
    pub expires_ns: i64,
}

impl Certificate {
    /// Reads a certificate. `None` if it is not one.
    pub fn read(der: &[u8]) -> Option<Certificate> {
        let mut parts = Elements(Elements(Elements(der).tagged(der::SEQUENCE)?).tagged(der::SEQUENCE)?);
        // Version, serial number, signature algorithm, issuer.
        parts.tagged(der::explicit(0))?;
        parts.tagged(der::INTEGER)?;
        parts.tagged(der::SEQUENCE)?;
        parts.tagged(der::SEQUENCE)?;
        let mut validity = Elements(parts.tagged(der::SEQUENCE)?);
        let (begins_ns, expires_ns) = (time(validity.next()?)?, time(validity.next()?)?);
        let subject = parts.tagged(der::SEQUENCE)?;
        let mut names = alternative_names(parts).unwrap_or_default();
        names.extend(common_name(subject));
        names.truncate(limits::MAX_CERTIFICATE_NAMES);
        Some(Certificate { names, fingerprint: fingerprint(der), begins_ns, expires_ns })
    }

    /// The same as what a request shows.
    pub(crate) fn of_client(&self) -> ClientCertificate {
        ClientCertificate::new(&self.names, &self.fingerprint, self.expires_ns)
    }
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = FINGERPRINT_PREFIX.to_owned();
    for byte in digest(&SHA256, der).as_ref() {
        // Writing to a String can't fail.
        _ = write!(text, "{byte:02x}");
    }
    text
}

/// Two digits of the year or four, then month, day, hour, minute and second.
fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // RFC 5280: 50 to 99 are of the 20th century.
        der::UTC_TIME if text.as_bytes().first()? >= &b'5' => format!("19{text}"),
        der::UTC_TIME => format!("20{text}"),
        der::GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let [year, month, day, hour, minute, second] =
        [0..4, 4..6, 6..8, 8..10, 10..12, 12..14].map(|digits| text.get(digits).unwrap_or_default());
    // RFC 5280 says "no end" as 9999-12-31, which is after the last nanosecond of an i64.
    let parsed = parse_rfc3339(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").as_bytes());
    parsed.or_else(|| (year > "2262" && text.len() == 14).then_some(i64::MAX))
}

fn common_name(subject: &[u8]) -> Option<String> {
    Elements(subject).filter(|(tag, _)| *tag == der::SET).find_map(|(_, set)| {
        let mut attribute = Elements(Elements(set).tagged(der::SEQUENCE)?);
        let is_name = attribute.tagged(der::OID)? == COMMON_NAME;
        text(attribute.next()?.1).filter(|_| is_name)
    })
}

/// The names in what follows the subject.
fn alternative_names(rest: Elements<'_>) -> Option<Vec<String>> {
    let (_, extensions) = rest.into_iter().find(|(tag, _)| *tag == der::explicit(3))?;
    let extensions = Elements(Elements(extensions).tagged(der::SEQUENCE)?);
    let names = extensions.into_iter().find_map(|(_, extension)| {
        let mut extension = Elements(extension);
        let is_names = extension.tagged(der::OID)? == ALTERNATIVE_NAMES;
        let (_, value) = extension.find(|(tag, _)| *tag == der::OCTET_STRING)?;
        is_names.then_some(value)
    })?;
    // Email addresses, DNS names and URIs.
    let is_text = |tag: u8| [1, 2, 6].map(der::implicit).contains(&tag);
    let names = Elements(Elements(names).tagged(der::SEQUENCE)?);
    Some(names.into_iter().filter(|(tag, _)| is_text(*tag)).filter_map(|(_, name)| text(name)).collect())
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= limits::MAX_CERTIFICATE_NAME_BYTES).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_digits_of_the_year_or_four() {
        let at = |tag, text: &str| time((tag, text.as_bytes()));
        let expected = parse_rfc3339(b"2026-11-30T01:02:03Z");
        assert!(expected.is_some());
        assert_eq!(at(der::UTC_TIME, "261130010203Z"), expected);
        assert_eq!(at(der::GENERALIZED_TIME, "20261130010203Z"), expected);
        assert_eq!(at(der::UTC_TIME, "991231235959Z"), parse_rfc3339(b"1999-12-31T23:59:59Z"));
        assert_eq!(at(der::GENERALIZED_TIME, "99991231235959Z"), Some(i64::MAX));
        for wrong in ["", "Z", "261130010203", "2611300102Z", "26113001020xZ"] {
            assert_eq!(at(der::UTC_TIME, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for wrong in [b"".as_slice(), b"\x30\x00", b"\x30\x02\x30\x00", b"\xff\xff\xff", &[0x30; 64]] {
            assert_eq!(Certificate::read(wrong), None);
        }
    }
}
