//! Options of a `postgres` sink, and the connection that they describe.
//!
//! Nothing here opens anything. The URL takes precedence over the single options, so that a password can come from the
//! environment while everything else is in the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use weir_document::Secret;

use super::mapping::Feed;
use crate::limits;
use crate::units::TimeSpan;

/// Options of a `postgres` sink.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=verify-full`; the options below fill in missing parts.
    #[serde(default)]
    pub url: Option<Secret>,
    /// The server's name, or the folder of its socket.
    #[serde(default)]
    pub host: Option<String>,
    /// The server's port; default 5432.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The user; default the system user.
    #[serde(default)]
    pub user: Option<String>,
    /// The password; if none is set, `~/.pgpass` is used.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The database; default the name of the user.
    #[serde(default)]
    pub database: Option<String>,
    /// Whether the connection is encrypted, and the server's certificate checked; default `prefer`.
    #[serde(default)]
    pub sslmode: Option<SslMode>,
    /// A PEM file with the authority that signed the server's certificate.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Prefix of the names of Weir's tables: `weir` makes `weir_logs` and `weir_cursor`.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// The schema of the tables, created if missing; default the first one in the server's search path.
    #[serde(default)]
    pub schema: Option<String>,
    /// The table, created if missing; default `{prefix}_logs`.
    #[serde(default)]
    pub table: Option<String>,
    /// The columns and their paths, instead of the default ones: `column = "path"`. Of a list of paths, the first one
    /// that the record has is used. `*` is everything that has no other column, as JSON.
    #[serde(default)]
    pub columns: Option<BTreeMap<String, Feed>>,
    /// Whether a default table that Weir creates gets indexes over the words of messages and the values of fields, for
    /// searches. Existing tables are not changed. The server takes three to four times as long to store a record with
    /// them.
    #[serde(default = "default_search")]
    pub search: bool,
    /// Records older than this, by their own time, are deleted; absent: never.
    #[serde(default)]
    pub retention: Option<TimeSpan>,
    /// `day`: the table has a partition for each day (UTC), which retention drops whole.
    #[serde(default)]
    pub partition: Partition,
    /// A field whose value is unique, such as `nats.id`: of records with the same value, only the first is stored,
    /// whichever router wrote it. The values are in the table `{prefix}_unique`. Absent: every record is stored.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"nats.id")]
    pub unique: Option<String>,
    /// How long the values of `unique` are remembered.
    #[serde(default = "default_unique_window")]
    pub unique_window: TimeSpan,
    /// Maximum number of records per transaction.
    #[serde(default = "default_batch")]
    #[schemars(range(min = 1, max = 50_000))]
    pub batch: usize,
    /// How long records may wait for a full transaction.
    #[serde(default = "default_linger")]
    pub linger: TimeSpan,
    /// Time limit for connecting.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: TimeSpan,
    /// Time limit for one statement.
    #[serde(default = "default_statement_timeout")]
    pub statement_timeout: TimeSpan,
    /// Time limit for waiting for a lock that another session holds.
    #[serde(default = "default_lock_timeout")]
    pub lock_timeout: TimeSpan,
}

/// The modes of libpq.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server accepts nothing else.
    Allow,
    /// Encrypted if the server supports it.
    Prefer,
    /// Encrypted, without checking the server.
    Require,
    /// Encrypted, with a certificate of a trusted authority.
    VerifyCa,
    /// Encrypted, with a certificate of a trusted authority for this very host.
    VerifyFull,
}

/// How the table is partitioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Partition {
    /// Not partitioned.
    #[default]
    None,
    /// A partition per day.
    Day,
}

fn default_prefix() -> String {
    "weir".into()
}

fn default_search() -> bool {
    true
}

fn default_unique_window() -> TimeSpan {
    TimeSpan(limits::POSTGRES_UNIQUE_WINDOW)
}

fn default_batch() -> usize {
    limits::POSTGRES_BATCH
}

fn default_linger() -> TimeSpan {
    TimeSpan(limits::POSTGRES_LINGER)
}

fn default_connect_timeout() -> TimeSpan {
    TimeSpan(limits::POSTGRES_CONNECT)
}

fn default_statement_timeout() -> TimeSpan {
    TimeSpan(limits::POSTGRES_STATEMENT)
}

fn default_lock_timeout() -> TimeSpan {
    TimeSpan(limits::POSTGRES_LOCK)
}

impl PostgresOptions {
    /// The table's name.
    pub fn table_name(&self) -> String {
        self.table.clone().unwrap_or_else(|| format!("{}_logs", self.prefix))
    }

    /// The name of the table that holds the values of `unique`.
    pub fn unique_name(&self) -> String {
        format!("{}_unique", self.prefix)
    }

    /// The name of the table that holds the cursors.
    pub fn cursor_name(&self) -> String {
        format!("{}_cursor", self.prefix)
    }

    /// True if each day has a partition.
    pub fn by_day(&self) -> bool {
        self.partition == Partition::Day
    }

