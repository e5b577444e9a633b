//! The compiled options, validated once and applied to every record.
//!
//! All errors in options are found here and reported with the name of the option.
//! Some paths exist in every record and have a meaning in Weir, so they can't be
//! removed and accept only certain values: see [`Target`].

use weir_guest::{Encode, Encoded, Level, OptionError, Path};

use crate::limits::{MAX_PATH_DEPTH, MAX_PATHS, MAX_TABLES};
use crate::options::{Options, TableOptions};
use crate::table::Table;
use crate::template::Template;

fn wrong<T>(option: &str, problem: impl Into<String>) -> Result<T, OptionError> {
    Err(OptionError::new(option, problem))
}

/// The compiled options.
#[derive(Debug)]
pub struct Plan {
    pub overwrite: bool,
    pub moves: Vec<Move>,
    pub additions: Vec<Addition>,
    pub lookups: Vec<Lookup>,
    pub message: Option<Template>,
    pub removals: Vec<Path>,
}

/// A copy, or a rename, which is a copy that removes its source.
#[derive(Debug)]
pub struct Move {
    pub from: Path,
    pub to: Target,
    pub rename: bool,
}

/// A value that is the same for every record.
#[derive(Debug)]
pub struct Addition {
    pub place: Place,
    pub value: Encoded,
}

/// A lookup in a table.
#[derive(Debug)]
pub struct Lookup {
    pub field: Path,
    pub table: Table,
    /// The target path of each column.
    pub places: Vec<Place>,
}

/// A path and the paths of its parents.
#[derive(Debug)]
pub struct Place {
    pub path: Path,
    pub parents: Vec<Path>,
}

/// The target of a copied value, which determines the accepted type.
#[derive(Debug)]
pub enum Target {
    Any(Path),
    /// `context` and `metadata`, which are maps.
    Map(Path),
    /// `message` and `source`, which are text.
    Text(Path),
    /// `level`, which is one of six values.
    Level,
}

impl Plan {
    pub fn make(options: Options) -> Result<Self, OptionError> {
        let mut additions = Vec::new();
        for (key, value) in &options.fields {
            add_fields(&mut additions, key, value, options.overwrite)?;
        }
        if additions.len() > MAX_PATHS {
            return wrong("fields", format!("more than the {MAX_PATHS} fields allowed"));
        }
        additions.extend(host_name(&options)?);
        let mut moves = Vec::new();
        for (option, paths) in [("copy", options.copy), ("rename", options.rename)] {
            if paths.len() > MAX_PATHS {
                return wrong(option, format!("more than the {MAX_PATHS} paths allowed"));
            }
            for (from, to) in paths {
                moves.push(movement(option, &from, to)?);
            }
        }
        if options.tables.len() > MAX_TABLES {
            return wrong("tables", format!("more than the {MAX_TABLES} tables allowed"));
        }
        let lookups = options.tables.into_iter().enumerate();
        Ok(Plan {
            overwrite: options.overwrite,
            moves,
            additions,
            lookups: lookups
                .map(|(index, table)| lookup(&format!("tables[{index}]"), table))
                .collect::<Result<_, _>>()?,
            message: options.message.as_deref().map(message).transpose()?,
            removals: removals(options.remove)?,
        })
    }
}

/// One static field, or those of a map.
fn add_fields(
    additions: &mut Vec<Addition>,
    path: &str,
    value: &serde_json::Value,
    overwrite: bool,
) -> Result<(), OptionError> {
    let option = format!("fields.{path}");
    if let serde_json::Value::Object(map) = value {
        if map.is_empty() {
            return wrong(&option, "an empty map adds nothing; leave it out");
        }
        for (key, value) in map {
            add_fields(additions, &format!("{path}.{key}"), value, overwrite)?;
        }
        return Ok(());
    }
    let path = checked(&option, Path::parse(path))?;
    let mut bytes = Vec::new();
    match meaning(&path) {
        Some(Meaning::Time | Meaning::Labels) => {
            return wrong(&option, "it can't be the same for all records; leave it out");
        }
        Some(_) if !overwrite => {
            return wrong(&option, "every record has one already; set overwrite = true to replace it, or leave it out");
        }
        Some(Meaning::Text) if !value.is_string() => {
            return wrong(&option, "it must be text");
        }
        Some(Meaning::Level) => match value.as_str().and_then(Level::parse) {
            Some(level) => level.encode(&mut bytes),
            None => {
                return wrong(&option, "it must be TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL");
            }
        },
        None if is_for_maps(&path) => {
            return wrong(&option, format!("it must be a map; use for example {path}.team"));
        }
        Some(Meaning::Text) | None => value.encode(&mut bytes),
    }
    additions.push(Addition { place: Place::of(path), value: Encoded(bytes) });
    Ok(())
}

