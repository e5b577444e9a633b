//! Compiles the options into rules.
//!
//! All errors in options are found here and reported with their place, such as
//! `rules[2].when.source.regex`. The result is limited by `limits`.

use weir_guest::{Level, OptionError, Path};
use weir_query::Query;

use crate::checks;
use crate::condition::Condition;
use crate::limits::{MAX_CONDITION_DEPTH, MAX_LABEL_BYTES, MAX_LABELS, MAX_RULES, MAX_TESTS};
use crate::options::{self, Matching, Options, Test};

pub fn wrong<T>(option: &str, problem: impl Into<String>) -> Result<T, OptionError> {
    Err(OptionError::new(option, problem))
}

/// The compiled rules.
#[derive(Debug)]
pub struct Rules {
    pub rules: Box<[Rule]>,
    pub matching: Matching,
    /// The fields that conditions refer to by index, each once.
    pub paths: Vec<Path>,
}

/// One rule. If it drops a record, its other actions don't apply.
#[derive(Debug)]
pub struct Rule {
    /// Matches every record when absent.
    pub when: Option<Condition>,
    pub action: Action,
}

#[derive(Debug)]
pub enum Action {
    Drop,
    Change { level: Option<Level>, routes: Box<[String]> },
}

impl Rules {
    pub fn compile(options: Options) -> Result<Self, OptionError> {
        if options.rules.is_empty() {
            return wrong(
                "rules",
                "there is none; write at least one, such as { when = { source = \"auth\" }, routes = [\"audit\"] }",
            );
        }
        if options.rules.len() > MAX_RULES {
            let count = options.rules.len();
            return wrong("rules", format!("{count} rules are more than the {MAX_RULES} allowed"));
        }
        let mut compiler = Compiler::default();
        let mut rules = Vec::new();
        for (index, rule) in options.rules.into_iter().enumerate() {
            rules.push(compiler.rule(&format!("rules[{index}]"), rule, options.matching)?);
        }
        Ok(Rules { rules: rules.into_boxed_slice(), matching: options.matching, paths: compiler.paths })
    }
}

/// State shared by all rules during compilation.
#[derive(Default)]
struct Compiler {
    paths: Vec<Path>,
    tests: usize,
}

impl Compiler {
    fn rule(&mut self, place: &str, rule: options::Rule, matching: Matching) -> Result<Rule, OptionError> {
        let when = match rule.when {
            Some(condition) => Some(self.condition(&format!("{place}.when"), condition, 0)?),
            None => None,
        };
        let level = match rule.level {
            Some(word) => Some(checks::level_named(&format!("{place}.level"), &word)?),
            None => None,
        };
        check_labels(&format!("{place}.routes"), &rule.routes)?;
        let acts = level.is_some() || !rule.routes.is_empty();
        if rule.drop && acts {
            return wrong(place, "`drop` can't be combined with `routes` or `level`; keep one of the two");
        }
        if !rule.drop && !acts && matching == Matching::All {
            return wrong(
                place,
                "it does nothing; give it `routes`, `level` or `drop = true` (with match = \"first\" such a rule leaves its records as they are)",
            );
        }
        let action =
            if rule.drop { Action::Drop } else { Action::Change { level, routes: rule.routes.into_boxed_slice() } };
        Ok(Rule { when, action })
    }

    fn condition(
        &mut self,
        place: &str,
        condition: options::Condition,
        depth: usize,
    ) -> Result<Condition, OptionError> {
        if depth > MAX_CONDITION_DEPTH {
            return wrong(place, format!("conditions are nested deeper than {MAX_CONDITION_DEPTH} levels"));
        }
        Ok(match condition {
            options::Condition::All(all) => Condition::All(self.list(place, "all", all, depth)?),
            options::Condition::Any(any) => Condition::Any(self.list(place, "any", any, depth)?),
            options::Condition::Not(not) => {
                Condition::Not(Box::new(self.condition(&format!("{place}.not"), *not, depth + 1)?))
            }
            options::Condition::Query(text) if text.trim().is_empty() => return wrong(place, options::EMPTY),
            options::Condition::Query(text) => {
                // Instances are replaced at any time, so there is no current time that an age could count back from.
                let query = Query::parse(&text, None).or_else(|error| wrong(place, error.to_string()))?;
                self.count_tests(place, query.fields().len().max(1))?;
                Condition::Query(Box::new(query))
            }
            options::Condition::Field { path, test } => {
                self.count_tests(place, 1)?;
                let place = format!("{place}.{path}");
                if path == "level" {
                    Condition::Level(checks::levels(&place, &test)?)
                } else {
                    self.field(&place, &path, *test)?
                }
            }
        })
    }

    fn count_tests(&mut self, place: &str, more: usize) -> Result<(), OptionError> {
        self.tests += more;
        if self.tests > MAX_TESTS {
            return wrong(place, format!("the rules have more than {MAX_TESTS} tests; use `in`, globs or fewer rules"));
        }
        Ok(())
    }

    fn list(
        &mut self,
        place: &str,
        key: &str,
        conditions: Vec<options::Condition>,
        depth: usize,
    ) -> Result<Box<[Condition]>, OptionError> {
        if conditions.is_empty() {
            return wrong(&format!("{place}.{key}"), "the list is empty; give it conditions");
        }
        let compiled = conditions
            .into_iter()
            .enumerate()
            .map(|(index, condition)| self.condition(&format!("{place}.{key}[{index}]"), condition, depth + 1));
        compiled.collect()
    }

    /// Compiles the test of a field other than the level.
    fn field(&mut self, place: &str, path: &str, test: Test) -> Result<Condition, OptionError> {
        let field = self.index_of(Path::parse(path));
        match test.exists {
            Some(expected) if test == Test::exists(expected) => Ok(Condition::Exists { field, expected }),
            Some(_) => {
                wrong(place, "`exists` can't be combined with other tests, which are only true for fields that exist")
            }
            None => {
                let checks = checks::of_field(place, test)?;
                Ok(Condition::Field { field, checks })
            }
        }
    }

    fn index_of(&mut self, path: Path) -> usize {
        let known = self.paths.iter().position(|other| *other == path);
        known.unwrap_or_else(|| {
            self.paths.push(path);
            self.paths.len() - 1
        })
    }
}

fn check_labels(place: &str, labels: &[String]) -> Result<(), OptionError> {
    if labels.len() > MAX_LABELS {
        let count = labels.len();
        return wrong(place, format!("{count} labels are more than the {MAX_LABELS} allowed"));
    }
    for (index, label) in labels.iter().enumerate() {
        if label.is_empty() || label.len() > MAX_LABEL_BYTES {
            return wrong(
                &format!("{place}[{index}]"),
                format!("a label has 1 to {MAX_LABEL_BYTES} bytes, this one {}", label.len()),
            );
        }
    }
    Ok(())
}
