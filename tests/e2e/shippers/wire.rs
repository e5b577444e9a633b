//! Small protocols byte by byte: slow senders, cut connections, wrong tokens and a full journal.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{all, home, ingest_token};
use crate::clients::{curl, post};
use crate::router::{Home, Router};

/// A request that makes one record, and the status of its success.
struct Sent {
    path: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    status: u16,
}

const ALL: [Sent; 7] = [
    Sent { path: "/write?db=a", headers: &[], body: "m f=1", status: 204 },
    Sent { path: "/api/v2/write?bucket=a&org=b", headers: &[], body: "m f=1", status: 204 },
    Sent { path: "/gelf", headers: &[], body: r#"{"version":"1.1","host":"h","short_message":"m"}"#, status: 202 },
    Sent {
        path: "/logplex",
        headers: &["content-type: application/logplex-1", "logplex-msg-count: 1", "logplex-frame-id: 7"],
        body: "51 <190>1 2012-11-30T06:45:29+00:00 host app web.1 - m",
        status: 204,
    },
    Sent {
        path: "/cloudevents",
        headers: &["content-type: application/cloudevents+json"],
        body: r#"{"specversion":"1.0","id":"1","source":"/a","type":"m"}"#,
        status: 204,
    },
    Sent {
        path: "/cloudevents",
        headers: &["ce-specversion: 1.0", "ce-id: 1", "ce-source: /a", "ce-type: m"],
        body: "m",
        status: 204,
    },
    Sent { path: "/alertmanager", headers: &[], body: r#"{"alerts":[{"labels":{"alertname":"m"}}]}"#, status: 204 },
];

impl Sent {
    fn curl(&self, router: &Router, token: &str) -> crate::clients::Answer {
        let authorization = format!("authorization: Token {token}");
        let headers = self.headers.iter().copied().chain([authorization.as_str()]);
        let arguments: Vec<&str> = headers.flat_map(|header| ["-H", header]).chain(["--data-binary", "@-"]).collect();
        curl(router, self.path, &arguments, self.body.as_bytes())
    }

    fn raw(&self, router: &Router) -> (TcpStream, Vec<u8>) {
        let address = router.url.trim_start_matches("http://");
        let headers: String = self.headers.iter().map(|header| format!("{header}\r\n")).collect();
        let Sent { path, body, .. } = self;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        (stream, [head.as_bytes(), body.as_bytes()].concat())
    }
}

#[test]
fn a_request_one_byte_at_a_time_makes_its_record_and_a_cut_one_none() {
    let home = home("");
    let router = home.start();
    for sent in &ALL {
        let (mut stream, bytes) = sent.raw(&router);
        for byte in &bytes {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {} ", sent.status)), "{}: {answer}", sent.path);
        let (mut stream, bytes) = sent.raw(&router);
        stream.write_all(&bytes[..bytes.len() - 1]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Whether or not there is an answer, it is over when this ends.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(all(&home, router).len(), ALL.len());
}

#[test]
fn a_wrong_token_is_refused_and_the_right_one_is_not() {
    let home = home("");
    let token = ingest_token(&home);
    let router = home.start();
    for sent in &ALL {
        let refused = sent.curl(&router, "weir_wrong");
        assert_eq!(refused.status, 401, "{}: {refused:?}", sent.path);
        let key = if sent.path.starts_with("/api/v2/") { "message" } else { "error" };
        assert!(refused.json()[key].as_str().is_some_and(|error| error.contains("token")), "{refused:?}");
        assert_eq!(sent.curl(&router, &token).status, sent.status, "{}", sent.path);
    }
    assert_eq!(all(&home, router).len(), ALL.len());
}

#[test]
fn while_the_journal_is_full_everybody_is_told_to_come_back() {
    // The sink can't create its folder until the file in its place is removed.
    let home = Home::with(
        "[journal]\nsegment_size = \"1MiB\"\nmax_size = \"8MiB\"\n[sink.out]\ntype = \"file\"\npath = \"blocked/out.jsonl\"\n",
    );
    std::fs::write(home.path("blocked"), "in the way").unwrap();
    let router = home.start();
    let filling = format!(r#"{{"message":"{}"}}"#, "x".repeat(200_000));
    while post(&router, &filling).status == 200 {}
    // Smaller records may fit when larger ones don't any more.
    while ALL.iter().any(|sent| sent.curl(&router, "").status < 300) {}
    for sent in &ALL {
        let refused = sent.curl(&router, "");
        assert_eq!(refused.status, 503, "{}: {refused:?}", sent.path);
        assert!(refused.head.to_lowercase().contains("\nretry-after: "), "{refused:?}");
    }
}
