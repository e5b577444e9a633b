//! What applies to everything that one listener receives, whoever sends it: the routes that its records get, and how
//! much its senders may send together. Over HTTP, it may also take one protocol only.

use std::sync::Arc;

use weir_access::ListenerQuota;

/// The rules of a listener. By default, there are none.
#[derive(Clone, Default)]
pub struct ListenRules {
    /// The routes that its records get.
    pub routes: Arc<[String]>,
    /// What its senders may send together.
    pub quota: Option<ListenerQuota>,
    /// The name of the only protocol that it takes over HTTP. `None`: it takes all, and serves pages.
    pub only: Option<&'static str>,
}

impl ListenRules {
    /// Whether it takes a protocol.
    pub(crate) fn takes(&self, protocol: &str) -> bool {
        self.only.is_none_or(|only| only == protocol)
    }
}
