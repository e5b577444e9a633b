//! What a token permits.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_query::Query;
use weir_record::Record;

use crate::account::Account;
use crate::limits;
use crate::quota::Quota;
use crate::token::TokenHash;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Send records.
    Ingest,
    /// Read records and the state of the router.
    Read,
    /// Everything, also changing the router.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Ingest, Role::Read, Role::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Read => "read",
            Role::Admin => "admin",
        }
    }

    /// Whether it may do what another role is for.
    pub fn includes(self, other: Role) -> bool {
        self == Role::Admin || self == other
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A token as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Unique; shown in lists and in audit records.
    pub name: String,
    pub role: Role,
    /// Only records with these sources, in any case, with `*` and `?`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Only records with one of these routes. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    pub hash: TokenHash,
    /// When it was made, in nanoseconds since 1970.
    #[serde(default)]
    pub created_ns: i64,
    /// When it ends, in nanoseconds since 1970. `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ns: Option<i64>,
}

/// Why an entry can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Its name.
    #[error("the name of a token has 1 to {max} letters, digits, `-`, `_` and `.`, not `{name}`", max = limits::MAX_NAME_BYTES)]
    Name { name: String },
    /// Its sources or routes.
    #[error("token `{name}`: {reason}")]
    Scope { name: String, reason: String },
}

/// A token's entry, ready to be asked.
#[derive(Debug)]
pub struct Grant {
    pub entry: TokenEntry,
    scope: Option<Query>,
    quota: Quota,
    account: Arc<Account>,
}

impl Grant {
    /// Checks an entry.
    ///
    /// # Errors
    /// Why it can't be used.
    pub fn new(entry: TokenEntry) -> Result<Grant, GrantError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=limits::MAX_NAME_BYTES).contains(&entry.name.len()) || !entry.name.bytes().all(is_plain) {
            return Err(GrantError::Name { name: entry.name });
        }
        let scope = scope(&entry).map_err(|reason| GrantError::Scope { name: entry.name.clone(), reason })?;
        Ok(Grant { scope, quota: Quota::default(), account: Account::of_token(&entry.name), entry })
    }

    /// With a quota of its own.
    #[must_use]
    pub fn with_quota(self, quota: Quota) -> Grant {
        Grant { quota, ..self }
    }

    /// With what an earlier grant of the same token has in use.
    pub(crate) fn continuing(self, earlier: Option<&Arc<Grant>>) -> Grant {
        let account = earlier.map_or_else(|| self.account.clone(), |earlier| earlier.account.clone());
        Grant { account, ..self }
    }

    /// Of the key in the data folder.
    pub(crate) fn of_data_folder(hash: TokenHash) -> Grant {
        let entry = TokenEntry {
            name: "data-folder".to_owned(),
            role: Role::Admin,
            sources: Vec::new(),
            routes: Vec::new(),
            hash,
            created_ns: 0,
            expires_ns: None,
        };
        Grant { scope: None, quota: Quota::default(), account: Account::of_token(&entry.name), entry }
    }

    /// The records that it is limited to; `None`: all.
    pub fn scope(&self) -> Option<&Query> {
        self.scope.as_ref()
    }

    /// What it may use; what isn't set is left to the caller's address.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }

    /// What it uses.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether a record is among those that it is limited to.
    pub fn admits(&self, record: Record<'_>) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.matches(record))
    }

    /// Whether it has ended.
    pub fn has_expired(&self, now_ns: i64) -> bool {
        self.entry.expires_ns.is_some_and(|end| end <= now_ns)
    }
}

fn scope(entry: &TokenEntry) -> Result<Option<Query>, String> {
    if entry.role == Role::Admin && !(entry.sources.is_empty() && entry.routes.is_empty()) {
        return Err("an admin can't be limited to some sources or routes".into());
    }
    if entry.role == Role::Ingest && !entry.routes.is_empty() {
        return Err("only reading can be limited to routes: filters set them after records have arrived".into());
    }
    let mut scope: Option<Query> = None;
    for (field, values) in [("source", &entry.sources), ("routes", &entry.routes)] {
        let is_usable = |value: &String| (1..=limits::MAX_PATTERN_BYTES).contains(&value.len());
        if values.len() > limits::MAX_SCOPE || !values.iter().all(is_usable) {
            return Err(format!(
                "there can be {} {field} patterns of 1 to {} bytes",
                limits::MAX_SCOPE,
                limits::MAX_PATTERN_BYTES
            ));
        }
        if !values.is_empty() {
            let limited = Query::one_of(field, values)?;
            scope = Some(match scope {
                Some(scope) => scope.and(&limited),
                None => limited,
            });
        }
    }
    Ok(scope)
}
