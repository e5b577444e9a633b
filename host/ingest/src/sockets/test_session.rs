//! A session without a socket, for tests of what a session is passed to. Its intake takes everything.

use std::sync::Arc;

use tokio::sync::watch;

use super::deliver::{Listener, Session};
use super::{SocketOptions, SocketProtocol, Sockets};
use crate::{Delivery, HttpOptions, Intake, ListenRules, Receipt, Refusal, Requests};

/// Takes everything, and confirms it at once.
pub(crate) struct Confirming;

impl Intake for Confirming {
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        _ = delivery.reply.send(Ok(Receipt::default()));
        Ok(())
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

/// A listener for lines.
pub(super) fn listener(http: &HttpOptions) -> Arc<Listener> {
    let sockets = Sockets::new(http, Arc::new(Confirming), Requests::default());
    let options = SocketOptions {
        protocol: SocketProtocol::named("lines").expect("there is one"),
        source: "lines".to_owned(),
        max_message_bytes: 1 << 20,
        max_connections: 1,
        rules: ListenRules::default(),
        shared_key: None,
        users: Arc::new([]),
    };
    Arc::new(Listener::new(Arc::clone(&sockets.shared), options))
}

/// A session of a listener for lines, and what stops it. All sessions of its listener hold at most so many bytes.
pub(super) fn session(max_in_flight_bytes: usize) -> (Session, watch::Sender<bool>) {
    let (stop, stopped) = watch::channel(false);
    let listener = listener(&HttpOptions { max_in_flight_bytes, ..HttpOptions::default() });
    (Session::of_datagrams(&listener, &stopped), stop)
}
