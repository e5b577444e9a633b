//! `[[listen]]`: each mistake, and what a listener has that says little.

use super::*;
use crate::config::Spoken;

#[test]
fn each_mistake_is_reported_with_a_way_out() {
    for (listen, said) in [
        ("protocol = 'syslg'\naddress = '127.0.0.1:514'", "choose one of forward, syslog"),
        ("protocol = 'syslog'\naddress = '514'", "`udp://127.0.0.1:514` for this machine"),
        ("protocol = 'forward'\naddress = 'udp://127.0.0.1:1'", "it is over tcp, tls, unix"),
        ("protocol = 'syslog'\naddress = 'tls://127.0.0.1:1'", "[tls] names the files"),
        ("protocol = 'syslog'\naddress = '0.0.0.0:514'", "`open = true` if that is meant"),
        ("protocol = 'syslog'\naddress = '127.0.0.1:514'\nshared_key = 'x'", "`syslog` has no shared key"),
        ("protocol = 'forward'\naddress = '127.0.0.1:1'\nusers = { a = 'b' }", "with a `shared_key` only"),
        ("protocol = 'lines'", "address"),
        ("protocol = 'lines'\naddress = '127.0.0.1:1'\nroutes = ['']", "routes"),
        (
            "protocol = 'lines'\naddress = '127.0.0.1:1'\n[[listen]]\nprotocol = 'syslog'\naddress = 'tcp://127.0.0.1:1'",
            "another [[listen]] has the same address",
        ),
    ] {
        let found = bad(format!("[[listen]]\n{listen}\n")).to_string();
        assert!(found.contains(said), "{listen}: {found}");
    }
}

#[test]
fn a_listener_has_what_is_usual_for_its_protocol() {
    let read = good(
        "[[listen]]\nprotocol = 'syslog'\naddress = 'localhost:514'\n\
         [[listen]]\nprotocol = 'weir'\naddress = '127.0.0.1:4318'\n\
         [[listen]]\nprotocol = 'otlp'\naddress = '127.0.0.1:4317'\n\
         [[listen]]\nprotocol = 'lines'\naddress = 'unix:run/lines'\nroutes = ['a']\nrecords_per_second = 5\n\
         [[listen]]\nprotocol = 'forward'\naddress = '0.0.0.0:24224'\nshared_key = '${WORD}'\n",
    );
    let shown: Vec<String> = read.listeners.iter().map(|listener| listener.address.to_string()).collect();
    let due = [
        "udp://127.0.0.1:514",
        "tcp://127.0.0.1:4318",
        "tcp://127.0.0.1:4317",
        "unix:/etc/weir/run/lines",
        "tcp://0.0.0.0:24224",
    ];
    assert_eq!(shown, due);
    assert_eq!(read.listeners[2].protocol, Spoken::Http(Some("otlp")));
    let lines = &read.listeners[3];
    assert_eq!((&lines.routes[..], lines.quota.is_some()), (&["a".to_owned()][..], true));
    assert!(read.listeners[0].quota.is_none());
    assert!(!format!("{read:?}").contains("s3cret"));
}
