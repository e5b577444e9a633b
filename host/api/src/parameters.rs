//! The parameters of a request. Unknown ones and wrong values are refused with what is expected, since a typing error
//! would otherwise give a wrong answer that looks right.

use std::collections::BTreeMap;
use std::str::FromStr;

use weir_access::Caller;
use weir_live::message::Names;
use weir_query::{EntryId, Query};
use weir_record::time::now_ns;

use crate::reply::ApiError;
use crate::routes::Parameter;

/// The parameters of a request, by name, and its caller: a query selects nothing that the caller may not read.
pub struct Parameters {
    by_name: BTreeMap<String, String>,
    pub caller: Caller,
}

impl Parameters {
    /// Reads the query string. Each parameter must be one of `known`, and there once.
    pub fn read(query: Option<&str>, known: &[Parameter], caller: Caller) -> Result<Parameters, ApiError> {
        let mut by_name = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.iter().any(|known| known.name == name) {
                let names: Vec<String> = known.iter().map(|known| format!("`{}`", known.name)).collect();
                let there =
                    if names.is_empty() { "there is none".into() } else { format!("there are {}", names.join(", ")) };
                return Err(ApiError::bad(format!("unknown parameter `{name}`; {there}")));
            }
            if by_name.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(ApiError::bad(format!("`{name}` is there twice")));
            }
        }
        Ok(Parameters { by_name, caller })
    }

    /// A parameter that is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A number up to a limit.
    pub fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, ApiError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(ApiError::bad(format!("`{name}` must be a number up to {most}, not `{text}`"))),
        }
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        self.one_of(name, &[("true", true), ("false", false)]).map(|flag| flag.unwrap_or(default))
    }

    /// One of some words.
    pub fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(ApiError::bad(format!("`{name}` must be `{}`, not `{text}`", words.join("` or `"))))
            }
        }
    }

    /// An `entry_id`.
    pub fn id(&self, name: &str) -> Result<Option<EntryId>, ApiError> {
        self.text(name).map(|text| entry_id(name, text)).transpose()
    }

    /// The text of the query.
    pub fn query_text(&self) -> &str {
        self.by_name.get("query").map_or("", String::as_str)
    }

    /// The query, limited to what the caller may read.
    pub fn query(&self) -> Result<Query, ApiError> {
        let query = Query::parse(self.query_text(), now_ns())?;
        Ok(match self.caller.scope() {
            Some(scope) => query.and(scope),
            None => query,
        })
    }

    pub fn names(&self) -> Result<Names, ApiError> {
        let names = self.flag("aliases", true)?;
        Ok(if names { Names::Aliases } else { Names::Own })
    }
}

/// The `entry_id` in a text.
pub fn entry_id(name: &str, text: &str) -> Result<EntryId, ApiError> {
    EntryId::from_str(text).map_err(|()| {
        ApiError::bad(format!("`{name}` must be the `entry_id` of a record, such as `4711-0`, not `{text}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Kind;

    const KNOWN: [Parameter; 4] = [known("query"), known("limit"), known("aliases"), known("after")];

    const fn known(name: &'static str) -> Parameter {
        Parameter { name, about: "", kind: Kind::Text }
    }

    fn anyone() -> Caller {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        Caller::unchecked(address, &weir_access::Access::new(true).account(address))
    }

    fn wrong(query: &str) -> String {
        let read = Parameters::read(Some(query), &KNOWN, anyone());
        let error = read.and_then(|parameters| {
            parameters.number("limit", 1, 10)?;
            parameters.flag("aliases", true)?;
            parameters.id("after")
        });
        error.expect_err("it is wrong").message
    }

    #[test]
    fn parameters_are_decoded() {
        let parameters = Parameters::read(Some("query=a+b%22c%22&limit=7&aliases="), &KNOWN, anyone());
        let parameters = parameters.expect("they are known");
        assert_eq!(parameters.query_text(), "a b\"c\"");
        assert_eq!(parameters.number("limit", 1, 10), Ok(7));
        assert_eq!(parameters.flag("aliases", true), Ok(true));
    }

    #[test]
    fn a_mistake_is_answered_with_what_is_expected() {
        assert_eq!(wrong("lmit=1"), "unknown parameter `lmit`; there are `query`, `limit`, `aliases`, `after`");
        assert_eq!(wrong("limit=1&limit=2"), "`limit` is there twice");
        assert_eq!(wrong("limit=11"), "`limit` must be a number up to 10, not `11`");
        assert_eq!(wrong("limit=-1"), "`limit` must be a number up to 10, not `-1`");
        assert_eq!(wrong("aliases=no"), "`aliases` must be `true` or `false`, not `no`");
        assert_eq!(wrong("after=7"), "`after` must be the `entry_id` of a record, such as `4711-0`, not `7`");
    }
}
