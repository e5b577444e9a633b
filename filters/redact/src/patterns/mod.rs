//! The detectors: one file per kind of finding.
//!
//! The block scanner only reports candidates; each function here examines the
//! text around one and returns the exact finding, or none. All of them look at a
//! limited number of bytes, or skip what they have seen, so the time is
//! proportional to the length of the text, whatever it contains.

pub mod assignment;
pub mod base64;
pub mod card;
pub mod email;
pub mod ip;
pub mod pem;
pub mod token;
