//! Listeners for sockets, over the fake intake.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
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

/// A listener for lines.
struct Listening {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Listening {
    async fn start(address: &str, intake: &Arc<Fake>) -> Listening {
        let sockets = Sockets::new(&HttpOptions::default(), intake.clone(), Requests::default());
        let address = ListenAddress::parse(address, Transport::Tcp, Path::new("/")).expect("an address");
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
        let stopped = Box::pin(async {
            _ = stopped.await;
        });
        let serving = tokio::spawn(sockets.serve(bound, options, stopped));
        Listening { address, stop, serving }
    }

    async fn stop(self) {
        drop(self.stop);
        timeout(PATIENCE, self.serving).await.expect("it stops in time").expect("it stops");
    }
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
    let listening = Listening::start("tcp://127.0.0.1:0", &intake).await;
    let mut sender = TcpStream::connect(listening.address).await.expect("it listens");
    sender.write_all(b"one\n").await.expect("sent");
    assert_eq!(until(&intake, 4).await, ["one"; 4]);
    sender.write_all(b"two\n").await.expect("sent");
    assert_eq!(until(&intake, 5).await, ["one", "one", "one", "one", "two"]);
    listening.stop().await;
}

#[tokio::test]
async fn what_a_slow_disk_stores_late_is_offered_once() {
    let (intake, mut deliveries) = Fake::holding();
    let listening = Listening::start("tcp://127.0.0.1:0", &intake).await;
    let mut sender = TcpStream::connect(listening.address).await.expect("it listens");
    sender.write_all(b"one\n").await.expect("sent");
    let one = deliveries.recv().await.expect("it is offered");
    tokio::time::pause();
    tokio::time::sleep(10 * HttpOptions::default().answer_timeout).await;
    tokio::time::resume();
    _ = one.reply.send(Ok(Receipt::default()));
    sender.write_all(b"two\n").await.expect("sent");
    let two = deliveries.recv().await.expect("it is offered");
    assert_eq!(intake.messages(), ["one", "two"]);
    _ = two.reply.send(Ok(Receipt::default()));
    listening.stop().await;
}

#[tokio::test]
async fn a_listener_for_datagrams_stops_although_there_is_no_room_for_what_it_has_received() {
    let intake = Fake::new(|_| Err(Refusal::Full("no room".to_owned())));
    let listening = Listening::start("udp://127.0.0.1:0", &intake).await;
    let sender = UdpSocket::bind("127.0.0.1:0").await.expect("free");
    sender.send_to(b"one", listening.address).await.expect("sent");
    until(&intake, 1).await;
    tokio::time::pause();
    listening.stop().await;
}
