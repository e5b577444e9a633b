//! The protocols of sockets: one entry each.

use weir_record::{ComposeError, Composer};

use super::Transport;
use crate::protocols::{forward, gelf, lines, syslog};

/// A protocol that is spoken over sockets.
pub struct SocketProtocol {
    /// Its name in the configuration and in metrics.
    pub name: &'static str,
    /// A description in one sentence.
    pub summary: &'static str,
    /// What it can be spoken over, the usual one first.
    pub transports: &'static [Transport],
    /// Whether its senders can show that they know a key.
    pub has_key: bool,
    pub(crate) kind: Kind,
}

/// How it is spoken.
pub(crate) enum Kind {
    /// Senders are not answered.
    OneWay(OneWay),
    /// Fluent Forward, whose receivers acknowledge.
    Forward,
}

/// A protocol whose senders are not answered.
pub(crate) struct OneWay {
    /// Where a frame ends.
    pub(crate) framing: Framing,
    /// Whether datagrams can be parts of a message, or compressed, as in GELF.
    pub(crate) has_chunks: bool,
    /// Adds what a frame contains to a record that was begun.
    pub(crate) compose: fn(&[u8], received_ns: i64, &mut Composer<'_, '_>) -> Result<(), ComposeError>,
}

/// Where a frame of a stream ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// At a line feed.
    Lines,
    /// At a null byte, as in GELF.
    Nulls,
    /// After the number of bytes that it begins with, or at a line feed, as in syslog.
    Counted,
}

/// All protocols of sockets.
pub static SOCKET_PROTOCOLS: &[SocketProtocol] = &[forward::SOCKET, syslog::SOCKET, gelf::SOCKET, lines::SOCKET];

impl PartialEq for SocketProtocol {
    fn eq(&self, other: &SocketProtocol) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for SocketProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl SocketProtocol {
    /// The protocol of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static SocketProtocol> {
        SOCKET_PROTOCOLS.iter().find(|protocol| protocol.name == name)
    }
}
