//! `weir levels`: shows and sets the minimum levels of the running router.

use serde_json::{Map, Value, json};
use weir_ingest::client;
use weir_record::escape::escaped;

use crate::cli::{LevelsArgs, LevelsCommand};
use crate::commands::quarantine;
use crate::levels::OTHERS;

const PATH: &str = "/api/levels";

pub fn run(args: &LevelsArgs) -> anyhow::Result<()> {
    let settings = quarantine::settings(&args.stored)?;
    let router = args.running.router(&settings)?;
    let change = match &args.command {
        None => None,
        Some(LevelsCommand::Set { minimums, duration }) => {
            let levels = minimums.iter().map(|minimum| (minimum.source.clone(), json!(minimum.level.as_str())));
            let duration = duration.map(|time| format!("{}ns", time.as_nanos()));
            Some(json!({ "levels": levels.collect::<Map<_, _>>(), "for": duration }))
        }
        Some(LevelsCommand::Unset { sources }) => {
            let levels = sources.iter().map(|source| (source.clone(), Value::Null));
            Some(json!({ "levels": levels.collect::<Map<_, _>>() }))
        }
    };
    let levels = match change {
        None => client::get_json(&router, PATH)?,
        Some(change) => client::patch_json(&router, PATH, &change)?,
    };
    match args.json {
        true => weir_terminal::json(&levels)?,
        false => weir_terminal::text(&shown(&levels))?,
    }
    Ok(())
}

/// The minimums as a table.
fn shown(answer: &Value) -> String {
    let none = Map::new();
    let levels = answer["levels"].as_object().unwrap_or(&none);
    let mut lines = Vec::new();
    if !levels.contains_key(OTHERS) {
        lines.push(format!("{:<24} everything is stored\n", all_others(levels.len())));
    }
    for (source, level) in levels {
        let name = if source == OTHERS { all_others(levels.len() - 1) } else { &escaped(source) };
        let until = &answer["until"][source];
        let ends = match (until["time"].as_str(), until["then"].as_str()) {
            (None, _) => String::new(),
            (Some(time), Some(then)) => format!(" until {time}, then {then}"),
            (Some(time), None) => format!(" until {time}"),
        };
        lines.push(format!("{name:<24} {}{ends}\n", level.as_str().unwrap_or("as all others")));
    }
    let below = answer["below_level"].as_u64().unwrap_or_default();
    if below > 0 {
        lines.push(format!(
            "\n{} below their minimum since the start\n",
            weir_terminal::count(below, "record", "records")
        ));
    }
    lines.concat()
}

fn all_others(named: usize) -> &'static str {
    if named == 0 { "all sources" } else { "all other sources" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimums_are_a_table() {
        let none = json!({ "levels": {}, "until": {}, "below_level": 0 });
        assert_eq!(shown(&none), "all sources              everything is stored\n");
        let some = json!({
            "levels": { "*": "INFO", "auth": "DEBUG" },
            "until": { "auth": { "time": "2026-11-29T18:00:00Z", "then": "WARNING" } },
            "below_level": 2,
        });
        let lines = [
            "all other sources        INFO\n",
            "auth                     DEBUG until 2026-11-29T18:00:00Z, then WARNING\n",
            "\n2 records below their minimum since the start\n",
        ];
        assert_eq!(shown(&some), lines.concat());
    }
}
