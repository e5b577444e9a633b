//! The `nats` sink, compared with publishing the same bytes with the same client: one subject, no ids, every
//! acknowledgement awaited. Both use a real server in another process, so that its CPU time is not counted.

use async_nats::jetstream;
use serde_json::json;
use weir_record::write_json;
use weir_sinks::Selected;

use super::{Cost, RECORDS, measured, web};
use crate::servers::nats::Nats;

/// Publishes the JSON of each record, encoded in advance.
fn floor(server: &Nats, frames: &[Selected]) -> Cost {
    let json = |record| {
        let mut json = Vec::new();
        write_json(record, &mut json);
        bytes::Bytes::from(json)
    };
    let payloads: Vec<Vec<bytes::Bytes>> =
        frames.iter().map(|frame| frame.iter().map(|(_, record)| json(record)).collect()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let context = runtime.block_on(async {
        let context = jetstream::new(async_nats::connect(server.url()).await.expect("connects"));
        let subjects = vec!["floor".to_string()];
        let stream = jetstream::stream::Config { name: "FLOOR".into(), subjects, ..Default::default() };
        context.create_stream(stream).await.expect("a stream");
        context
    });
    measured(RECORDS, || {
        for frame in &payloads {
            runtime.block_on(async {
                let mut sent = Vec::with_capacity(frame.len());
                for payload in frame {
                    sent.push(context.publish("floor", payload.clone()).await.expect("sent"));
                }
                for acknowledgement in sent {
                    acknowledgement.await.expect("acknowledged");
                }
            });
        }
    })
}

/// Floor and sink.
pub fn measure(frames: &[Selected]) -> [(&'static str, Cost); 2] {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let server = Nats::start(folder.path());
    let options = json!({ "url": server.url(), "stream": "LOGS", "create_stream": true });
    [("publish", floor(&server, frames)), ("nats", web::deliver("nats", &options, frames, 1))]
}
