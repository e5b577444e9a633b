//! A session without a socket, for tests of what a session is passed to. Its intake refuses everything.

use std::sync::Arc;

use tokio::sync::watch;

use super::deliver::{Listener, Session};
use super::{SocketOptions, SocketProtocol, Sockets};
use crate::{Delivery, HttpOptions, Intake, ListenRules, Refusal, Requests};

struct Refusing;

impl Intake for Refusing {
    fn submit(&self, _: Delivery) -> Result<(), Refusal> {
        Err(Refusal::Busy("a test".to_owned()))
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn health(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn metrics(&self) -> String {
        String::new()
    }
}

/// A session of a listener for lines, and what stops it. All sessions of its listener hold at most so many bytes.
pub(super) fn session(max_in_flight_bytes: usize) -> (Session, watch::Sender<bool>) {
    let http = HttpOptions { max_in_flight_bytes, ..HttpOptions::default() };
    let sockets = Sockets::new(&http, Arc::new(Refusing), Requests::default());
    let options = SocketOptions {
        protocol: SocketProtocol::named("lines").expect("there is one"),
        source: "lines".to_owned(),
        max_message_bytes: 1 << 20,
        max_connections: 1,
        rules: ListenRules::default(),
        shared_key: None,
        users: Arc::new([]),
    };
    let (stop, stopped) = watch::channel(false);
    (Session::of_datagrams(&Arc::new(Listener::new(sockets.shared, options)), &stopped), stop)
}
