//! Every bound of this filter, with its unit and reason.

/// Levels of maps and lists. Weir sends at most 64; more means that the bytes
/// are no record, and recursion must end.
pub const MAX_DEPTH: usize = 128;

/// Bytes of a sensitive key, separators left out. Longer keys than any
/// configured one need not be looked at.
pub const MAX_KEY_BYTES: usize = 64;

/// Bytes looked at before a `=` or `:` in text for the name of a key: the
/// longest key, its separators and quotes.
pub const MAX_NAME_LOOKBACK_BYTES: usize = 96;

/// Bytes of an e-mail address before the `@` (RFC 5321).
pub const MAX_EMAIL_LOCAL_BYTES: usize = 64;

/// Bytes of a domain name (RFC 1035).
pub const MAX_DOMAIN_BYTES: usize = 253;

/// Bytes of user and password in a URL: longer ones are no password that a
/// person or a generator makes.
pub const MAX_USERINFO_BYTES: usize = 320;

/// Bytes of the shortest text in which something can be found: `pw=x`.
pub const MIN_TEXT_BYTES: usize = 4;

/// Characters from which on a run of base64 is taken for a secret, if its
/// entropy says so.
pub const MIN_BASE64_BYTES: usize = 20;

/// Digits of a payment card number.
pub const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Bytes of the key for the mode `hash`: fewer could be guessed by trying.
pub const MIN_HASH_KEY_BYTES: usize = 16;

/// Characters of a value of which the mode `partial` shows the last four. Of
/// shorter ones four would be too much.
pub const MIN_PARTIAL_CHARS: usize = 12;

/// Own patterns; each is tried on every string.
pub const MAX_OWN_PATTERNS: usize = 32;
