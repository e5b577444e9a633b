//! The kinds of findings, and a finding in a text.

use serde::Deserialize;

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The value of a sensitive key, in the record or in a text.
    Key,
    /// An e-mail address, or the password in a URL.
    Email,
    /// A payment card number.
    Card,
    /// A JSON Web Token.
    Jwt,
    /// The token after `Bearer`.
    Bearer,
    /// A key with a known prefix of a service, such as `AKIA`.
    ServiceKey,
    /// A PEM private key.
    PrivateKey,
    /// A random-looking run of base64.
    Base64,
    /// An IP address.
    Ip,
    /// A match of one of the operator's own patterns.
    Pattern,
}

impl Kind {
    /// All kinds, in order of declaration.
    pub const ALL: [Kind; 10] = [
        Kind::Key,
        Kind::Email,
        Kind::Card,
        Kind::Jwt,
        Kind::Bearer,
        Kind::ServiceKey,
        Kind::PrivateKey,
        Kind::Base64,
        Kind::Ip,
        Kind::Pattern,
    ];

    /// The name in options.
    pub fn name(self) -> &'static str {
        self.counter().trim_start_matches("masked_")
    }

    /// The counter of masked values.
    pub fn counter(self) -> &'static str {
        match self {
            Kind::Key => "masked_key",
            Kind::Email => "masked_email",
            Kind::Card => "masked_card",
            Kind::Jwt => "masked_jwt",
            Kind::Bearer => "masked_bearer",
            Kind::ServiceKey => "masked_service_key",
            Kind::PrivateKey => "masked_private_key",
            Kind::Base64 => "masked_base64",
            Kind::Ip => "masked_ip",
            Kind::Pattern => "masked_pattern",
        }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    /// The empty set.
    pub const NONE: Kinds = Kinds(0);

    /// The set with one more kind.
    pub fn with(self, kind: Kind) -> Self {
        Kinds(self.0 | 1 << kind as u16)
    }

    /// Whether a kind is in the set.
    #[inline]
    pub fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u16 & 1 == 1
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Kinds::NONE, Kinds::with)
    }
}

/// A part of a text to mask. It starts and ends at character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The offset of its first byte.
    pub start: usize,
    /// The offset after its last byte.
    pub end: usize,
    /// Its kind.
    pub kind: Kind,
}
