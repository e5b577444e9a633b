//! SASL: the texts with which a client proves that it knows a password.
//!
//! PLAIN sends it; SCRAM (RFC 5802) proves it, and lets the server prove that it knows it, too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::limits::KAFKA_SCRAM_ROUNDS;

/// How the password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(super) enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    Sha256,
    #[serde(rename = "SCRAM-SHA-512")]
    Sha512,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Sha256 => "SCRAM-SHA-256",
            Mechanism::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// The only message of PLAIN.
pub(super) fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// A conversation of SCRAM.
pub(super) struct Scram {
    is_sha512: bool,
    password: String,
    nonce: String,
    first_bare: String,
}

/// What the server must answer at last.
pub(super) struct Due {
    signature: Vec<u8>,
}

impl Scram {
    pub fn new(mechanism: Mechanism, user: &str, password: &str) -> Result<Scram, String> {
        let mut random = [0; 18];
        SystemRandom::new().fill(&mut random).map_err(|_| "the system has no random numbers".to_owned())?;
        Ok(Scram::with_nonce(mechanism, user, password, STANDARD.encode(random)))
    }

    fn with_nonce(mechanism: Mechanism, user: &str, password: &str, nonce: String) -> Scram {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        Scram { is_sha512: mechanism == Mechanism::Sha512, password: password.to_owned(), nonce, first_bare }
    }

    /// The client's first message.
    pub fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first_bare).into_bytes()
    }

    /// The client's second message, from the server's first.
    pub fn answer(&self, server: &[u8]) -> Result<(Vec<u8>, Due), String> {
        let refuse = || "the broker's SCRAM message is malformed".to_owned();
        let server = str::from_utf8(server).map_err(|_| refuse())?;
        let part = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name)).ok_or_else(refuse);
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        let salt = STANDARD.decode(salt).map_err(|_| refuse())?;
        let rounds =
            rounds.parse().ok().filter(|rounds| *rounds <= KAFKA_SCRAM_ROUNDS).and_then(std::num::NonZeroU32::new);
        let (Some(rounds), true) = (rounds, nonce.starts_with(&self.nonce)) else { return Err(refuse()) };
        let (pbkdf2_of, hmac_of, digest_of) = match self.is_sha512 {
            true => (pbkdf2::PBKDF2_HMAC_SHA512, hmac::HMAC_SHA512, &digest::SHA512),
            false => (pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256, &digest::SHA256),
        };
        let mut salted = vec![0; digest_of.output_len()];
        pbkdf2::derive(pbkdf2_of, rounds, &salt, self.password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac_of, key), text);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(digest_of, client_key.as_ref());
        let last_bare = format!("c=biws,r={nonce}");
        let signed = format!("{},{server},{last_bare}", self.first_bare);
        let client_signature = sign(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> =
            client_key.as_ref().iter().zip(client_signature.as_ref()).map(|(key, signature)| key ^ signature).collect();
        let server_key = sign(&salted, b"Server Key");
        let signature = sign(server_key.as_ref(), signed.as_bytes()).as_ref().to_vec();
        Ok((format!("{last_bare},p={}", STANDARD.encode(proof)).into_bytes(), Due { signature }))
    }
}

impl Due {
    /// Whether the server's last message proves that it knows the password.
    pub fn is_met(&self, server: &[u8]) -> bool {
        let given = server.strip_prefix(b"v=").and_then(|given| STANDARD.decode(given).ok());
        given.is_some_and(|given| given == self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversation_of_the_standard_is_spoken() {
        // RFC 7677, section 3.
        let scram = Scram::with_nonce(Mechanism::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, due) = scram.answer(server.as_bytes()).expect("well-formed");
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(last).expect("text"), expected);
        assert!(due.is_met(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!due.is_met(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=") && !due.is_met(b"e=other-error"));
    }

    #[test]
    fn a_server_with_another_nonce_or_too_many_rounds_is_refused() {
        let scram = Scram::with_nonce(Mechanism::Sha512, "a,b=c", "pencil", "nonce".to_owned());
        assert_eq!(scram.first(), b"n,,n=a=2Cb=3Dc,r=nonce");
        assert!(scram.answer(b"r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096").is_ok());
        for server in [
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295",
            "r=nonce1,i=1",
            "",
        ] {
            assert!(scram.answer(server.as_bytes()).is_err(), "{server}");
        }
    }
}
