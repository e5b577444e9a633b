//! The limits of this filter, with their units and reasons.

/// Maximum depth of maps and lists. Weir sends at most 64 levels; more means that
/// the bytes are not a record, and recursion must end.
pub const MAX_DEPTH: usize = 128;

/// Maximum length of a sensitive key in bytes, without separators. Keys longer
/// than all configured ones need not be looked at.
pub const MAX_KEY_BYTES: usize = 64;

/// How many bytes before a `=` or `:` are searched for a key: the longest key,
/// its separators and quotes.
pub const MAX_NAME_LOOKBACK_BYTES: usize = 96;

/// Maximum length of an e-mail address before the `@` in bytes (RFC 5321).
pub const MAX_EMAIL_LOCAL_BYTES: usize = 64;

/// Maximum length of a domain name in bytes (RFC 1035).
pub const MAX_DOMAIN_BYTES: usize = 253;

/// Maximum length of user and password in a URL in bytes: longer than any
/// password that a person or a generator makes.
pub const MAX_USERINFO_BYTES: usize = 320;

/// Length in bytes of the shortest text that can contain a finding: `pw=x`.
pub const MIN_TEXT_BYTES: usize = 4;

/// Minimum length of a run of base64 that is taken for a secret if its entropy is
/// high enough.
pub const MIN_BASE64_BYTES: usize = 20;

/// Minimum and maximum number of digits in a payment card number.
pub const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Minimum length of the key for the mode `hash` in bytes: shorter ones could be
/// guessed.
pub const MIN_HASH_KEY_BYTES: usize = 16;

/// Minimum length of a value of which the mode `partial` shows the last four
/// characters. Of shorter ones, four would reveal too much.
pub const MIN_PARTIAL_CHARS: usize = 12;

/// Maximum number of the operator's patterns; each is tried on every string.
pub const MAX_OWN_PATTERNS: usize = 32;
