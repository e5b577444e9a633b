//! What makes filters and tests them: projects in any language, their modules, the filters inside the binary, and
//! `weir filter test`.
//!
//! | file | purpose |
//! |---|---|
//! | `build` | projects: writes one, builds a module of it, tries it; rebuilds the bundled filters |
//! | `test` | cases, samples, fuzzing, times, and one version against another |
//! | `bundled` | the filters inside the binary |
//! | `source` | where a module comes from |
//! | `regular` | reads files that may be anything |
//! | `loader` | the engine of a command that loads filters |
//! | `limits` | the bounds |
//!
//! Nothing here runs in a router's way of a record: filters are loaded by the same engine, in instances that belong to no
//! router.

pub mod build;
pub mod bundled;
pub mod limits;
pub mod loader;
pub mod regular;
mod source;
pub mod test;

pub use build::LANGUAGES;
pub use source::Source;
