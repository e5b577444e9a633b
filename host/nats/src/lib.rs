//! One connection to NATS servers, for the sink and the source. It is not repaired: when it breaks, its user opens a new
//! one, so that waiting, counting and logging are in one place for all sinks and for all sources.

use std::future::Future;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use weir_document::Secret;

/// Interval of pings to a server while nothing is sent.
const PING: Duration = Duration::from_secs(20);

/// How to connect.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `nats://host:4222` or `tls://host:4222`; several separated by commas.
    pub url: Option<Secret>,
    /// The user, with a password.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A token, in place of user and password.
    pub token: Option<Secret>,
    /// A file with a JWT and its key.
    pub credentials: Option<PathBuf>,
    /// Given: TLS is required.
    pub tls: Option<Certificates>,
    /// Time limit for a connection or an answer.
    pub timeout: Duration,
}

/// Files for TLS.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// Authorities in place of the system's.
    pub ca: Option<PathBuf>,
    /// The client's own certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// The servers, and how to connect to them.
pub struct Address {
    access: Access,
    servers: Vec<ServerAddr>,
    place: String,
}

/// A connection that works, as far as is known.
pub struct Link {
    client: Client,
    context: Context,
    trouble: watch::Receiver<Option<String>>,
}

impl Address {
    /// Checks the options and opens nothing. `whose` they are begins each error: "sink `bus`".
    ///
    /// # Errors
    /// Why they are refused.
    pub fn new(whose: &str, access: Access) -> Result<Address, String> {
        let refuse = |error: &str| Err(format!("{whose}: {error}"));
        let Some(url) = access.url.as_ref().map(Secret::expose) else {
            return refuse(
                "no server is configured; set `url` or the variable NATS_URL, such as `nats://localhost:4222`",
            );
        };
        let parse = |url: &str| {
            // The error doesn't contain the text, which may include a password.
            let server = ServerAddr::from_str(url.trim()).ok().filter(|server| !server.host().is_empty());
            server.filter(|server| !server.is_websocket())
        };
        let Some(servers) = url.split(',').map(parse).collect::<Option<Vec<ServerAddr>>>() else {
            return refuse("`url` must be `nats://host:4222` or `tls://host:4222`, several separated by commas");
        };
        let ways = [access.user.is_some(), access.token.is_some(), access.credentials.is_some()];
        if ways.iter().filter(|given| **given).count() > 1 {
            return refuse("use only one of `user` with `password`, `token` and `credentials`");
        }
        if access.user.is_some() != access.password.is_some() {
            return refuse("`user` and `password` must be given together");
        }
        if access.tls.as_ref().is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()) {
            return refuse("`tls` needs both `certificate` and `key`, or neither");
        }
        let named: Vec<_> = servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
        Ok(Address { place: format!("{whose}: NATS at {}", named.join(", ")), servers, access })
    }

    /// Whose it is, and the servers: the beginning of errors, without secrets.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Connects to the first server that answers. `in_flight`: how many published messages may wait for an
    /// acknowledgement.
    ///
    /// # Errors
    /// Why that failed. It may succeed later.
    pub async fn connect(&self, in_flight: usize) -> Result<Link, String> {
        // An error means that one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (tell, trouble) = watch::channel(None);
        let settings = self.settings().await?.event_callback(move |event| {
            let noticed = match event {
                Event::Disconnected | Event::Closed => Some("the connection was lost".to_string()),
                Event::ServerError(error) => Some(format!("the server reports: {error}")),
                _ => None,
            };
            if let Some(noticed) = noticed {
                // The first error explains those that follow.
                tell.send_if_modified(|said| said.is_none() && said.replace(noticed).is_none());
            }
            std::future::ready(())
        });
        let client = settings.connect(self.servers.clone()).await.map_err(|error| {
            let hint = match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    "; check `user`, `password`, `token` or `credentials`"
                }
                _ => "",
            };
            format!("{}: can't connect: {error}{hint}", self.place)
        })?;
        let context =
            ContextBuilder::new().timeout(self.access.timeout).max_ack_inflight(in_flight).build(client.clone());
        Ok(Link { client, context, trouble })
    }

    async fn settings(&self) -> Result<ConnectOptions, String> {
        let options = &self.access;
        let mut settings = ConnectOptions::new()
            .name("weir")
            .connection_timeout(options.timeout)
            .request_timeout(Some(options.timeout))
            .ping_interval(PING)
            .ignore_discovered_servers()
            // Each server once; then whoever uses it takes over.
            .max_reconnects(self.servers.len());
        // The client ignores what a URL contains. A user without a password is a token there.
        if let Some((user, server)) = self.servers.iter().find_map(|server| Some((server.username()?, server))) {
            settings = match server.password() {
                Some(password) => settings.user_and_password(decoded(user), decoded(password)),
                None => settings.token(decoded(user)),
            };
        }
        if let (Some(user), Some(password)) = (&options.user, &options.password) {
            settings = settings.user_and_password(user.clone(), password.expose().to_owned());
        }
        if let Some(token) = &options.token {
            settings = settings.token(token.expose().to_owned());
        }
        if let Some(path) = &options.credentials {
            settings = settings.credentials_file(path).await.map_err(|error| {
                let path = path.display();
                format!("{}: can't read the credentials in `{path}`: {error}", self.place)
            })?;
        }
        if let Some(tls) = &options.tls {
            settings = settings.require_tls(true);
            if let Some(ca) = &tls.ca {
                settings = settings.add_root_certificates(ca.clone());
            }
            if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
                settings = settings.add_client_certificate(certificate.clone(), key.clone());
            }
        }
        Ok(settings)
    }
}

/// Text from a URL, without its percent encoding, some of which the parser adds itself.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Link {
    /// For JetStream.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// For plain subjects.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits until the connection is broken. Returns the reason.
    pub fn trouble(&mut self) -> impl Future<Output = String> + use<> {
        let mut trouble = self.trouble.clone();
        async move {
            match trouble.wait_for(Option::is_some).await {
                Ok(said) => said.clone().unwrap_or_default(),
                Err(_) => "the connection has ended".into(),
            }
        }
    }
}
