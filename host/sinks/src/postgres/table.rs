//! The table: created if missing, otherwise checked, so that mismatching columns are reported at the start.
//!
//! An existing table is never changed. Only identifiers come from the options into statements, and they are quoted.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::indexes;
use super::mapping::ColumnSpec;
use super::row::{Column, Kind};

/// Advisory lock held while tables are created, so that routers that start together don't interfere. "WeirPg".
const MAKING_LOCK: i64 = 0x5765_6972_5067;

/// The schema of all tables.
pub struct TableNames {
    pub schema: String,
}

/// The existing table.
pub struct Table {
    pub columns: Vec<Column>,
    /// True if it is partitioned, by day or otherwise.
    pub partitioned: bool,
    /// The single column of a range partitioning.
    pub ranged_by: Option<String>,
}

/// Why a table can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// An operator must change the table or the options.
    #[error("{0}")]
    Unfit(String),
    /// The server returned an error.
    #[error(transparent)]
    Server(#[from] sqlx::Error),
}

/// A quoted SQL identifier, safe for any name.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl TableNames {
    /// The configured schema, created if missing, or the first one in the search path.
    pub async fn find(connection: &mut PgConnection, schema: Option<&str>) -> Result<TableNames, TableError> {
        let Some(schema) = schema else {
            let current: Option<String> =
                sqlx::query_scalar("SELECT current_schema()::text").fetch_one(connection).await?;
            let none = || TableError::Unfit("the user's search path has no schema; set `schema`".into());
            return Ok(TableNames { schema: current.ok_or_else(none)? });
        };
        let names = TableNames { schema: schema.into() };
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(schema)
            .fetch_one(&mut *connection)
            .await?;
        if !there {
            let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
            names.making(connection, "", &[sql]).await?;
        }
        Ok(names)
    }

    /// A qualified name for statements.
    pub fn qualified(&self, name: &str) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(name))
    }

    /// The kind of relation of that name: `r` table, `p` partitioned table, `v` view …
    pub async fn kind_of(&self, connection: &mut PgConnection, name: &str) -> Result<Option<String>, sqlx::Error> {
        let sql = "SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relname = $2";
        sqlx::query_scalar(sql).bind(&self.schema).bind(name).fetch_optional(connection).await
    }

    /// Creates the relation of that name with these statements, in one transaction, unless another Weir was faster.
    pub async fn making(
        &self,
        connection: &mut PgConnection,
        name: &str,
        statements: &[String],
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MAKING_LOCK).execute(&mut *transaction).await?;
        if self.kind_of(&mut transaction, name).await?.is_some() {
            return Ok(());
        }
        for sql in statements {
            sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}

/// Creates the table if it is missing, and inspects it. A new table gets the indexes for searches if it `is_searched`.
pub async fn prepare(
    connection: &mut PgConnection,
    names: &TableNames,
    name: &str,
    wanted: &[ColumnSpec],
    by_day: bool,
    is_searched: bool,
) -> Result<Table, TableError> {
    let kind = match names.kind_of(connection, name).await? {
        Some(kind) => kind,
        None => {
            let mut statements = statements(names, name, wanted, by_day)?;
            if is_searched && indexes::are_possible(connection).await? {
                statements.extend(indexes::statements(&names.qualified(name)));
            }
            names.making(connection, name, &statements).await?;
            names.kind_of(connection, name).await?.unwrap_or_default()
        }
    };
    if !matches!(kind.as_str(), "r" | "p" | "f") {
        return Err(TableError::Unfit(format!("`{name}` is not a table; use another `table`")));
    }
    let columns = columns(connection, names, name, wanted).await?;
    let sql = "SELECT a.attname::text FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid \
               JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] \
               WHERE p.partstrat = 'r' AND p.partnatts = 1 AND n.nspname = $1 AND c.relname = $2";
    let ranged_by = sqlx::query_scalar(sql).bind(&names.schema).bind(name).fetch_optional(connection).await?;
    Ok(Table { columns, partitioned: kind == "p", ranged_by })
}

