//! One connection to a NATS server. It is not repaired: when it breaks, the sink's runner opens a new one, so that
//! waiting, counting and logging are in one place for all sinks.

use std::future::Future;
use std::str::FromStr;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;
use weir_document::Secret;

use super::NatsOptions;
use crate::limits;
use crate::sink::SinkError;

/// The addresses of the servers.
pub(super) struct Address {
    servers: Vec<ServerAddr>,
    place: String,
}

/// A connection that works, as far as is known.
pub(super) struct Link {
    context: Context,
    trouble: watch::Receiver<Option<String>>,
}

impl Address {
    /// Checks the options and opens nothing.
    pub fn new(sink: &str, options: &NatsOptions) -> Result<Address, String> {
        let refuse = |error: &str| Err(format!("sink `{sink}`: {error}"));
        let Some(url) = options.url.as_ref().map(Secret::expose) else {
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
        let ways = [options.user.is_some(), options.token.is_some(), options.credentials.is_some()];
        if ways.iter().filter(|given| **given).count() > 1 {
            return refuse("use only one of `user` with `password`, `token` and `credentials`");
        }
        if options.user.is_some() != options.password.is_some() {
            return refuse("`user` and `password` must be given together");
        }
        if options.tls.as_ref().is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()) {
            return refuse("`tls` needs both `certificate` and `key`, or neither");
        }
        let named: Vec<_> = servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
        Ok(Address { place: format!("sink `{sink}`: NATS at {}", named.join(", ")), servers })
    }

    /// Sink and servers, the beginning of errors; without secrets.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Connects to the first server that answers.
    pub async fn connect(&self, options: &NatsOptions) -> Result<Link, SinkError> {
        // An error means that one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (tell, trouble) = watch::channel(None);
        let settings = self.settings(options).await?.event_callback(move |event| {
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
            SinkError::Retry(format!("{}: can't connect: {error}{hint}", self.place))
        })?;
        // Twice the size of a delivery, so that permits of a failed delivery never block the next one.
        let context = ContextBuilder::new()
            .timeout(options.timeout.duration())
            .max_ack_inflight(2 * limits::NATS_IN_FLIGHT)
            .build(client);
        Ok(Link { context, trouble })
    }

    async fn settings(&self, options: &NatsOptions) -> Result<ConnectOptions, SinkError> {
        let mut settings = ConnectOptions::new()
            .name("weir")
            .connection_timeout(options.timeout.duration())
            .request_timeout(Some(options.timeout.duration()))
            .ping_interval(limits::NATS_PING)
            .ignore_discovered_servers()
            // Each server once; then the runner takes over.
            .max_reconnects(self.servers.len());
        // The client ignores what a URL contains. A user without a password is a token there.
        if let Some((user, server)) = self.servers.iter().find_map(|server| Some((server.username()?, server))) {
            settings = match server.password() {
                Some(password) => settings.user_and_password(user.to_owned(), password.to_owned()),
                None => settings.token(user.to_owned()),
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
                SinkError::Retry(format!("{}: can't read the credentials in `{path}`: {error}", self.place))
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

impl Link {
    pub fn context(&self) -> &Context {
        &self.context
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
