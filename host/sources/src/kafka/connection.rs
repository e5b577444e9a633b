//! One connection to a broker: TCP, TLS and SASL as the options say, then requests and their answers, in order.
//!
//! It is not repaired. Whoever drops a future of it in the middle must drop the connection, too.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use weir_document::Secret;

use super::api::{self, Api, Code};
use super::protocol;
use super::scram::{Mechanism, Scram, plain};
use super::wire::{Malformed, Read, Writer};
use crate::limits;
use crate::socket::{Stream, Tls, open};

/// How to connect to any broker of the cluster.
#[derive(Clone)]
pub(super) struct Access {
    pub tls: Option<Tls>,
    pub sasl: Option<(Mechanism, String, Secret)>,
    /// Time limit for a connection or an answer.
    pub timeout: Duration,
}

/// A connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    place: String,
    timeout: Duration,
    /// Requests that are not answered yet.
    asked: VecDeque<(i32, Api)>,
    next_number: i32,
    /// What the broker understands.
    versions: protocol::Versions,
}

impl Access {
    /// Connects to a broker.
    ///
    /// # Errors
    /// Why that failed, with the address.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connection, String> {
        let place = format!("{host}:{port}");
        let fault = |error: &dyn std::fmt::Display| format!("can't connect to {place}: {error}");
        let stream = open(host, port, self.tls.as_ref(), self.timeout).await.map_err(|error| fault(&error))?;
        let mut connection = Connection {
            stream,
            place: place.clone(),
            timeout: self.timeout,
            asked: VecDeque::new(),
            next_number: 0,
            versions: Vec::new(),
        };
        connection.learn_versions().await?;
        if let Some((mechanism, user, password)) = &self.sasl {
            connection.authenticate(*mechanism, user, password).await.map_err(|error| fault(&error))?;
        }
        Ok(connection)
    }
}

impl Connection {
    /// The broker's address.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Time limit for an answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    fn fault(&self, what: &str, error: &dyn std::fmt::Display) -> String {
        format!("{}: {what}: {error}", self.place)
    }

    /// Whether the broker understands this version.
    pub fn understands(&self, api: Api) -> bool {
        self.versions.iter().any(|(key, first, last)| *key == api.key && (*first..=*last).contains(&api.version))
    }

    async fn learn_versions(&mut self) -> Result<(), String> {
        let (code, versions) = self.ask(api::API_VERSIONS, &[], self.timeout, protocol::versions).await?;
        self.refuse(api::API_VERSIONS, code)?;
        self.versions = versions;
        match api::NEEDED.iter().find(|api| !self.understands(**api)) {
            None => Ok(()),
            Some(api) => Err(self.fault(
                api.name,
                &format!("the broker does not understand version {}; Kafka 2.3 or newer is needed", api.version),
            )),
        }
    }

    async fn authenticate(&mut self, mechanism: Mechanism, user: &str, password: &Secret) -> Result<(), String> {
        let request = protocol::handshake_request(mechanism.name());
        let (code, enabled) = self.ask(api::SASL_HANDSHAKE, &request, self.timeout, protocol::handshake).await?;
        if code != Code::NONE {
            return Err(format!("{code} (enabled are: {})", enabled.join(", ")));
        }
        if mechanism == Mechanism::Plain {
            self.prove(&plain(user, password.expose())).await?;
            return Ok(());
        }
        let scram = Scram::new(mechanism, user, password.expose())?;
        let server = self.prove(&scram.first()).await?;
        let (last, due) = scram.answer(&server)?;
        let server = self.prove(&last).await?;
        if due.is_met(&server) { Ok(()) } else { Err("the broker does not know the password either".to_owned()) }
    }

    async fn prove(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let request = protocol::authenticate_request(message);
        let asked = self.ask(api::SASL_AUTHENTICATE, &request, self.timeout, protocol::authenticate);
        match asked.await? {
            (Code::NONE, server) => Ok(server),
            (code, _) => Err(code.to_string()),
        }
    }

    /// An error, if the code is one.
    pub fn refuse(&self, api: Api, code: Code) -> Result<(), String> {
        if code == Code::NONE { Ok(()) } else { Err(self.fault(api.name, &code)) }
    }

    /// Sends a request and reads its answer, for which the broker may take `time`.
    pub async fn ask<T>(
        &mut self,
        api: Api,
        body: &[u8],
        time: Duration,
        read: impl FnOnce(&[u8]) -> Read<T>,
    ) -> Result<T, String> {
        self.send(api, body).await?;
        let answer = self.receive(time).await?;
        read(&answer).map_err(|Malformed| self.fault(api.name, &"the answer is malformed"))
    }

    /// Sends a request.
    pub async fn send(&mut self, api: Api, body: &[u8]) -> Result<(), String> {
        self.next_number = self.next_number.wrapping_add(1);
        let head = Writer::default().i16(api.key).i16(api.version).i32(self.next_number).optional_text(Some("weir"));
        let no_tags = &[0][usize::from(api != api::METADATA_WITH_IDS)..];
        let head = head.raw(no_tags).finish();
        let length = (head.len() + body.len()) as i32;
        let frame = [&length.to_be_bytes()[..], &head, body].concat();
        match timeout(self.timeout, self.stream.write_all(&frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.fault(api.name, &error)),
            Err(_) => return Err(self.fault(api.name, &format!("not taken within {:?}", self.timeout))),
        }
        self.asked.push_back((self.next_number, api));
        Ok(())
    }

    /// Reads the answer to the first request that has none.
    pub async fn receive(&mut self, time: Duration) -> Result<Vec<u8>, String> {
        let Some((number, api)) = self.asked.pop_front() else {
            return Err(self.fault("internal error", &"nothing was asked"));
        };
        match timeout(time, self.frame()).await {
            Ok(Ok((answered, answer))) if answered == number => Ok(answer),
            Ok(Ok(_)) => Err(self.fault(api.name, &"the answer is none to this request")),
            Ok(Err(error)) => Err(self.fault(api.name, &error)),
            Err(_) => Err(self.fault(api.name, &format!("no answer within {time:?}"))),
        }
    }

    /// The number of a request, and the answer to it.
    async fn frame(&mut self) -> Result<(i32, Vec<u8>), String> {
        const NUMBER_BYTES: usize = 4;
        let lost = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the broker closed the connection".to_owned(),
            _ => error.to_string(),
        };
        let length = self.stream.read_i32().await.map_err(lost)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= limits::KAFKA_ANSWER_BYTES);
        let length = length.and_then(|length| length.checked_sub(NUMBER_BYTES));
        let length = length.ok_or("the answer is too long, or from something that is not Kafka")?;
        let number = self.stream.read_i32().await.map_err(lost)?;
        // Grows with what arrives, whatever the length says.
        let mut answer = Vec::new();
        (&mut self.stream).take(length as u64).read_to_end(&mut answer).await.map_err(lost)?;
        if answer.len() < length { Err("the broker closed the connection".to_owned()) } else { Ok((number, answer)) }
    }
}
