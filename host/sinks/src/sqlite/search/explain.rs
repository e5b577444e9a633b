//! How a query is answered, for people.

use sqlx::SqliteConnection;
use weir_query::Query;

use super::plan::{Few, Plan};
use crate::sqlite::blocks::BLOCK_BITS;

pub async fn explain(connection: &mut SqliteConnection, query: &Query) -> Result<String, sqlx::Error> {
    let plan = Plan::new(connection, query).await?;
    if plan.is_empty() {
        return Ok("nothing is read: no row can match\n".to_owned());
    }
    let mut text = match &plan.few {
        Some(Few { column, values }) => {
            format!("reads the few rows with {column} {} by the index logs_{column}\n", values.join(", "))
        }
        None => of_blocks(connection, &plan).await?,
    };
    text.push_str(&plan.clause.explained());
    Ok(text)
}

async fn of_blocks(connection: &mut SqliteConnection, plan: &Plan) -> Result<String, sqlx::Error> {
    let all: i64 = sqlx::query_scalar("SELECT count(*) FROM logs_blocks").fetch_one(&mut *connection).await?;
    let steps = plan.steps(connection, plan.newest).await?;
    let (mut some, mut by_words) = (0, 0);
    for range in steps.iter().flat_map(|step| &step.ranges) {
        let blocks = (range.last >> BLOCK_BITS) + 1 - (range.first >> BLOCK_BITS);
        some += blocks;
        by_words += if range.uses_words { blocks } else { 0 };
    }
    let rows = 1 << BLOCK_BITS;
    let mut text = format!(
        "reads up to {some} of {all} blocks of {rows} rows, those with the newest rows first, until enough are found\n"
    );
    if let Some(words) = plan.words.as_ref().filter(|_| by_words > 0) {
        text.push_str(&format!(
            "in {by_words} of them only the rows that the search index has for: {}\n",
            words.expression
        ));
    }
    Ok(text)
}
