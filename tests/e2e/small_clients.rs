//! The clients of `examples/clients` that a team copies into its project, one file for each language.
//!
//! | file | what it guarantees |
//! |---|---|
//! | `driver.rs` | (not a test) a program that logs with a client as a test tells it |
//! | `scripted.rs` | (not a test) a server that answers as a test wants, and one that never answers |
//! | `promises.rs` | what clients promise: router up, away, hung, killed; every answer; the end of the program |
//! | `snippets.rs` | the code in `examples/clients/README.md` runs |
//! | `python.rs` | fields of contexts, exceptions, forks, FastAPI, Flask, structlog, loguru |
//! | `node.rs` | pino, the console, every way in which a process ends |
//! | `browser.rs` | Chromium: pages that are left, errors, records made offline |
//! | `go.rs` | `testing/slogtest` |
//! | `rust.rs` | what becomes of events and spans |
//! | `shell.rs` | what is sent, and that it neither fails nor holds up a script |

mod browser;
mod driver;
mod go;
mod node;
mod promises;
mod python;
mod rust;
mod scripted;
mod shell;
mod snippets;

use super::router::Home;

/// A router that writes JSON lines, with more configuration. It has no filters: to compile one takes seconds in each
/// new folder.
fn home(more: &str) -> Home {
    Home::with(&format!("filter = []\n[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n{more}"))
}
