//! Where to listen: `tcp://127.0.0.1:514`, `tls://…`, `udp://…`, `unix:/path`, or an address alone.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};

use crate::limits;

/// How bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// TCP with TLS.
    Tls,
    /// UDP.
    Udp,
    /// A Unix socket with connections.
    Unix,
    /// A Unix socket for datagrams, such as `/dev/log`.
    UnixDatagram,
}

impl Transport {
    /// Its name in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Udp => "udp",
            Transport::Unix => "unix",
            Transport::UnixDatagram => "unixgram",
        }
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// How bytes come.
    pub transport: Transport,
    /// Where from.
    pub place: Place,
}

/// An IP address with a port, or the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// For TCP, TLS and UDP.
    Ip(SocketAddr),
    /// For Unix sockets.
    Path(PathBuf),
}

impl ListenAddress {
    /// Reads an address. One without a transport has `usual`, and relative paths start at `folder`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str, usual: Transport, folder: &Path) -> Result<ListenAddress, String> {
        let text = text.trim();
        for transport in [Transport::Unix, Transport::UnixDatagram] {
            let Some(path) = text.strip_prefix(transport.name()).and_then(|rest| rest.strip_prefix(':')) else {
                continue;
            };
            // `unix:///path` is as usual as `unix:/path`.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('\0') {
                return Err(format!("write a path: `{}:/run/weir.sock`", transport.name()));
            }
            let path = folder.join(path);
            if path.as_os_str().len() > limits::MAX_SOCKET_PATH_BYTES {
                return Err(format!("the path of a socket has at most {} bytes", limits::MAX_SOCKET_PATH_BYTES));
            }
            return Ok(ListenAddress { transport, place: Place::Path(path) });
        }
        let (transport, address) = match text.split_once("://") {
            None => (usual, text),
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some(("tls", rest)) => (Transport::Tls, rest),
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some((other, _)) => {
                return Err(format!(
                    "`{other}` is no transport: write `tcp://`, `tls://` or `udp://` and an address, or `unix:` or \
                     `unixgram:` and a path"
                ));
            }
        };
        let address = address.trim_end_matches('/').replacen("localhost:", "127.0.0.1:", 1);
        match address.parse() {
            Ok(address) => Ok(ListenAddress { transport, place: Place::Ip(address) }),
            Err(_) => Err(format!(
                "write an IP address and a port: `{0}://127.0.0.1:514` for this machine, `{0}://0.0.0.0:514` for all",
                transport.name()
            )),
        }
    }

    /// The IP address and port; `None` for a Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Ip(address) => Some(address),
            Place::Path(_) => None,
        }
    }

    /// Whether other machines reach it.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.ip().is_some_and(|address| !address.ip().to_canonical().is_loopback())
    }

    /// Binds it.
    ///
    /// # Errors
    /// The address is in use, or may not be used.
    pub async fn bind(&self) -> io::Result<Bound> {
        let socket = match (&self.place, self.transport) {
            (Place::Ip(address), Transport::Udp) => {
                let socket = UdpSocket::bind(address).await?;
                // What the kernel keeps while a disk stalls. More than its own limit is not given, which is no error.
                _ = socket2::SockRef::from(&socket).set_recv_buffer_size(limits::DATAGRAM_BUFFER_BYTES);
                Socket::Udp(socket)
            }
            (Place::Ip(address), transport) => Socket::Tcp(TcpListener::bind(address).await?, transport),
            (Place::Path(path), Transport::UnixDatagram) => {
                let guard = SocketFile::take(path)?;
                let socket = UnixDatagram::bind(path)?;
                _ = socket2::SockRef::from(&socket).set_recv_buffer_size(limits::DATAGRAM_BUFFER_BYTES);
                guard.open_to_group()?;
                Socket::UnixDatagram(socket, guard)
            }
            (Place::Path(path), _) => {
                let guard = SocketFile::take(path)?;
                let socket = UnixListener::bind(path)?;
                guard.open_to_group()?;
                Socket::Unix(socket, guard)
            }
        };
        Ok(Bound(socket))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Ip(address) => write!(f, "{}://{address}", self.transport.name()),
            Place::Path(path) => write!(f, "{}:{}", self.transport.name(), path.display()),
        }
    }
}

