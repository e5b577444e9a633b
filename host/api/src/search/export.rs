//! All matching records as NDJSON or CSV, read page by page as fast as the client takes them.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::Response;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use weir_access::{Caller, Denied};
use weir_live::message::{CSV_HEAD, Names, write_csv, write_record};
use weir_query::Query;
use weir_query::search::{Hit, Search};
use weir_record::Record;

use super::logs::place;
use super::{store, timed};
use crate::parameters::Parameters;
use crate::reply::{ApiError, Body, BodyError, with_body};
use crate::{Api, limits};

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
}

/// `GET /api/export`
pub async fn export(api: &Arc<Api>, parameters: &Parameters) -> Result<Response<Body>, ApiError> {
    let (query, names, store) = (parameters.query()?, parameters.names()?, store(api, parameters)?);
    let formats = [("ndjson", Format::Ndjson), ("csv", Format::Csv)];
    let format = parameters.one_of("format", &formats)?.unwrap_or(Format::Ndjson);
    // The first page decides whether there is an answer at all.
    let first = timed(api, &parameters.caller, store.search.newest(&query, None, limits::EXPORT_PAGE)).await?;
    let (sender, body) = Channel::new(1);
    let mut export = Export(Some(sender));
    let caller = parameters.caller.clone();
    let api = api.clone();
    tokio::spawn(async move {
        let mut writer = Writer { format, names, caller, text: Vec::new() };
        match writer.send_all(&api, &*store.search, &query, first, &mut export).await {
            Ok(()) => export.complete(),
            Err(error) => tracing::warn!("an export ended early: {}", error.message),
        }
    });
    let (kind, name) = match format {
        Format::Ndjson => ("application/x-ndjson", "attachment; filename=\"logs.ndjson\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"logs.csv\""),
    };
    let mut answer = with_body(kind, body.boxed_unsync());
    answer.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(answer)
}

/// The body of an export. It is cut off unless it is completed, also when the router stops or its task panics: nothing
/// else tells the client that records are missing.
struct Export(Option<Sender<Bytes, BodyError>>);

impl Export {
    /// Returns false once the client is gone.
    async fn send(&mut self, text: Vec<u8>) -> bool {
        match &mut self.0 {
            Some(sender) => sender.send_data(text.into()).await.is_ok(),
            None => false,
        }
    }

    fn complete(mut self) {
        self.0 = None;
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            sender.abort("the export ended early".into());
        }
    }
}

struct Writer {
    format: Format,
    names: Names,
    caller: Caller,
    text: Vec<u8>,
}

impl Writer {
    /// Sends all pages, beginning with one that was read. Ends quietly when the client goes.
    async fn send_all(
        &mut self,
        api: &Api,
        search: &dyn Search,
        query: &Query,
        first: Vec<Hit>,
        export: &mut Export,
    ) -> Result<(), ApiError> {
        if self.format == Format::Csv {
            self.text.extend_from_slice(CSV_HEAD.as_bytes());
        }
        let mut page = first;
        loop {
            page.iter().for_each(|hit| self.write(hit));
            let text = std::mem::take(&mut self.text);
            if !text.is_empty() && !export.send(text).await {
                return Ok(());
            }
            let Some(last) = page.last().filter(|_| page.len() == limits::EXPORT_PAGE) else { return Ok(()) };
            if !api.access.is_current(&self.caller) {
                return Err(Denied::Unknown.into());
            }
            page = timed(api, &self.caller, search.newest(query, Some(place(last)), limits::EXPORT_PAGE)).await?;
        }
    }

    fn write(&mut self, hit: &Hit) {
        let record = Record::new(&hit.record);
        match self.format {
            Format::Ndjson => {
                write_record(&mut self.text, hit.id, None, record, self.names);
                self.text.push(b'\n');
            }
            Format::Csv => write_csv(&mut self.text, hit.id, record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_completed_export_ends_like_a_whole_file() {
        let (sender, body) = Channel::new(1);
        let mut export = Export(Some(sender));
        assert!(export.send(b"all".to_vec()).await);
        export.complete();
        assert_eq!(body.collect().await.expect("it is whole").to_bytes(), "all");

        let (sender, mut body) = Channel::new(1);
        let mut export = Export(Some(sender));
        let sending = tokio::spawn(async move { while export.send(b"some".to_vec()).await {} });
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
        sending.abort();
        assert!(body.collect().await.is_err());
    }
}
