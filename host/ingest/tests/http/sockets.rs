//! Listeners for sockets, over the fake intake.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{io::AsyncWriteExt, net::TcpStream, sync::oneshot, time::timeout};
use weir_ingest::{
    HttpOptions, ListenAddress, ListenRules, Receipt, Refusal, Requests, SocketOptions, SocketProtocol, Sockets,
    Transport,
};

use crate::support::{Fake, PATIENCE};

async fn until(intake: &Fake, count: usize) -> Vec<String> {
    let wait = async {
        while intake.messages().len() < count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it is offered");
    intake.messages()
}

#[tokio::test]
async fn what_an_internal_error_keeps_from_being_stored_is_offered_again_before_anything_else() {
    let tries = AtomicUsize::new(0);
    let intake = Fake::new(move |delivery| {
        if tries.fetch_add(1, Ordering::Relaxed) < 3 {
            return Err(Refusal::Failed("broken".to_owned()));
        }
        _ = delivery.reply.send(Ok(Receipt::default()));
        Ok(())
    });
    let sockets = Sockets::new(&HttpOptions::default(), intake.clone(), Requests::default());
    let address = ListenAddress::parse("127.0.0.1:0", Transport::Tcp, Path::new("/")).expect("an address");
    let bound = address.bind().await.expect("free");
    let address = bound.ip_address().expect("it has a port");
    let options = SocketOptions {
        protocol: SocketProtocol::named("lines").expect("a protocol"),
        source: "lines".to_owned(),
        max_message_bytes: 1 << 20,
        max_connections: 4,
        rules: ListenRules::default(),
        shared_key: None,
        users: Arc::new([]),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let stopped = async {
            _ = stopped.await;
        };
        sockets.serve(bound, options, stopped).await;
    });
    let mut sender = TcpStream::connect(address).await.expect("it listens");
    sender.write_all(b"one\n").await.expect("sent");
    assert_eq!(until(&intake, 4).await, ["one"; 4]);
    sender.write_all(b"two\n").await.expect("sent");
    assert_eq!(until(&intake, 5).await, ["one", "one", "one", "one", "two"]);
    drop(stop);
    serving.await.expect("it stops");
}
