//! What counts as a finding: one file for each shape.
//!
//! The block scanner only says where something may be; each function here looks
//! around such a place and says exactly what is there, or that nothing is. All
//! look a bounded number of bytes around, or skip what they have seen, so that a
//! text costs time in proportion to its length, whatever is in it.

pub mod assignment;
pub mod base64;
pub mod card;
pub mod email;
pub mod ip;
pub mod pem;
pub mod token;