/// The statements that create it.
fn statements(names: &TableNames, name: &str, wanted: &[ColumnSpec], by_day: bool) -> Result<Vec<String>, TableError> {
    let table = names.qualified(name);
    let column_of = |path: &str| wanted.iter().find(|column| column.takes(path)).map(|column| quoted(&column.name));
    let time = column_of("timestamp");
    let mut lines = Vec::new();
    if !wanted.iter().any(|column| column.name == "id") {
        lines.push(if by_day { "id bigserial".into() } else { "id bigserial PRIMARY KEY".into() });
    }
    lines.extend(wanted.iter().map(|column| format!("{} {}", quoted(&column.name), column.sql)));
    if !wanted.iter().any(|column| column.name == "created_at") {
        lines.push("created_at timestamptz DEFAULT now()".into());
    }
    let mut cut = String::new();
    if by_day {
        let unfit = || TableError::Unfit("`partition = \"day\"` needs a column that contains `timestamp`".into());
        let time = time.as_ref().ok_or_else(unfit)?;
        if lines[0].starts_with("id ") {
            lines.push(format!("PRIMARY KEY (id, {time})"));
        }
        cut = format!(" PARTITION BY RANGE ({time})");
    }
    let mut statements = vec![format!("CREATE TABLE {table}({}){cut}", lines.join(", "))];
    let (level, source) = (column_of("level"), column_of("source"));
    let together: Vec<_> = [&time, &level, &source].into_iter().flatten().cloned().collect();
    let single = [time.map(|time| format!("{time} DESC")), level, source, column_of("hostname")];
    let mut indexes: Vec<String> = single.into_iter().flatten().collect();
    if together.len() == 3 {
        indexes.push(together.join(", "));
    }
    statements.extend(indexes.iter().map(|columns| format!("CREATE INDEX ON {table} ({columns})")));
    Ok(statements)
}

/// A column from the catalogue: name, type, type modifier, not null, has a default, is computed, type as written.
type Found = (String, String, i32, bool, bool, bool, String);

async fn columns(
    connection: &mut PgConnection,
    names: &TableNames,
    name: &str,
    wanted: &[ColumnSpec],
) -> Result<Vec<Column>, TableError> {
    let sql = "SELECT a.attname::text, t.typname::text, a.atttypmod, a.attnotnull, \
               a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', format_type(a.atttypid, a.atttypmod) \
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid \
               JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let found: Vec<Found> = sqlx::query_as(sql).bind(&names.schema).bind(name).fetch_all(connection).await?;
    let mut columns = Vec::with_capacity(wanted.len());
    let mut faults = Vec::new();
    for column in wanted {
        let Some((_, kind, modifier, required, _, computed, written)) = found.iter().find(|f| f.0 == column.name)
        else {
            faults.push(format!(
                "it has no column `{0}`: `ALTER TABLE {1} ADD COLUMN {2} {3}`, or leave `{0}` out of `columns`",
                column.name,
                names.qualified(name),
                quoted(&column.name),
                column.sql.trim_end_matches(" NOT NULL")
            ));
            continue;
        };
        let kind = Kind::of(kind, *modifier);
        match unfit(column, &kind, *computed) {
            Some(reason) => faults.push(format!(
                "column `{}` is {written}, {reason}; change its type or its path in `columns`",
                column.name
            )),
            None => columns.push(Column { name: column.name.clone(), kind, required: *required }),
        }
    }
    let unfed = |f: &&Found| f.3 && !f.4 && !f.5 && !wanted.iter().any(|column| column.name == f.0);
    faults.extend(found.iter().filter(unfed).map(|(name, ..)| {
        format!("column `{name}` must not be null and has no path: add one in `columns`, or give the column a default")
    }));
    match faults.is_empty() {
        true => Ok(columns),
        false => Err(TableError::Unfit(format!("table `{name}` doesn't fit: {}", faults.join("; ")))),
    }
}

/// Why a column can't hold its configured value.
fn unfit(column: &ColumnSpec, kind: &Kind, computed: bool) -> Option<&'static str> {
    let text = matches!(kind, Kind::Text { .. } | Kind::Json | Kind::Other);
    let number = matches!(kind, Kind::Int { most: i64::MAX, .. } | Kind::Numeric);
    if computed {
        return Some("which the server computes itself");
    }
    if column.is_rest() {
        let holds = matches!(kind, Kind::Json | Kind::Text { most: None });
        return (!holds).then_some("which can't hold everything else as JSON (jsonb, json and text can)");
    }
    if column.paths == ["timestamp"] && !(text || number || matches!(kind, Kind::Time | Kind::Date)) {
        return Some("which can't hold a time (timestamptz can, and bigint holds its nanoseconds)");
    }
    let texts = ["level", "source", "message"];
    let only_text = column.paths.iter().all(|path| texts.contains(&path.as_str()));
    (only_text && !text).then_some("which can't hold text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_identifier_is_quoted() {
        assert_eq!(quoted("logs"), "\"logs\"");
        assert_eq!(quoted("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
    }
}
