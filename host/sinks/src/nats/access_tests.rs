//! Authentication: passwords, tokens, certificates, credentials with a JWT.

use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::tests::{built, options_for, said, started};
use crate::servers::certificates::certificates;
use crate::servers::nats::Nats;
use crate::testing::{frame, numbered};

#[tokio::test]
async fn missing_permissions_are_reported_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start_with(
        folder.path(),
        "authorization { users: [ { user: weir, password: correct, permissions: { publish: [\"$JS.API.>\"] } } ] }",
    );
    let options = |password: &str| json!({ "url": nats.url(), "user": "weir", "password": password, "stream": "LOGS", "create_stream": true });
    let error = built(&options("hunter2")).start(0).await.expect_err("refused").to_string();
    assert!(error.contains("`password`") && !error.contains("hunter2"), "{error}");
    let url = nats.url().replace("nats://", "nats://weir:correct@");
    started(&json!({ "url": url, "stream": "LOGS", "create_stream": true })).await;
    let mut sink = started(&options("correct")).await;
    let error = sink.deliver(&[frame(1, numbered(0..1))]).await.expect_err("not permitted");
    assert!(error.is_temporary() && error.to_string().to_lowercase().contains("permissions"), "{error}");
    let token = tempfile::tempdir().expect("a folder");
    let nats = Nats::start_with(token.path(), "authorization { token: sesame }");
    let url = nats.url().replace("nats://", "nats://user:hunter2@");
    let error = built(&json!({ "url": url })).start(0).await.expect_err("refused").to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let url = nats.url().replace("nats://", "nats://sesame@");
    started(&json!({ "url": url, "stream": "LOGS", "create_stream": true })).await;
    started(&json!({ "url": nats.url(), "token": "sesame", "stream": "LOGS", "create_stream": true })).await;
}

#[tokio::test]
async fn user_password_and_token_in_a_url_may_have_any_characters() {
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start_with(folder.path(), "authorization { user: \"a b\", password: \"c2V|jc@mV0==\" }");
    let url = nats.url().replace("nats://", "nats://a%20b:c2V|jc%40mV0==@");
    started(&json!({ "url": url, "stream": "LOGS", "create_stream": true })).await;
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start_with(folder.path(), "authorization { token: \"sesame==\" }");
    let url = nats.url().replace("nats://", "nats://sesame==@");
    started(&json!({ "url": url, "stream": "LOGS", "create_stream": true })).await;
}

/// The result with these `tls` options: all records accepted, or the error.
async fn over_tls(nats: &Nats, tls: Value) -> Result<(), String> {
    let mut options = options_for(nats);
    options["tls"] = tls;
    let mut sink = built(&options);
    sink.start(0).await.map_err(|error| error.to_string())?;
    sink.deliver(&[frame(1, numbered(0..3))]).await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn certificates_are_checked_on_both_sides() {
    let place = tempfile::tempdir().expect("a folder");
    certificates(place.path());
    let path = |name: &str| place.path().join(name).display().to_string();
    let start = |folder: &Path, name: &str, more: &str| {
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        Nats::start_with(folder, &format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\" {more} }}"))
    };
    let store = tempfile::tempdir().expect("a folder");
    let nats = start(store.path(), "server", "");
    let ours = json!({ "ca": path("ca.pem") });
    over_tls(&nats, ours.clone()).await.expect("both know the authority");
    let error = over_tls(&nats, Value::Null).await.expect_err("nobody knows who signed it");
    assert!(error.contains("can't connect"), "{error}");
    drop(nats);
    let other = tempfile::tempdir().expect("a folder");
    let error = over_tls(&start(other.path(), "other", ""), ours).await.expect_err("another's certificate");
    assert!(error.contains("can't connect"), "{error}");
    // A server that requires a client certificate.
    let nats = start(store.path(), "server", &format!(", ca_file: \"{}\", verify: true", path("ca.pem")));
    over_tls(&nats, json!({ "ca": path("ca.pem") })).await.expect_err("who is there?");
    let mut whole = json!({ "ca": path("ca.pem") });
    (whole["certificate"], whole["key"]) = (path("client.pem").into(), path("client.key").into());
    over_tls(&nats, whole).await.expect("let in");
    drop(nats);
    assert_eq!(said(&Nats::start(store.path())), [0, 1, 2], "the second time they were known");
}

/// A JWT signed by `issuer`.
fn jwt(issuer: &KeyPair, subject: &KeyPair, kind: &str, limits: Value) -> String {
    let mut nats = limits;
    (nats["type"], nats["version"]) = (kind.into(), 2.into());
    let (sub, iss) = (subject.public_key(), issuer.public_key());
    let claims = json!({ "jti": sub, "iat": 1_700_000_000, "iss": iss, "name": kind, "sub": sub, "nats": nats });
    let encoded = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", encoded(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encoded(claims));
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(text.as_bytes()).expect("signs"));
    format!("{text}.{signature}")
}

#[tokio::test]
async fn a_credentials_file_gives_access_to_its_account() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    // JetStream needs one.
    let system = KeyPair::new_account();
    let unlimited = json!({ "limits": {
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    } });
    let configuration = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        jwt(&operator, &operator, "operator", json!({})),
        system.public_key(),
        system.public_key(),
        jwt(&operator, &system, "account", json!({ "limits": { "conn": -1 } })),
        account.public_key(),
        jwt(&operator, &account, "account", unlimited),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start_with(folder.path(), &configuration);
    let mut options = options_for(&nats);
    let error = built(&options).start(0).await.expect_err("nobody knows whose it is").to_string();
    assert!(error.contains("`credentials`"), "{error}");
    let file = folder.path().join("weir.creds");
    options["credentials"] = file.display().to_string().into();
    let error = built(&options).start(0).await.expect_err("there is no such file").to_string();
    assert!(error.contains("can't read the credentials") && error.contains("weir.creds"), "{error}");
    let credentials = |user: &KeyPair, signer: &KeyPair| {
        let limits = json!({ "subs": -1, "data": -1, "payload": -1 });
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            jwt(signer, user, "user", limits),
            user.seed().expect("a seed"),
        )
    };
    let stranger = KeyPair::new_account();
    std::fs::write(&file, credentials(&user, &stranger)).expect("written");
    let error = built(&options).start(0).await.expect_err("another account's").to_string();
    assert!(error.contains("`credentials`"), "{error}");
    std::fs::write(&file, credentials(&user, &account)).expect("written");
    started(&options).await.deliver(&[frame(1, numbered(0..10))]).await.expect("taken");
}
