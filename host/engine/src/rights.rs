//! What a filter may see and change: the paths of its description, narrowed by its configuration.
//!
//! A description alone is only declared: a typed filter is shown no more than it declares, but its changes are not
//! checked. [`Boundary`] enforces the configuration.

use crate::boundary::Boundary;
use crate::description::Description;
use crate::paths::{HEAD, Paths, common};
use crate::spec::FilterSpec;

/// The paths that a filter may see and change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// What it may see.
    pub reads: Right,
    /// What it may change.
    pub writes: Right,
}

/// One kind of access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Right {
    /// The paths; `None` is everything.
    pub paths: Option<Vec<String>>,
    /// Whether Weir enforces it, as opposed to the filter only declaring it.
    pub is_enforced: bool,
}

impl Rights {
    pub(crate) fn of(spec: &FilterSpec, description: &Description, is_packed: bool) -> Rights {
        let mut described = description.reads.clone();
        if !is_packed && !described.is_empty() {
            // A typed view always has these, whatever the description names.
            described.extend(HEAD.map(str::to_owned));
        }
        let mut reads = narrowed(&spec.reads, &described);
        if !is_packed && reads.paths.is_some() {
            reads.is_enforced = true;
        }
        Rights { reads, writes: narrowed(&spec.writes, &description.writes) }
    }

    pub(crate) fn boundary(&self, spec: &FilterSpec) -> Boundary {
        let kept = |configured: bool, right: &Right| right.paths.as_deref().filter(|_| configured).map(Paths::of);
        Boundary { sees: kept(spec.reads.is_some(), &self.reads), changes: kept(spec.writes.is_some(), &self.writes) }
    }
}

fn narrowed(configured: &Option<Vec<String>>, described: &[String]) -> Right {
    let paths = match (configured, described) {
        (None, []) => None,
        (None, described) => Some(described.to_vec()),
        (Some(configured), []) => Some(configured.clone()),
        (Some(configured), described) => Some(common(configured, described)),
    };
    Right { paths, is_enforced: configured.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    fn rights(configured: Option<&[&str]>, described: &[&str], is_packed: bool) -> Rights {
        let spec =
            FilterSpec { reads: configured.map(list), writes: configured.map(list), ..FilterSpec::new("filter") };
        let description = Description { reads: list(described), writes: list(described), ..Description::default() };
        Rights::of(&spec, &description, is_packed)
    }

    #[test]
    fn the_configuration_narrows_the_description() {
        let both = rights(Some(&["context.*", "message"]), &["context.user", "level"], true);
        assert_eq!(both.reads, Right { paths: Some(list(&["context.user"])), is_enforced: true });
        assert_eq!(both.writes, both.reads);
        let alone = rights(None, &["level"], true);
        assert_eq!(alone.writes, Right { paths: Some(list(&["level"])), is_enforced: false });
        assert_eq!(rights(None, &[], true), Rights::default());
        assert_eq!(rights(Some(&[]), &[], true).writes, Right { paths: Some(vec![]), is_enforced: true });
    }

    #[test]
    fn a_typed_filter_always_sees_the_head() {
        let typed = rights(Some(&["message", "context.*"]), &["context.user"], false);
        assert_eq!(typed.reads.paths, Some(list(&["message", "context.user"])));
        assert!(rights(None, &["context.user"], false).reads.is_enforced);
    }
}
