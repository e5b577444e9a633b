//! IP addresses, which are searched for only if `detect` includes them.
//!
//! Not part of the block scan: the text is scanned again, so there is no cost
//! without the option.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::kind::{Finding, Kind};

/// Length in bytes of the longest address, an IPv6 one that ends in an IPv4 one.
const MAX_BYTES: usize = 45;

/// Length in bytes of the longest port with its colon.
const MAX_PORT_BYTES: usize = 6;

/// All IP addresses in a text.
pub fn find(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while from < bytes.len() {
        if !is_part(bytes[from]) {
            from += 1;
            continue;
        }
        let len = bytes[from..].iter().take_while(|byte| is_part(**byte)).count();
        let joined = |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let start = from + leading_colon(&text[from..from + len]);
        let apart = start > from || from == 0 || !joined(from - 1);
        if len <= MAX_BYTES + MAX_PORT_BYTES && apart && !joined(from + len) {
            let address = text[start..from + len].trim_end_matches(['.', ':']);
            if let Some(len) = address_len(address) {
                found.push(Finding { start, end: start + len, kind: Kind::Ip });
            }
        }
        from += len;
    }
}

/// One colon before an address is punctuation; two start an IPv6 address.
fn leading_colon(run: &str) -> usize {
    usize::from(run.starts_with(':') && !run.starts_with("::"))
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')
}

/// The length of the address in a run: all of it, or the part before a port.
fn address_len(run: &str) -> Option<usize> {
    if run.parse::<Ipv4Addr>().is_ok() {
        return Some(run.len());
    }
    // `::` alone and times such as `10:00:00` are not addresses.
    if run.len() > 2 && run.parse::<Ipv6Addr>().is_ok() {
        return Some(run.len());
    }
    let (address, port) = run.split_once(':')?;
    let is_port = port.parse::<u16>().is_ok();
    (is_port && address.parse::<Ipv4Addr>().is_ok()).then_some(address.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut findings = Vec::new();
        find(text, &mut findings);
        findings.iter().map(|finding| &text[finding.start..finding.end]).collect()
    }

    #[test]
    fn addresses_are_found_without_port_and_punctuation() {
        assert_eq!(found("from 10.0.0.1:8080 to 192.168.1.254."), ["10.0.0.1", "192.168.1.254"]);
        assert_eq!(found("[2001:db8::1]:443, ::1 and fe80::1%eth0"), ["2001:db8::1", "::1", "fe80::1"]);
        assert_eq!(found("ip:10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(found("::ffff:10.0.0.1"), ["::ffff:10.0.0.1"]);
    }

    #[test]
    fn what_only_has_dots_or_colons_is_left_alone() {
        for text in [
            "10:00:00",
            "1.2.3",
            "1.2.3.4.5",
            "version 300.1.2.3",
            "::",
            "v1.2.3.4",
            "a::b::c",
            "00:1a:2b:3c:4d:5e",
            "ab.cd",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
