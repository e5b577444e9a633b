//! The page's files: part of the program, sent compressed, and not sent again while they are the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, VARY,
};
use hyper::{Request, Response, StatusCode};

use crate::reply::{self, Body};

/// What the page may do: nothing but its own files and this router's answers.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file.
pub struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    prepared: OnceLock<Prepared>,
}

struct Prepared {
    etag: String,
    compressed: Bytes,
}

macro_rules! files {
    ($($path:literal, $name:literal;)*) => {
        [$(File {
            path: $path,
            content_type: content_type($name),
            bytes: include_bytes!(concat!("../page/", $name)),
            prepared: OnceLock::new(),
        },)*]
    };
}

static FILES: [File; 64] = files! {
    "/", "index.html";
    "/api.js", "api.js";
    "/caller.js", "caller.js";
    "/completion.js", "completion.js";
    "/dialogs.js", "dialogs.js";
    "/difference.css", "difference.css";
    "/difference.js", "difference.js";
    "/dom.js", "dom.js";
    "/facets.js", "facets.js";
    "/facts.js", "facts.js";
    "/fields.js", "fields.js";
    "/filter-panel.js", "filter-panel.js";
    "/flow-lines.js", "flow-lines.js";
    "/flow-nodes.js", "flow-nodes.js";
    "/format.js", "format.js";
    "/health.js", "health.js";
    "/histogram.js", "histogram.js";
    "/icon.svg", "icon.svg";
    "/keys.js", "keys.js";
    "/level-choices.js", "level-choices.js";
    "/levels.css", "levels.css";
    "/levels.js", "levels.js";
    "/line.js", "line.js";
    "/list.css", "list.css";
    "/list.js", "list.js";
    "/live.js", "live.js";
    "/login.css", "login.css";
    "/login.js", "login.js";
    "/main.js", "main.js";
    "/module-drop.js", "module-drop.js";
    "/notice.js", "notice.js";
    "/page.css", "page.css";
    "/panel.js", "panel.js";
    "/panels.css", "panels.css";
    "/pipeline-flow.js", "pipeline-flow.js";
    "/pipeline.css", "pipeline.css";
    "/pipeline.js", "pipeline.js";
    "/quarantine-actions.js", "quarantine-actions.js";
    "/quarantine-line.js", "quarantine-line.js";
    "/quarantine-origins.js", "quarantine-origins.js";
    "/quarantine-panel.js", "quarantine-panel.js";
    "/quarantine.css", "quarantine.css";
    "/quarantine.js", "quarantine.js";
    "/query-line.js", "query-line.js";
    "/query-syntax.js", "query-syntax.js";
    "/rates.js", "rates.js";
    "/record-panel.js", "record-panel.js";
    "/record-tree.js", "record-tree.js";
    "/rights.js", "rights.js";
    "/ring.js", "ring.js";
    "/saved.js", "saved.js";
    "/search-answers.js", "search-answers.js";
    "/search-choices.js", "search-choices.js";
    "/search.js", "search.js";
    "/session.js", "session.js";
    "/sink-panel.js", "sink-panel.js";
    "/stage-note.js", "stage-note.js";
    "/stage.css", "stage.css";
    "/stream.js", "stream.js";
    "/theme.css", "theme.css";
    "/theme.js", "theme.js";
    "/try-module.js", "try-module.js";
    "/url-state.js", "url-state.js";
    "/views.js", "views.js";
};

const fn content_type(name: &str) -> &'static str {
    match name.as_bytes() {
        [.., b'.', b'h', b't', b'm', b'l'] => "text/html; charset=utf-8",
        [.., b'.', b'c', b's', b's'] => "text/css; charset=utf-8",
        [.., b'.', b's', b'v', b'g'] => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

/// The file at a path.
pub fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// Answers a request for a file.
pub fn answer(request: &Request<()>) -> Response<Body> {
    let Some(file) = find(request.uri().path()) else {
        return reply::ApiError::new(StatusCode::NOT_FOUND, "there is nothing here").answer();
    };
    let prepared = file.prepared.get_or_init(|| file.prepare());
    let is_known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known == prepared.etag.as_str());
    let takes_gzip = request
        .headers()
        .get(ACCEPT_ENCODING)
        .and_then(|encodings| encodings.to_str().ok())
        .is_some_and(|encodings| encodings.split(',').any(|encoding| encoding.trim().starts_with("gzip")));
    let bytes = match (is_known, takes_gzip) {
        (true, _) => Bytes::new(),
        (false, true) => prepared.compressed.clone(),
        (false, false) => Bytes::from_static(file.bytes),
    };
    let mut answer = reply::whole(file.content_type, bytes);
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    // Asked for each time, so that a new version of the router brings its page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&prepared.etag) {
        headers.insert(ETAG, etag);
    }
    if takes_gzip && !is_known {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

impl File {
    fn prepare(&self) -> Prepared {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let compressed = encoder.write_all(self.bytes).and_then(|()| encoder.finish());
        Prepared {
            etag: format!("\"{:016x}\"", hasher.finish()),
            compressed: compressed.expect("writing to memory can't fail").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let name = entry.expect("it can be read").file_name().into_string().expect("a plain name");
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(find(&path).is_some(), "{path} is missing in the list");
        }
    }

    #[test]
    fn a_file_is_sent_compressed_and_only_if_it_has_changed() {
        let ask = |headers: &[(&str, &str)]| {
            let request =
                headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            answer(&request.body(()).expect("a request"))
        };
        let plain = ask(&[]);
        let etag = plain.headers()[ETAG].to_str().expect("text").to_owned();
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(ask(&[("accept-encoding", "br, gzip")]).headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(ask(&[("if-none-match", &etag)]).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ask(&[("if-none-match", "\"other\"")]).status(), StatusCode::OK);
    }
}
