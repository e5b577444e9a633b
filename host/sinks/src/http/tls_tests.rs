//! The `http` sink and TLS: a server whose certificate is signed by our own authority, and one that requires a client
//! certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::*;
use crate::servers::certificates::certificates;
use crate::servers::intake::{Intake, Kind as Intakes, Stream};
use crate::sink::Delivered;
use crate::testing::{frame, numbered};

fn intake(folder: &Path, name: &str, asks_for_client: bool) -> Intake {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).expect("a key");
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().expect("versions");
    let builder = if asks_for_client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).expect("a certificate")).expect("an authority");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let config = Arc::new(builder.with_single_cert(chain, key).expect("a configuration"));
    let wrap = move |stream| -> std::io::Result<Box<dyn Stream>> {
        let connection = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    };
    Intake::start_with(Intakes::Http, Some(Arc::new(wrap)))
}

async fn delivered(intake: &Intake, tls: Value) -> Result<Delivered, SinkError> {
    let options = json!({ "url": intake.url(), "timeout": "5s", "tls": tls });
    let mut sink = build("out", options, &BuildContext::default()).expect("builds");
    sink.start(0).await.expect("starts");
    sink.deliver(&[frame(1, numbered(0..3))]).await
}

#[tokio::test]
async fn a_server_is_trusted_if_a_configured_authority_signed_its_certificate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    certificates(folder.path());
    let server = intake(folder.path(), "server", false);
    let error = delivered(&server, json!({})).await.expect_err("nobody knows the authority");
    assert!(error.is_temporary() && error.to_string().contains("certificate"), "{error}");
    let ca = folder.path().join("ca.pem");
    assert_eq!(delivered(&server, json!({ "ca": ca })).await, Ok(Delivered::default()));
    assert_eq!(server.records().len(), 3);
    let other = intake(folder.path(), "other", false);
    let error = delivered(&other, json!({ "ca": ca })).await.expect_err("another name");
    assert!(error.is_temporary() && error.to_string().contains("127.0.0.1"), "{error}");
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn a_server_that_requires_a_client_certificate_gets_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    certificates(folder.path());
    let server = intake(folder.path(), "server", true);
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| folder.path().join(name));
    let error = delivered(&server, json!({ "ca": ca })).await.expect_err("no certificate");
    assert!(error.is_temporary(), "{error}");
    let all = json!({ "ca": ca, "certificate": certificate, "key": key });
    assert_eq!(delivered(&server, all).await, Ok(Delivered::default()));
    assert_eq!(server.records().len(), 3);
}

#[tokio::test]
async fn a_missing_certificate_file_is_named_and_read_once_it_exists() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    certificates(folder.path());
    let server = intake(folder.path(), "server", false);
    let ca = folder.path().join("later.pem");
    let options = json!({ "url": server.url(), "tls": { "ca": ca } });
    let mut sink = build("out", options, &BuildContext::default()).expect("builds");
    let frames = [frame(1, numbered(0..3))];
    let error = sink.deliver(&frames).await.expect_err("no file");
    assert!(error.is_temporary() && error.to_string().contains("later.pem"), "{error}");
    std::fs::write(&ca, "no certificate").expect("writes");
    let error = sink.deliver(&frames).await.expect_err("nothing in it");
    assert!(error.is_temporary() && error.to_string().contains("later.pem"), "{error}");
    std::fs::copy(folder.path().join("ca.pem"), &ca).expect("copies");
    assert_eq!(sink.deliver(&frames).await, Ok(Delivered::default()));
}
