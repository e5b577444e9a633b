//! The search indexes of the default table: words of messages, and values of fields. Searches use them if they are
//! there, whoever made them, and never depend on them. They also use indexes of trigrams and of keys, which cost so much
//! more that Weir does not make them.

use sqlx::PgConnection;
use weir_query::sql::{Indexes, WORDS};

/// What a search knows about its table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    pub indexes: Indexes,
    /// About how many rows it has.
    pub rows: i64,
}

/// Bytes of a typical row, to estimate the number of rows from the size of the table.
const ROW_BYTES: i64 = 512;

/// The statements that create the indexes. `table` is quoted.
pub fn statements(table: &str) -> [String; 2] {
    [
        format!("CREATE INDEX ON {table} USING gin ({WORDS})"),
        format!("CREATE INDEX ON {table} USING gin (extra_data jsonb_path_ops)"),
    ]
}

/// Whether the database can have them: the index of words contains characters that other encodings lack.
pub async fn are_possible(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting('server_encoding') = 'UTF8'").fetch_one(connection).await
}

/// Looks up a table, of which `table` is the quoted name. `None` if it does not exist.
pub async fn known(connection: &mut PgConnection, table: &str) -> Result<Option<Known>, sqlx::Error> {
    let sql = "SELECT coalesce(sum(pg_relation_size(part)), 0)::bigint FROM \
               (SELECT to_regclass($1)::oid AS part UNION SELECT relid::oid FROM pg_partition_tree(to_regclass($1))) AS parts \
               WHERE part IS NOT NULL HAVING count(*) > 0";
    let bytes: Option<i64> = sqlx::query_scalar(sql).bind(table).fetch_optional(&mut *connection).await?;
    let Some(bytes) = bytes else { return Ok(None) };
    // An index of a partitioned table is valid when all partitions have it.
    let sql = "SELECT pg_get_indexdef(i.indexrelid, key, true), o.opcname::text \
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
               CROSS JOIN LATERAL generate_series(1, i.indnkeyatts) AS key \
               JOIN pg_opclass o ON o.oid = i.indclass[key - 1] \
               WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND a.amname = 'gin'";
    let keys: Vec<(String, String)> = sqlx::query_as(sql).bind(table).fetch_all(connection).await?;
    let has = |wanted: &str, classes: &[&str]| {
        keys.iter().any(|(key, class)| plain(key) == plain(wanted) && classes.contains(&class.as_str()))
    };
    let indexes = Indexes {
        words: has(WORDS, &["array_ops"]),
        trigrams: has("message", &["gin_trgm_ops"]),
        values: has("extra_data", &["jsonb_path_ops", "jsonb_ops"]),
        keys: has("extra_data", &["jsonb_ops"]),
    };
    Ok(Some(Known { indexes, rows: bytes / ROW_BYTES }))
}

/// An expression without what the server adds when it shows it: spaces, parentheses and types.
fn plain(expression: &str) -> String {
    let text = expression.replace("::text", "").replace("character varying", "varchar");
    text.chars().filter(|c| !matches!(c, ' ' | '(' | ')')).collect()
}
