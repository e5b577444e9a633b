//! A connection to an MQTT server that takes part in a session there.

use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Access;
use super::bytes::Arrived;
use super::packet::{Connect, DISCONNECT, PING, Packet};
use crate::limits;
use crate::socket::Stream;

/// A connection.
pub(super) struct Session<'a> {
    access: &'a Access,
    stream: Box<dyn Stream>,
    arrived: Arrived,
    /// After this time without a packet to the server, one is sent. After three times it without one from the server, that
    /// is gone.
    quiet: Duration,
    sent: Instant,
    /// The server had the session already.
    pub is_resumed: bool,
}

impl<'a> Session<'a> {
    /// Connects and logs in.
    pub async fn open(access: &'a Access, client: &str) -> Result<Session<'a>, String> {
        let cannot = |error: &str| format!("{}: can't connect: {error}", access.place);
        let stream =
            access.server.connect(access.tls.as_ref(), access.timeout).await.map_err(|error| cannot(&error))?;
        let quiet = Duration::from_secs(limits::MQTT_KEEP_ALIVE_SECONDS.into()) / 2;
        let mut session =
            Session { access, stream, arrived: Arrived::default(), quiet, sent: Instant::now(), is_resumed: false };
        let connect = Connect {
            client,
            user: access.user.as_deref(),
            password: access.password.as_ref().map(weir_document::Secret::expose),
            session_seconds: access.session_seconds,
        };
        session.send(&access.version.connect(&connect)).await?;
        let answer = timeout(access.timeout, session.next()).await;
        match answer.unwrap_or_else(|_| Err(cannot("no answer to CONNECT")))? {
            Packet::Accepted { has_session, keep_alive_seconds } => {
                session.is_resumed = has_session;
                let wanted = keep_alive_seconds.filter(|seconds| *seconds > 0).map(u64::from).map(Duration::from_secs);
                session.quiet = wanted.map_or(quiet, |wanted| quiet.min(wanted / 2));
                Ok(session)
            }
            _ => Err(session.odd()),
        }
    }

    /// Sends packets.
    pub async fn send(&mut self, packets: &[u8]) -> Result<(), String> {
        let sending = async {
            self.stream.write_all(packets).await?;
            self.stream.flush().await
        };
        match timeout(self.access.timeout, sending).await {
            Ok(Ok(())) => {
                self.sent = Instant::now();
                Ok(())
            }
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(self.lost("it takes nothing")),
        }
    }

    /// Waits for the next packet, and keeps the connection alive meanwhile.
    pub async fn next(&mut self) -> Result<Packet, String> {
        let mut heard = Instant::now();
        loop {
            let mut left = self.quiet.saturating_sub(self.sent.elapsed());
            if left.is_zero() {
                self.ping().await?;
                left = self.quiet;
            }
            if let Some(packet) = self.ready()? {
                return Ok(packet);
            }
            self.arrived.bytes.reserve(limits::CHUNK_BYTES);
            match timeout(left, self.stream.read_buf(&mut self.arrived.bytes)).await {
                Ok(Ok(0)) => return Err(self.lost("the server closed it; does another client have the same id?")),
                Ok(Ok(_)) => heard = Instant::now(),
                Ok(Err(error)) => return Err(self.lost(&error.to_string())),
                Err(_) if heard.elapsed() >= 3 * self.quiet => return Err(self.lost("the server is silent")),
                Err(_) => {}
            }
        }
    }

    /// The next packet, if it is here already.
    pub fn next_now(&mut self) -> Result<Option<Packet>, String> {
        loop {
            if let Some(packet) = self.ready()? {
                return Ok(Some(packet));
            }
            self.arrived.bytes.reserve(limits::CHUNK_BYTES);
            match self.stream.read_buf(&mut self.arrived.bytes).now_or_never() {
                // The end is found again by the next one who waits.
                None | Some(Ok(0) | Err(_)) => return Ok(None),
                Some(Ok(_)) => {}
            }
        }
    }

    fn ready(&mut self) -> Result<Option<Packet>, String> {
        match self.arrived.next(self.access.version) {
            Ok(Some(Packet::Refused(reason))) => Err(format!("{}: {reason}", self.access.place)),
            Ok(packet) => Ok(packet),
            Err(_) => Err(self.odd()),
        }
    }

    /// Asks for a sign of life.
    pub async fn ping(&mut self) -> Result<(), String> {
        self.send(&PING).await
    }

    /// After this time without a packet to the server, it needs one.
    pub fn quiet(&self) -> Duration {
        self.quiet
    }

    /// Says goodbye, and waits until the server has read that: a connection that is closed while the server still sends would
    /// be reset, and take back the last acknowledgements.
    pub async fn close(mut self) {
        let closing = async {
            // Errors: it is over anyway.
            _ = self.send(&DISCONNECT).await;
            _ = self.stream.shutdown().await;
            _ = tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await;
        };
        _ = timeout(limits::MQTT_GOODBYE, closing).await;
    }

    fn lost(&self, error: &str) -> String {
        format!("{}: the connection was lost: {error}", self.access.place)
    }

    fn odd(&self) -> String {
        format!("{}: it does not answer as an MQTT server does", self.access.place)
    }
}
