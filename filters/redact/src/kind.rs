//! What kinds of things are found, and a finding in a text.

use serde::Deserialize;

/// What was found.
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
    /// A key that its service begins with a mark of its own, such as `AKIA`.
    ServiceKey,
    /// A private key in PEM form.
    PrivateKey,
    /// A random-looking run of base64.
    Base64,
    /// An IP address.
    Ip,
    /// A match of one of the operator's own patterns.
    Pattern,
}

impl Kind {
    /// All kinds, in the order of their declaration.
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

    /// As it stands in options.
    pub fn name(self) -> &'static str {
        self.counter().trim_start_matches("masked_")
    }

    /// The counter of what was masked.
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
    /// No kind.
    pub const NONE: Kinds = Kinds(0);

    /// The set with one kind more.
    pub fn with(self, kind: Kind) -> Self {
        Kinds(self.0 | 1 << kind as u16)
    }

    /// Whether a kind is in it.
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

/// A part of a text that is to be masked. It begins and ends at characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}
