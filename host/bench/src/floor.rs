//! The floor: receives the same bytes, appends them to the same kind of journal with the same group commit, and answers
//! when they are durable. Records are never parsed and nothing reads the journal.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use weir_journal::{Disk, Journal, Options};

/// Runs until interrupted.
pub async fn serve(folder: &Path) -> anyhow::Result<()> {
    let disk = Disk::new(folder.join("floor"));
    let (journal, _) = Journal::open(Arc::new(disk), Options::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("the floor listens on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        stream.set_nodelay(true)?;
        let journal = journal.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| take(journal.clone(), request));
            // A driver that disconnects is not an error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn take(journal: Journal, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = match request.into_body().collect().await {
        Ok(body) => {
            let (done, durable) = tokio::sync::oneshot::channel();
            journal.append(body.to_bytes().to_vec(), 1, move |result| {
                let _gone = done.send(result.is_ok());
            });
            match durable.await {
                Ok(true) => StatusCode::OK,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            }
        }
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}
