//! Heads of all kinds, and undeclared bodies.

use hyper::Request;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn declared(value: &'static str) -> Option<Content> {
    content(&headers(&[("content-type", value)])).ok()
}

#[test]
fn content_types_are_read_in_any_case_with_parameters_and_common_synonyms() {
    assert_eq!(declared("application/json"), Some(Content::Json));
    assert_eq!(declared("Application/JSON; charset=UTF-8"), Some(Content::Json));
    assert_eq!(declared(" application/x-ndjson ;q=1"), Some(Content::Json));
    assert_eq!(declared("application/msgpack"), Some(Content::MsgPack));
    assert_eq!(declared("application/x-msgpack"), Some(Content::MsgPack));
    assert_eq!(declared("text/plain;charset=\"us-ascii\""), Some(Content::Text));
    assert_eq!(declared("application/x-www-form-urlencoded"), Some(Content::Undeclared));
    assert_eq!(content(&HeaderMap::new()).ok(), Some(Content::Undeclared));
}

#[test]
fn an_unknown_type_or_charset_is_415_naming_what_is_supported() {
    for value in ["text/html", "application/xml", "json", "multipart/form-data; boundary=x"] {
        let refused = content(&headers(&[("content-type", value)])).unwrap_err();
        assert_eq!(refused.status.as_u16(), 415, "{value}");
        assert!(refused.error.contains("application/msgpack") && refused.error.contains(value), "{}", refused.error);
    }
    let refused = content(&headers(&[("content-type", "text/plain; charset=iso-8859-1")])).unwrap_err();
    assert_eq!(refused.status.as_u16(), 415);
    assert!(refused.error.contains("UTF-8"));
}

#[test]
fn undeclared_bodies_are_told_apart_by_their_first_bytes() {
    let cases: [(&[u8], Content); 17] = [
        (b"{\"a\":1}", Content::Json),
        (b" \r\n\t[{}]", Content::Json),
        (b"\xef\xbb\xbf{}", Content::Json),
        (b"\x81\xa1a\x01", Content::MsgPack),
        (b"\x92\x80\x80", Content::MsgPack),
        (b"\xde\x00\x01\xa1a\x01", Content::MsgPack),
        (b"\xdc\x00\x10\x80", Content::MsgPack),
        (b"\xdd\x00\x00\x00\x01\x80", Content::MsgPack),
        (b"\xdf\x00\x00\x00\x00", Content::MsgPack),
        ("\u{710}\u{712} Syriac begins with 0xdc".as_bytes(), Content::Text),
        ("\u{7c0} N'Ko begins with 0xdf".as_bytes(), Content::Text),
        (b"hello", Content::Text),
        (b"2026-11-20 INFO started", Content::Text),
        (b"\xc3\xa9t\xc3\xa9", Content::Text),
        (b"<34>1 2026 host", Content::Text),
        (b"", Content::Text),
        (b"   ", Content::Text),
    ];
    for (body, expected) in cases {
        assert_eq!(sniff(body), expected, "{body:?}");
    }
}

#[test]
fn one_known_encoding_is_read_and_anything_else_is_415_naming_the_supported() {
    let read = |value| encoding(&headers(&[("content-encoding", value)])).ok();
    assert_eq!(read("gzip"), Some(Encoding::Gzip));
    assert_eq!(read("X-GZIP"), Some(Encoding::Gzip));
    assert_eq!(read("deflate"), Some(Encoding::Deflate));
    assert_eq!(read(" zstd "), Some(Encoding::Zstd));
    assert_eq!(read("identity"), Some(Encoding::Identity));
    assert_eq!(encoding(&HeaderMap::new()).ok(), Some(Encoding::Identity));
    for pairs in [
        &[("content-encoding", "br")][..],
        &[("content-encoding", "gzip, zstd")],
        &[("content-encoding", "gzip"), ("content-encoding", "gzip")],
    ] {
        let refused = encoding(&headers(pairs)).unwrap_err();
        assert_eq!(refused.status.as_u16(), 415);
        assert!(refused.error.contains("gzip, deflate and zstd"), "{}", refused.error);
    }
}

#[test]
fn cross_site_posts_are_403_and_programs_and_own_pages_pass() {
    let status = |pairs: &[(&'static str, &'static str)]| {
        let mut parts = Request::post("/ingest").body(()).unwrap().into_parts().0;
        parts.headers = headers(pairs);
        refuse_cross_site(&parts, false).err().map(|refused| refused.status.as_u16())
    };
    assert_eq!(status(&[("host", "127.0.0.1:8080")]), None);
    assert_eq!(status(&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080")]), None);
    assert_eq!(status(&[("host", "127.0.0.1:8080"), ("origin", "https://evil.example")]), Some(403));
    assert_eq!(status(&[("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:9")]), Some(403));
    assert_eq!(status(&[("host", "127.0.0.1:8080"), ("origin", "null")]), Some(403));
    assert_eq!(status(&[("sec-fetch-site", "cross-site")]), Some(403));
    assert_eq!(status(&[("sec-fetch-site", "same-site")]), Some(403));
    // Behind a proxy the host differs, but the browser reports that page and target are same-origin.
    let proxied = [("sec-fetch-site", "same-origin"), ("origin", "https://logs.example"), ("host", "10.0.0.7:8080")];
    assert_eq!(status(&proxied), None);
}

#[test]
fn over_http2_the_host_comes_from_the_uri() {
    let mut parts = Request::post("http://weir.example/ingest").body(()).unwrap().into_parts().0;
    parts.headers = headers(&[("origin", "https://weir.example")]);
    assert!(refuse_cross_site(&parts, false).is_ok());
}