    /// Checks the options as far as possible without a server.
    pub fn check(&self) -> Result<(), String> {
        if self.url.is_none() && self.host.is_none() {
            return Err("no server is configured: set `url` (or WEIR_POSTGRES_URL) or `host` (or PGHOST)".into());
        }
        if !(1..=limits::POSTGRES_MAX_BATCH).contains(&self.batch) {
            return Err(format!("`batch` must be between 1 and {}", limits::POSTGRES_MAX_BATCH));
        }
        let waits = [
            ("connect_timeout", self.connect_timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
        ];
        if let Some((name, _)) = waits.iter().find(|(_, wait)| wait.duration() < Duration::from_millis(1)) {
            return Err(format!("`{name}` must be at least \"1ms\""));
        }
        // Leaves room for suffixes: `_p20261120`, `_cursor`.
        let longest = limits::POSTGRES_NAME_BYTES - "_p00000000".len();
        for (option, name) in [("prefix", self.cursor_name()), ("table", self.table_name())] {
            if name.len() > longest || name.contains('\0') || name.is_empty() {
                return Err(format!(
                    "`{option}` gives the name `{name}`, but a table's name must have 1 to {longest} bytes"
                ));
            }
        }
        if self.schema.as_ref().is_some_and(|name| name.is_empty() || name.contains('\0')) {
            return Err("`schema` must be a name; leave it out for the server's search path".into());
        }
        Ok(())
    }

    /// The connection options. Reads the `PG…` variables and `~/.pgpass` as other clients do. Errors contain no
    /// secrets.
    pub fn connection(&self) -> Result<PgConnectOptions, String> {
        let mut said = Url::parse("postgres://").map_err(|error| error.to_string())?;
        let mut options = PgConnectOptions::new();
        if let Some(text) = self.url.as_ref().map(Secret::expose) {
            said = Url::parse(text).map_err(|error| format!("`url` is not a URL: {error}"))?;
            if !matches!(said.scheme(), "postgres" | "postgresql") {
                return Err("`url` must begin with `postgres://`".into());
            }
            options =
                PgConnectOptions::from_str(text).map_err(|_| "`url` is not a valid PostgreSQL URL".to_string())?;
        }
        let asks = |keys: &[&str]| said.query_pairs().any(|(key, _)| keys.contains(&&*key));
        if let Some(host) = self.host.as_ref().filter(|_| !said.has_host() && !asks(&["host", "hostaddr"])) {
            options = if host.starts_with('/') { options.socket(host) } else { options.host(host) };
        }
        if let Some(port) = self.port.filter(|_| said.port().is_none() && !asks(&["port"])) {
            options = options.port(port);
        }
        if let Some(user) = self.user.as_ref().filter(|_| said.username().is_empty() && !asks(&["user"])) {
            options = options.username(user);
        }
        if let Some(password) = self.password.as_ref().filter(|_| said.password().is_none() && !asks(&["password"])) {
            options = options.password(password.expose());
        }
        if let Some(database) = self.database.as_ref().filter(|_| said.path().len() <= 1 && !asks(&["dbname"])) {
            options = options.database(database);
        }
        if let Some(mode) = self.sslmode.filter(|_| !asks(&["sslmode", "ssl-mode"])) {
            options = options.ssl_mode(match mode {
                SslMode::Disable => PgSslMode::Disable,
                SslMode::Allow => PgSslMode::Allow,
                SslMode::Prefer => PgSslMode::Prefer,
                SslMode::Require => PgSslMode::Require,
                SslMode::VerifyCa => PgSslMode::VerifyCa,
                SslMode::VerifyFull => PgSslMode::VerifyFull,
            });
        }
        if let Some(ca) = self.ca.as_ref().filter(|_| !asks(&["sslrootcert", "ssl-root-cert", "ssl-ca"])) {
            options = options.ssl_root_cert(ca);
        }
        Ok(options.application_name("weir").disable_statement_logging())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn options(given: Value) -> PostgresOptions {
        serde_json::from_value(given).expect("options")
    }

    #[test]
    fn the_url_takes_precedence_and_options_fill_in_the_rest() {
        let with = |url: &str| {
            let given =
                json!({ "url": url, "host": "other", "port": 1, "user": "o", "database": "od", "password": "pw" });
            options(given).connection().expect("fine")
        };
        let full = with("postgres://me:secret@db:5433/logs");
        assert_eq!((full.get_host(), full.get_port(), full.get_username()), ("db", 5433, "me"));
        assert_eq!(full.get_database(), Some("logs"));
        let bare = with("postgresql://db");
        assert_eq!((bare.get_host(), bare.get_port(), bare.get_username()), ("db", 1, "o"));
        assert_eq!(bare.get_database(), Some("od"));
        assert!(bare.to_url_lossy().as_str().contains("o:pw@"), "the password is filled in");
        let socket = options(json!({ "host": "/run/postgresql" })).connection().expect("fine");
        assert_eq!(socket.get_socket().map(|path| path.to_string_lossy().into_owned()), Some("/run/postgresql".into()));
    }

    #[test]
    fn errors_name_the_option_and_contain_no_secret() {
        for (given, named) in [
            (json!({}), "WEIR_POSTGRES_URL"),
            (json!({ "host": "db", "batch": 0 }), "`batch`"),
            (json!({ "host": "db", "batch": 50_001 }), "`batch`"),
            (json!({ "host": "db", "lock_timeout": "0" }), "`lock_timeout`"),
            (json!({ "host": "db", "table": "" }), "`table`"),
            (json!({ "host": "db", "prefix": "x".repeat(60) }), "`prefix`"),
            (json!({ "host": "db", "schema": "" }), "`schema`"),
        ] {
            let error = options(given).check().expect_err(named);
            assert!(error.contains(named), "{error}");
        }
        for url in [
            "secret",
            "mysql://me:secret@db/",
            "postgres://me:secret@db:99999/",
            "postgres://me:secret@db/?sslmode=secret",
        ] {
            let error = options(json!({ "url": url })).connection().map(drop).expect_err(url);
            assert!(error.contains("`url`") && !error.contains("secret"), "{error}");
        }
    }
}