/// A bound address.
pub struct Bound(pub(super) Socket);

pub(super) enum Socket {
    Tcp(TcpListener, Transport),
    Udp(UdpSocket),
    Unix(UnixListener, SocketFile),
    UnixDatagram(UnixDatagram, SocketFile),
}

impl Bound {
    /// The TCP socket, if it is one.
    #[must_use]
    pub fn into_tcp(self) -> Option<TcpListener> {
        match self.0 {
            Socket::Tcp(socket, _) => Some(socket),
            _ => None,
        }
    }

    /// The address that was bound, if it has a port: the one in the configuration may be 0.
    #[must_use]
    pub fn ip_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Socket::Tcp(socket, _) => socket.local_addr().ok(),
            Socket::Udp(socket) => socket.local_addr().ok(),
            Socket::Unix(..) | Socket::UnixDatagram(..) => None,
        }
    }
}

/// The file of a Unix socket, which is removed when nobody listens any more.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Whether it is ours.
    is_bound: std::cell::Cell<bool>,
}

impl SocketFile {
    /// Makes room for a socket: removes one that a process has left that ended without stopping.
    fn take(path: &Path) -> io::Result<SocketFile> {
        let guard = SocketFile { path: path.to_owned(), is_bound: false.into() };
        let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(guard) };
        if !found.file_type().is_socket() {
            let error = format!("{} exists and is no socket", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, error));
        }
        let is_served = std::os::unix::net::UnixStream::connect(path).is_ok()
            || std::os::unix::net::UnixDatagram::unbound().is_ok_and(|socket| socket.connect(path).is_ok());
        if is_served {
            let error = format!("another process listens on {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, error));
        }
        std::fs::remove_file(path)?;
        Ok(guard)
    }

    /// Lets the user and the group send.
    fn open_to_group(&self) -> io::Result<()> {
        self.is_bound.set(true);
        std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(0o660))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_bound.get() {
            // Somebody may have removed it already.
            _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        ListenAddress::parse(text, Transport::Udp, Path::new("/base")).map(|address| address.to_string())
    }

    #[test]
    fn each_form_of_an_address_is_read() {
        for (text, due) in [
            ("127.0.0.1:514", "udp://127.0.0.1:514"),
            ("localhost:514", "udp://127.0.0.1:514"),
            ("tcp://[::1]:514/", "tcp://[::1]:514"),
            ("tls://0.0.0.0:6514", "tls://0.0.0.0:6514"),
            ("unix:/run/weir.sock", "unix:/run/weir.sock"),
            ("unix:///run/weir.sock", "unix:/run/weir.sock"),
            ("unix:weir.sock", "unix:/base/weir.sock"),
            ("unixgram:/dev/log", "unixgram:/dev/log"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(due), "{text}");
        }
    }

    #[test]
    fn other_text_gets_a_hint() {
        for (text, hint) in [
            ("514", "`udp://127.0.0.1:514` for this machine"),
            ("tcp://logs.example.com:514", "an IP address"),
            ("http://127.0.0.1:80", "`http` is no transport"),
            ("unix:", "write a path"),
        ] {
            assert!(parsed(text).expect_err(text).contains(hint), "{text}");
        }
        assert!(parsed(&format!("unix:/{}", "x".repeat(200))).is_err());
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_or_a_file_is_not() {
        let folder = std::env::temp_dir().join(format!("weir-socket-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for text in ["unix:s", "unixgram:s"] {
            let address = ListenAddress::parse(text, Transport::Tcp, &folder).expect("an address");
            let bound = address.bind().await.expect("free");
            assert!(address.bind().await.is_err(), "in use");
            drop(bound);
            assert!(!folder.join("s").exists(), "removed with its listener");
            drop(std::os::unix::net::UnixListener::bind(folder.join("s")).expect("free"));
            drop(address.bind().await.expect("left behind"));
            std::fs::write(folder.join("s"), "a file").expect("a file");
            assert!(address.bind().await.is_err(), "a file");
            std::fs::remove_file(folder.join("s")).expect("there");
        }
        std::fs::remove_dir_all(folder).expect("there");
    }
}