fn host_name(options: &Options) -> Result<Option<Addition>, OptionError> {
    let Some(name) = &options.host_name else {
        return Ok(None);
    };
    if name.is_empty() || name.contains("${") {
        return wrong(
            "host_name",
            format!(
                "`{name}` is not a host name; give Weir the environment variable, such as HOSTNAME=web-1, or write the name itself"
            ),
        );
    }
    let path = checked("host_path", options.host_path.clone())?;
    if is_for_maps(&path) || meaning(&path).is_some_and(|meaning| meaning != Meaning::Text) {
        return wrong("host_path", format!("`{path}` can't be text; use for example context.host"));
    }
    let mut bytes = Vec::new();
    name.encode(&mut bytes);
    Ok(Some(Addition { place: Place::of(path), value: Encoded(bytes) }))
}

fn movement(option: &str, from: &str, to: Path) -> Result<Move, OptionError> {
    let option = format!("{option}.{from}");
    let rename = option.starts_with("rename");
    let from = checked(&option, Path::parse(from))?;
    let to = checked(&option, to)?;
    if from == to {
        return wrong(&option, "both paths are the same");
    }
    if rename && meaning(&from).is_some_and(|meaning| meaning != Meaning::Labels) {
        return wrong(&option, format!("every record has `{from}`; use `copy`"));
    }
    let to = match meaning(&to) {
        None if is_for_maps(&to) => Target::Map(to),
        None => Target::Any(to),
        Some(Meaning::Text) => Target::Text(to),
        Some(Meaning::Level) => Target::Level,
        Some(Meaning::Time) => {
            return wrong(
                &option,
                "`timestamp` can't be a target: Weir reads times from other keys when records arrive",
            );
        }
        Some(Meaning::Labels) => {
            return wrong(&option, "`routes` can't be a target; the filter `route` adds labels");
        }
    };
    Ok(Move { from, to, rename })
}

fn lookup(option: &str, options: TableOptions) -> Result<Lookup, OptionError> {
    let field = checked(&format!("{option}.field"), options.field)?;
    let prefix = checked(&format!("{option}.prefix"), options.prefix)?;
    let root = Path::of(prefix.keys().first().cloned());
    if meaning(&root).is_some() {
        return wrong(&format!("{option}.prefix"), format!("`{root}` can't contain fields; use for example context"));
    }
    let table = Table::read(&options.csv, options.key.as_deref(), options.columns.as_deref());
    let table = table.or_else(|error| wrong(option, error.to_string()))?;
    let under = |column: &String| Place::of(Path::of(prefix.keys().iter().cloned().chain([column.clone()])));
    let places = table.columns().iter().map(under).collect();
    Ok(Lookup { field, table, places })
}

fn message(template: &str) -> Result<Template, OptionError> {
    let template = Template::parse(template).or_else(|error| wrong("message", error.to_string()))?;
    for path in template.paths() {
        checked("message", path.clone())?;
    }
    Ok(template)
}

fn removals(paths: Vec<Path>) -> Result<Vec<Path>, OptionError> {
    if paths.len() > MAX_PATHS {
        return wrong("remove", format!("more than the {MAX_PATHS} paths allowed"));
    }
    for path in &paths {
        let path = checked("remove", path.clone())?;
        if meaning(&path).is_some_and(|meaning| meaning != Meaning::Labels) {
            return wrong("remove", format!("every record has `{path}`; it can't be removed"));
        }
    }
    Ok(paths)
}

/// The meaning of a path in Weir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Time,
    Level,
    Text,
    Labels,
}

fn meaning(path: &Path) -> Option<Meaning> {
    let [key] = path.keys() else {
        return None;
    };
    match key.as_str() {
        "timestamp" => Some(Meaning::Time),
        "level" => Some(Meaning::Level),
        "source" | "message" => Some(Meaning::Text),
        "routes" => Some(Meaning::Labels),
        _ => None,
    }
}

/// Whether a path holds a map in every record that has it.
fn is_for_maps(path: &Path) -> bool {
    matches!(path.keys(), [key] if matches!(key.as_str(), "context" | "metadata"))
}

/// Parses a path and refuses errors that are visible in the path alone.
fn checked(option: &str, path: Path) -> Result<Path, OptionError> {
    let keys = path.keys();
    if keys.iter().any(String::is_empty) {
        return wrong(option, format!("the path `{path}` has an empty key; write for example context.user.id"));
    }
    if keys.len() > MAX_PATH_DEPTH {
        let depth = keys.len();
        return wrong(option, format!("a path of {depth} keys is longer than the {MAX_PATH_DEPTH} allowed"));
    }
    Ok(path)
}

impl Place {
    fn of(path: Path) -> Self {
        let keys = path.keys();
        let parents = (1..keys.len()).map(|end| Path::of(keys[..end].iter().cloned()));
        Place { parents: parents.collect(), path }
    }
}
