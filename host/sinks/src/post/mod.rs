//! Posting to servers over HTTP, shared by the sinks `http`, `datadog`, `influxdb` and `slack`.
//!
//! | file | purpose |
//! |---|---|
//! | `options.rs` | timeouts, TLS, compression, credentials |
//! | `server.rs` | one HTTP client, bounded answers, what an answer means |
//! | `body.rs` | many records as one body of bounded size |
//! | `delivery.rs` | a delivery as requests; records that the server has accepted are not sent again |

mod body;
mod delivery;
mod options;
mod server;

pub(crate) use body::{Body, Shape, push_json_id, push_msgpack_id, record_id};
pub(crate) use delivery::{BodyOptions, Origin, PostSink, Protocol};
pub(crate) use options::{Connection, Encoding, Tls, basic_auth, secret_header};
pub(crate) use server::{Answer, Server};
