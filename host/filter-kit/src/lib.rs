//! Builds and tests filters: projects in any language, their modules, the bundled filters, and `weir filter test`.
//!
//! | file | purpose |
//! |---|---|
//! | `build` | projects: creates, builds and tries them; rebuilds the bundled filters |
//! | `test` | cases, samples, fuzzing, benchmarks, and comparing versions |
//! | `bundled` | the filters inside the binary |
//! | `source` | where a module comes from |
//! | `regular` | reads untrusted files |
//! | `loader` | the engine for commands that load filters |
//! | `limits` | the limits |
//!
//! Nothing here is on the path of a record in a router: filters run in the same engine, but in instances that belong to
//! no router.

pub mod build;
pub mod bundled;
pub mod limits;
pub mod loader;
pub mod regular;
mod source;
pub mod test;

pub use build::LANGUAGES;
pub use source::Source;
