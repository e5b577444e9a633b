//! The metrics as a Prometheus server sees them.

use weir_ingest::{HttpOptions, Receipt, RecordError, describe_metrics};

use crate::support::{Fake, Server, eventually};

#[test]
fn requests_records_bytes_times_and_connections_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Single-threaded, so that this thread's recorder sees the server too.
    metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        runtime.block_on(async {
            let rejecting = Fake::new(|delivery| {
                let rejected = vec![RecordError { index: 0, error: "no".to_owned() }];
                _ = delivery.reply.send(Ok(Receipt { quarantined: vec![], rejected }));
                Ok(())
            });
            let server = Server::start(HttpOptions::default(), rejecting).await;
            let body = "{\"message\":\"a\"}\n7\n{\"message\":\"b\"}\n{\"message\":\"c\"}\n";
            server.post("/ingest", "content-type: application/json\r\n", body).await;
            server.post("/ingest", "content-type: a/b\r\n", "x").await;
            server.post("/nowhere", "", "x").await;
            eventually("closed connections are noticed", || {
                shown.render().contains("weir_ingest_open_connections 0\n")
            })
            .await;
        });
        let text = shown.render();
        let expected = [
            "# HELP weir_ingest_requests_total ",
            "# TYPE weir_ingest_requests_total counter",
            "weir_ingest_requests_total{protocol=\"weir\",status=\"200\"} 1\n",
            "weir_ingest_requests_total{protocol=\"weir\",status=\"415\"} 1\n",
            "weir_ingest_requests_total{protocol=\"none\",status=\"404\"} 1\n",
            "weir_ingest_records_total{protocol=\"weir\",outcome=\"accepted\"} 2\n",
            "weir_ingest_records_total{protocol=\"weir\",outcome=\"quarantined\"} 1\n",
            "weir_ingest_records_total{protocol=\"weir\",outcome=\"rejected\"} 1\n",
            "weir_ingest_received_bytes_total{protocol=\"weir\"} 50\n",
            "weir_ingest_request_duration_seconds_count{protocol=\"weir\"} 2\n",
            "weir_ingest_connections_total 3\n",
        ];
        for line in expected {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
    });
}
