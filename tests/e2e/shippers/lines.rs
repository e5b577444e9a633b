//! Lines over TCP and Unix sockets; and listeners that are added, changed and removed while the router runs.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::super::clients::run;
use super::super::router::{Home, eventually, weir};
use super::{all, arrived, home, listener, outcome};

const LISTEN: &str = "[[listen]]\nprotocol = \"lines\"\naddress = ";

#[test]
fn lines_of_json_and_text_are_records_over_each_transport() {
    let home = home(&format!("{LISTEN}\"127.0.0.1:0\"\n{LISTEN}\"unix:lines\"\nsource = \"local\"\n"));
    let router = home.start();
    let lines = "{\"message\":\"one\",\"level\":\"warn\",\"n\":[1,2]}\nplain 😀\n{broken\nwithout an end";
    let mut stream = TcpStream::connect(listener(&router, "lines")).unwrap();
    for byte in lines.as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let records = arrived(&home, 4);
    let messages: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["one", "plain 😀", "{broken", "without an end"]);
    assert_eq!((&records[0]["level"], &records[0]["n"]), (&json!("WARNING"), &json!([1, 2])));
    assert!(records.iter().all(|record| record["source"] == "lines"));
    let mut stream = UnixStream::connect(home.path("lines")).unwrap();
    stream.write_all(b"over unix\n").unwrap();
    let records = arrived(&home, 5);
    assert_eq!((&records[4]["message"], &records[4]["source"]), (&json!("over unix"), &json!("local")));
    // A stop stores what was sent before it.
    stream.write_all(b"the last\n").unwrap();
    arrived(&home, 6);
    assert_eq!(all(&home, router).len(), 6);
    assert!(!home.path("lines").exists(), "the socket is gone with its listener");
    outcome("lines", "raw bytes", "byte by byte, broken JSON", "put together; what is no JSON is text");
}

#[test]
fn a_line_that_is_too_long_is_set_aside_and_the_next_is_kept() {
    let home = home(&format!("{LISTEN}\"127.0.0.1:0\"\nmax_message = \"64KiB\"\n"));
    let router = home.start();
    let mut stream = TcpStream::connect(listener(&router, "lines")).unwrap();
    let long = "x".repeat(300_000);
    stream.write_all(format!("before\n{long}\nafter\n").as_bytes()).unwrap();
    let records = arrived(&home, 2);
    assert_eq!((&records[0]["message"], &records[1]["message"]), (&json!("before"), &json!("after")));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let listed = run(weir().current_dir(home.path("")).args(["quarantine", "list", "--data", "weir-data"]));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("max_message"), "{listed}");
    outcome("lines", "raw bytes", "too large", "its beginning is in quarantine; the next is taken");
}

#[test]
fn listeners_are_added_changed_and_removed_without_touching_others() {
    let configured = |listeners: &str| format!("[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n{listeners}");
    let stays = format!("{LISTEN}\"unix:stays\"\n");
    let home = Home::with(&configured(&stays));
    let router = home.start();
    let mut kept = UnixStream::connect(home.path("stays")).unwrap();
    kept.write_all(b"first\n").unwrap();
    arrived(&home, 1);
    home.configure(&configured(&format!("{stays}{LISTEN}\"unix:added\"\n")));
    eventually("the new listener is there", || UnixStream::connect(home.path("added")).is_ok());
    let mut changed = UnixStream::connect(home.path("added")).unwrap();
    changed.write_all(b"added\n").unwrap();
    kept.write_all(b"second\n").unwrap();
    arrived(&home, 3);
    home.configure(&configured(&format!("{stays}{LISTEN}\"unix:added\"\nsource = \"changed\"\n")));
    eventually("the listener has its new source", || {
        let Ok(mut stream) = UnixStream::connect(home.path("added")) else { return false };
        _ = stream.write_all(b"whose\n");
        drop(stream);
        arrived(&home, 3).iter().any(|record| record["source"] == "changed")
    });
    // A mistake changes nothing.
    home.configure(&configured(&format!("{stays}{LISTEN}\"unix:{}\"\n", "x".repeat(200))));
    eventually("the mistake is reported", || router.stderr().contains("nothing was changed"));
    assert!(UnixStream::connect(home.path("added")).is_ok());
    home.configure(&configured(&stays));
    eventually("the listener is gone", || !home.path("added").exists());
    kept.write_all(b"third\n").unwrap();
    eventually("the connection that was never touched still works", || {
        arrived(&home, 3).iter().any(|record| record["message"] == "third")
    });
    assert!(router.stop().0.success());
}
