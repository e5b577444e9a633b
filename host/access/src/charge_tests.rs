//! Tests of who is charged for what.

use weir_record::time::now_ns;

use super::*;
use crate::{Credential, Grant, Role, Token, TokenEntry};

fn address(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

fn grant(name: &str, token: &Token, quota: Quota) -> Grant {
    let entry = TokenEntry {
        name: name.to_owned(),
        role: Role::Ingest,
        sources: vec![],
        routes: vec![],
        hash: token.hash(),
        created_ns: now_ns(),
        expires_ns: None,
    };
    Grant::new(entry).expect("it is valid").with_quota(quota)
}

fn quota(resource: Resource, limit: u64) -> Quota {
    Quota::default().with(resource, Some(limit))
}

fn anyone(access: &Access, n: u8) -> Caller {
    Caller::unchecked(address(n), &access.account(address(n)))
}

fn caller(access: &Access, token: &Token, n: u8) -> Caller {
    let account = access.account(address(n));
    access.caller(Credential::Token(token.reveal()), address(n), &account).expect("it is known")
}

#[test]
fn what_a_token_limits_is_charged_to_the_token_and_the_rest_to_the_address() {
    let access = Access::new(false);
    let [limited, free] = [(); 2].map(|()| Token::random().expect("random"));
    access.set_quota_of_addresses(&quota(Resource::Requests, 2).with(Resource::Streams, Some(1)));
    access.set([grant("limited", &limited, quota(Resource::Requests, 1)), grant("free", &free, Quota::default())]);
    assert_eq!(access.admit_request(&caller(&access, &limited, 1)), Ok(()));
    let denied = access.admit_request(&caller(&access, &limited, 2)).expect_err("the same token");
    assert!(denied.to_string().contains("the token limited may send 1 requests per second"), "{denied}");
    for _ in 0..2 {
        assert_eq!(access.admit_request(&caller(&access, &free, 1)), Ok(()), "the address has used nothing");
    }
    let denied = access.admit_request(&caller(&access, &free, 1)).expect_err("the address has used its two");
    assert!(denied.to_string().starts_with("10.0.0.1 "), "{denied}");
    assert_eq!((denied.status(), denied.retry_after()), (429, Some(Duration::from_secs(1))));
    let stream = access.stream(&caller(&access, &free, 1)).expect("the first");
    assert!(access.stream(&caller(&access, &limited, 1)).is_err(), "the streams are those of the address");
    assert!(access.stream(&caller(&access, &limited, 2)).is_ok());
    drop(stream);
    assert!(access.stream(&caller(&access, &limited, 1)).is_ok());
}

#[test]
fn nothing_is_taken_for_records_that_are_refused() {
    let access = Access::new(true);
    access.set_quota_of_addresses(&quota(Resource::Records, 10).with(Resource::Bytes, Some(1000)));
    let sender = anyone(&access, 1);
    assert_eq!(access.admit_records(&sender, None, 1000, 1), Ok(()));
    for _ in 0..5 {
        assert!(access.admit_records(&sender, None, 1, 10_000).is_err(), "its records are used up");
    }
    access.set_quota_of_addresses(&quota(Resource::Bytes, 1000));
    assert_eq!(access.admit_records(&sender, None, 1, 1), Ok(()), "and not its bytes");
    assert_eq!(access.admit_records(&sender, None, 1, 100_000), Ok(()));
    assert!(access.admit_request(&sender).is_err(), "what is used up is known before the body is read");
    assert_eq!(access.admit_request(&anyone(&access, 2)), Ok(()));
}

#[test]
fn all_senders_of_a_listener_share_its_rates() {
    let access = Access::new(true);
    let listener = ListenerQuota::new("udp://127.0.0.1:514", quota(Resource::Records, 10));
    let [one, other] = [1, 2].map(|n| anyone(&access, n));
    assert_eq!(access.admit_records(&one, Some(&listener), 100, 1), Ok(()));
    let denied = access.admit_records(&other, Some(&listener), 1, 1).expect_err("its records are used up");
    assert!(
        denied.to_string().contains("all senders of udp://127.0.0.1:514 may send 10 records per second"),
        "{denied}"
    );
    assert_eq!(access.admit_records(&other, None, 1, 1), Ok(()), "it is not limited elsewhere");
    // What the listener refuses is not charged to its sender.
    access.set_quota_of_addresses(&quota(Resource::Records, 1));
    assert!(access.admit_records(&one, Some(&listener), 1, 1).is_err());
    assert_eq!(access.admit_records(&one, None, 1, 1), Ok(()));
}

#[test]
fn a_changed_limit_applies_at_once_and_what_is_in_use_stays_counted() {
    let access = Access::new(false);
    let token = Token::random().expect("random");
    let limit_to = |limit| access.set([grant("one", &token, quota(Resource::Streams, limit))]);
    limit_to(2);
    let streams = [(); 2].map(|()| access.stream(&caller(&access, &token, 1)).expect("there is room"));
    limit_to(3);
    let third = access.stream(&caller(&access, &token, 1)).expect("there is room for one more");
    assert!(access.stream(&caller(&access, &token, 1)).is_err());
    drop(streams);
    limit_to(1);
    assert!(access.stream(&caller(&access, &token, 1)).is_err(), "the third one is there");
    drop(third);
    assert!(access.stream(&caller(&access, &token, 1)).is_ok());
}

#[test]
fn connections_are_limited_on_other_machines_by_default() {
    let access = Access::new(true);
    let account = access.account(address(1));
    let places: Vec<_> =
        (0..limits::ADDRESS_CONNECTIONS).map(|_| access.connection(&account).expect("there is room")).collect();
    assert!(access.connection(&account).is_err());
    assert!(access.connection(&access.account(address(2))).is_ok());
    assert_eq!(places.len() as u64, limits::ADDRESS_CONNECTIONS);
    let here = access.account(IpAddr::from([127, 0, 0, 1]));
    assert!(access.connection(&here).expect("there is no limit").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_search_waits_for_the_callers_others_and_not_for_ever() {
    const WAIT: Duration = Duration::from_secs(10);
    let access = Arc::new(Access::new(true));
    access.set_quota_of_addresses(&quota(Resource::Searches, 1));
    let sender = anyone(&access, 1);
    let first = access.search(&sender, WAIT).await.expect("the first");
    assert!(access.search(&sender, WAIT).await.is_err(), "it waited for 10 s");
    assert!(access.search(&anyone(&access, 2), WAIT).await.is_ok(), "another address");
    let waiting: Vec<_> = (0..limits::WAITING_SEARCHES)
        .map(|_| {
            let (access, sender) = (access.clone(), sender.clone());
            tokio::spawn(async move { access.search(&sender, WAIT).await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    let before = tokio::time::Instant::now();
    assert!(access.search(&sender, WAIT).await.is_err(), "too many wait");
    assert_eq!(before.elapsed(), Duration::ZERO);
    drop(first);
    for search in waiting {
        assert_eq!(search.await.expect("no panic"), Ok(()), "one after the other");
    }
    assert!(access.search(&sender, WAIT).await.is_ok());
}

#[test]
fn refusals_are_logged_once_a_second_with_the_number_of_others() {
    let (mut line, now) = (LastLine::default(), Instant::now());
    assert_eq!(line.next(now), Some(0));
    assert_eq!((line.next(now), line.next(now)), (None, None));
    assert_eq!(line.next(now + limits::LOG_INTERVAL), Some(2));
}
