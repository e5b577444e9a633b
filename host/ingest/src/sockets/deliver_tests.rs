//! Who may go on sending on a connection that was accepted.

use weir_access::{Access, Grant, TokenEntry, certificate_hash};
use weir_record::read_text;

use super::super::test_session::listener;
use super::*;
use crate::HttpOptions;

/// The token of the certificate `ci`.
fn grant(sources: &[&str]) -> Grant {
    let entry = TokenEntry {
        name: "ci".to_owned(),
        role: Role::Ingest,
        sources: sources.iter().map(|&source| source.to_owned()).collect(),
        routes: vec![],
        hash: certificate_hash("ci").expect("a name"),
        created_ns: 0,
        expires_ns: None,
    };
    Grant::new(entry).expect("a grant")
}

#[tokio::test]
async fn an_open_connection_sends_only_what_the_token_of_its_certificate_is_for_and_nothing_without_one() {
    let access = Arc::new(Access::new(false));
    access.set([grant(&[])]);
    let listener = listener(&HttpOptions { access: Arc::clone(&access), ..HttpOptions::default() });
    let remote = Remote::of_address(IpAddr::from([127, 0, 0, 1]), &access).expect("there is room");
    let remote = remote.encrypted(Some(ClientCertificate::new(&["ci".to_owned()], "sha256:ab", i64::MAX)));
    let (_stop, stopped) = watch::channel(false);
    let session = Session::of_connection(&listener, &remote, &stopped).expect("it has a token");
    let refusal = async || {
        let mut decode = || {
            let mut batch = Batch::new();
            let bad = read_text(b"one", &listener.defaults(0), &mut batch).expect("text");
            Ok(Decoded { batch, bad, key: None, bytes: 3 })
        };
        match session.store(&mut decode).await {
            Err(NotStored::Refused(reason)) => Some(reason),
            _ => None,
        }
    };
    assert_eq!(refusal().await, None);
    access.set([grant(&["other"])]);
    assert!(refusal().await.is_some_and(|reason| reason.contains("the source `lines`")));
    access.set([]);
    assert!(refusal().await.is_some_and(|reason| reason.contains("no token is for this client certificate")));
}
