//! A certificate that is signed with its own key, for a start and for machines without an authority.
//!
//! It is for a server alone and no authority: whoever gets the key can't sign others with it.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use weir_record::time::format_rfc3339;

use super::der::{self, element};

const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const TRUE: &[u8] = &[0x01, 0x01, 0xff];

/// A certificate and its key, as PEM.
pub struct SelfSigned {
    pub certificate: String,
    pub key: String,
}

impl SelfSigned {
    /// A certificate for these DNS names and addresses, and for this time, with a new key on the curve P-256.
    ///
    /// # Errors
    /// The operating system has no random numbers.
    pub fn new(hosts: &[String], begins_ns: i64, expires_ns: i64) -> Result<SelfSigned, Unspecified> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).map_err(|_| Unspecified)?;
        let mut serial = [0; 16];
        random.fill(&mut serial)?;
        // Positive, and its first digit is not 0.
        serial[0] = serial[0] & 0x7f | 0x40;
        let contents = contents(hosts, [begins_ns, expires_ns], pair.public_key().as_ref(), &serial);
        let signature = pair.sign(&random, &contents)?;
        let certificate = sequence(&[&contents, &signed_with(), &bits(signature.as_ref())]);
        Ok(SelfSigned { certificate: pem("CERTIFICATE", &certificate), key: pem("PRIVATE KEY", key.as_ref()) })
    }
}

/// What is signed.
fn contents(hosts: &[String], validity: [i64; 2], public_key: &[u8], serial: &[u8]) -> Vec<u8> {
    let version_3 = element(der::explicit(0), &[&element(der::INTEGER, &[&[2]])]);
    let attribute = sequence(&[&oid(ORGANIZATION), &element(der::UTF8_STRING, &[b"Weir, self-signed"])]);
    let name = sequence(&[&element(der::SET, &[&attribute])]);
    let [begins, expires] = validity.map(time);
    let key = sequence(&[&sequence(&[&oid(EC_PUBLIC_KEY), &oid(P256)]), &bits(public_key)]);
    let names: Vec<Vec<u8>> = hosts.iter().map(|host| alternative_name(host)).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    // Of 8 bits, the first: signatures.
    let digital_signature = element(der::BIT_STRING, &[&[7, 0x80]]);
    let key_id = digest(&SHA1_FOR_LEGACY_USE_ONLY, public_key);
    let extensions = sequence(&[
        &extension(ALTERNATIVE_NAMES, false, &sequence(&names)),
        &extension(KEY_USAGE, true, &digital_signature),
        &extension(EXTENDED_KEY_USAGE, false, &sequence(&[&oid(SERVER_AUTH)])),
        &extension(SUBJECT_KEY_ID, false, &element(der::OCTET_STRING, &[key_id.as_ref()])),
    ]);
    sequence(&[
        &version_3,
        &element(der::INTEGER, &[serial]),
        &signed_with(),
        &name,
        &sequence(&[&begins, &expires]),
        &name,
        &key,
        &element(der::explicit(3), &[&extensions]),
    ])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(der::SEQUENCE, parts)
}

fn oid(identifier: &[u8]) -> Vec<u8> {
    element(der::OID, &[identifier])
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    element(der::BIT_STRING, &[&[0], bytes])
}

fn signed_with() -> Vec<u8> {
    sequence(&[&oid(ECDSA_WITH_SHA256)])
}

fn extension(identifier: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if is_critical { TRUE } else { &[] };
    sequence(&[&oid(identifier), critical, &element(der::OCTET_STRING, &[value])])
}

fn alternative_name(host: &str) -> Vec<u8> {
    match host.parse() {
        Ok(IpAddr::V4(address)) => element(der::implicit(7), &[&address.octets()]),
        Ok(IpAddr::V6(address)) => element(der::implicit(7), &[&address.octets()]),
        Err(_) => element(der::implicit(2), &[host.as_bytes()]),
    }
}

/// RFC 5280 wants two digits of the year up to 2049.
fn time(ns: i64) -> Vec<u8> {
    let mut text = Vec::new();
    format_rfc3339(ns, &mut text);
    let mut digits: Vec<u8> = text.into_iter().filter(u8::is_ascii_digit).take(14).collect();
    digits.push(b'Z');
    match &digits[..4] < b"2050".as_slice() {
        true => element(der::UTC_TIME, &[&digits[2..]]),
        false => element(der::GENERALIZED_TIME, &[&digits]),
    }
}

/// The text form of something encoded (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text + &format!("\n-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use weir_record::time::parse_rfc3339;

    use super::*;
    use crate::tls::certificate::Certificate;

    #[test]
    fn it_says_what_was_asked_for() {
        for (begins, expires) in
            [("2026-11-30T00:00:00Z", "2027-11-30T00:00:00Z"), ("2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z")]
        {
            let [begins_ns, expires_ns] = [begins, expires].map(|text| parse_rfc3339(text.as_bytes()).expect("a time"));
            let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
            let made = SelfSigned::new(&hosts, begins_ns, expires_ns).expect("random numbers");
            let der = CertificateDer::from_pem_slice(made.certificate.as_bytes()).expect("PEM");
            let read = Certificate::read(&der).expect("a certificate");
            assert_eq!(read.names, ["localhost"]);
            assert_eq!((read.begins_ns, read.expires_ns), (begins_ns, expires_ns));
            assert!(made.key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        }
    }
}
