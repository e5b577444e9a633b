//! Whole records through the filter, as the host would send them.

use weir_guest::testing::{Json, Outcome, json};

use super::*;

type Bench = weir_guest::testing::Bench<Redact>;

fn redacted(record: Json) -> Outcome {
    Bench::with_options(json!({})).run_one(record)
}

/// What becomes of a message.
fn message(text: &str) -> String {
    let outcome = redacted(json!({ "message": text }));
    outcome.record()["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_record_without_secrets_is_kept_untouched() {
    let outcome = redacted(json!({
        "message": "GET /api/v1/users/42 200 in 12 ms",
        "context": { "request_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "user": null, "ok": true },
        "tags": ["a", 1, 2.5, [{ "b": {} }]],
    }));
    assert!(outcome.is_kept(), "{outcome:?}");
}

#[test]
fn sensitive_keys_are_masked_at_any_depth_and_in_lists() {
    let outcome = redacted(json!({
        "PassWord": "hunter2",
        "context": { "user": "ada", "apiKey": "abc", "deep": { "X-Api-Key": 12345, "list": [1, { "token": "t", "n": 1 }] } },
    }));
    let Outcome::Changed { record, patch } = outcome else { panic!("{outcome:?}") };
    let masked = json!({
        "PassWord": "********",
        "context": { "apiKey": "********", "deep": { "X-Api-Key": "********", "list": [1, { "token": "********", "n": 1 }] } },
    });
    assert_eq!(patch, masked, "only what changed is in the patch, and lists whole");
    assert_eq!(record["context"]["user"], "ada");
}

#[test]
fn everything_under_a_sensitive_key_is_masked() {
    let outcome = redacted(json!({ "cookie": [7, "y", null, true, 1.5, "", ["z", { "sid": "x" }, {}]] }));
    let masked = json!(["********", "********", null, true, "********", "", ["********", "********", {}]]);
    assert_eq!(outcome.record()["cookie"], masked);
}

#[test]
fn card_numbers_are_masked_in_integers_of_every_width() {
    for (marker, number) in [(0xcf, 4_111_111_111_111_111_i64), (0xd3, 4_111_111_111_111_111), (0xd3, -4)] {
        let mut record = b"\x81\xa1n".to_vec();
        record.push(marker);
        record.extend(number.to_be_bytes());
        let mut bench = Bench::with_options(json!({}));
        let mut output = Output::new();
        bench.filter().process_batch(&record, &mut output).expect("a batch");
        let is_kept = output.into_parts().1.is_empty();
        assert_eq!(is_kept, number < 0, "{marker:x} {number}");
    }
}

#[test]
fn a_map_under_a_sensitive_key_is_masked_with_its_keys() {
    let mut bench = Bench::with_options(json!({ "allow_keys": ["sid", "password.hunter2"], "mode": "partial" }));
    let outcome = bench.run_one(json!({
        "password": { "hunter2": true }, "context": { "cookie": { "sid": "x", "a longer name": "and its value" } },
        "list": [{ "token": { "t-1": null } }, 7],
    }));
    let Outcome::Changed { patch, .. } = outcome else { panic!("{outcome:?}") };
    let masked =
        json!({ "password": "********", "context": { "cookie": "********" }, "list": [{ "token": "********" }, 7] });
    assert_eq!(patch, masked);
    assert_eq!(bench.counter("masked_key"), 3);
}

#[test]
fn a_map_under_a_sensitive_key_is_hashed_as_a_whole() {
    let mut bench = Bench::with_options(json!({ "mode": "hash", "hash_key": "sixteen bytes or more" }));
    let mut hash = |value: Json| bench.run_one(json!({ "password": value })).record()["password"].clone();
    let first = hash(json!({ "hunter2": true }));
    assert!(first.as_str().unwrap().starts_with("hash:"));
    assert_eq!(first, hash(json!({ "hunter2": true })));
    assert_ne!(first, hash(json!({ "hunter3": true })));
}

#[test]
fn null_booleans_and_empty_values_stay_under_sensitive_keys() {
    assert!(redacted(json!({ "password": "", "token": null, "secret": false, "cookie": {}, "pwd": [] })).is_kept());
}

#[test]
fn nested_maps_and_lists_keep_the_values_around_a_finding() {
    let outcome = redacted(json!({
        "a": [[1, ["x", "ada@example.com", { "k": "v", "w": ["bob@example.com"] }], 2], "end"],
        "b": "untouched",
    }));
    let Outcome::Changed { record, patch } = outcome else { panic!("{outcome:?}") };
    assert_eq!(record["a"], json!([[1, ["x", "********", { "k": "v", "w": ["********"] }], 2], "end"]));
    assert_eq!(patch.as_object().unwrap().len(), 1);
}

#[test]
fn each_kind_of_secret_is_masked_inside_a_message() {
    for (text, masked) in [
        ("mail to ada@example.com now", "mail to ******** now"),
        ("card 4111 1111 1111 1111 ok", "card ******** ok"),
        ("card 5555555555554444.", "card ********."),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!", "jwt ********!"),
        ("unsigned eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. x", "unsigned ******** x"),
        ("sent Bearer abc123.def with it", "sent Bearer ******** with it"),
        ("id AKIAIOSFODNN7EXAMPLE used", "id ******** used"),
        ("push with ghp_0123456789abcdefghijABCDEFGHIJ012345", "push with ********"),
        ("hook xoxb-123456789012-abcdefABCDEF", "hook ********"),
        ("pay sk_live_51H8sXk2eZvKYlo2C", "pay ********"),
        ("aws wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws ********"),
        ("blob dGhpcyBpcyBhIHNlY3JldCB2YWx1ZQ== end", "blob ******** end"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY/PuoAoG\n-----END EC PRIVATE KEY----- tail",
            "******** tail",
        ),
        ("postgres://weir:hunter2@db/x", "postgres://weir:********@db/x"),
    ] {
        assert_eq!(message(text), masked, "{text}");
    }
}

#[test]
fn values_of_sensitive_keys_are_masked_inside_a_message() {
    for (text, masked) in [
        ("login password=hunter2 user=ada", "login password=******** user=ada"),
        ("PASSWORD: hunter2, next", "PASSWORD: ********, next"),
        ("?api_key=abc&page=2", "?api_key=********&page=2"),
        (r#"{"api_key": "a b\"c", "n": 1}"#, r#"{"api_key": "********", "n": 1}"#),
        (r#"body {\"token\":\"abc\",\"n\":1}"#, r#"body {\"token\":\"********\",\"n\":1}"#),
        (r#"{"cookie":{"sid":"a}","n":[1,{}]},"n":1}"#, r#"{"cookie":********,"n":1}"#),
        (r#"{"password":["a","b"]} x"#, r#"{"password":********} x"#),
        (r#"{"token":12345,"n":1}"#, r#"{"token":********,"n":1}"#),
        ("Authorization: Basic dXNlcjpwYXNz\r\nHost: x", "Authorization: ********\r\nHost: x"),
        ("authorization=Bearer x", "authorization=********"),
        ("db.password = 'p w' end", "db.password = '********' end"),
        ("password=", "password="),
        ("password=null token=*** x", "password=null token=*** x"),
        ("time=10:00:00 level=info", "time=10:00:00 level=info"),
        ("password='a' and token='b'", "password='********' and token='********'"),
    ] {
        assert_eq!(message(text), masked, "{text}");
    }
}

#[test]
fn a_secret_is_found_at_any_position_in_a_long_text() {
    for secret in
        ["ada@example.com", "password=hunter2", "4111-1111-1111-1111", "AKIAIOSFODNN7EXAMPLE", "Bearer abc123x"]
    {
        for before in 0..200 {
            let text = format!("{}, {secret}, {}", "ö.".repeat(before), "z ".repeat(60));
            let masked = message(&text);
            assert!(!masked.contains(secret) && masked.contains("********, z z"), "{before} {masked}");
        }
    }
}

#[test]
fn card_numbers_are_masked_in_integers_but_time_is_not() {
    let outcome = redacted(
        json!({ "timestamp": 4111111111111111_i64, "card": 4111111111111111_i64, "ns": 1763632800123456789_i64 }),
    );
    let Outcome::Changed { patch, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(patch, json!({ "card": "********" }));
}

#[test]
fn identifiers_paths_and_words_are_not_masked() {
    for text in [
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "/usr/lib/x86_64-linux-gnu/libssl3/Config2/File",
        "/Users/Ada/Documents/2024/Report7/Final",
        "https://example.com/api/v2/Users/42/Orders?page=2&sort=createdAt",
        "payment-service-7d9f8b6c5-x2k4q",
        "AbstractSingletonProxyFactoryBean2Impl",
        "com.example.service.HttpRequestHandlerV2Impl3.handleRequest",
        "01HZX3K9V5ABCDEFGHJKMNPQRS req_01HZX3K9V5ABCDEFGHJKMNPQRS",
        "MAX_RETRY_COUNT_EXCEEDED_ERROR_42",
        "2026-11-20T10:00:00.123456789Z 2026-11-20 10:00:00,123",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        "i-0abcd1234ef567890 arn:aws:iam::123456789012:role/MyRole",
        "react@18.2.0 git describe v1.2.3-14-gabcdef0",
    ] {
        assert_eq!(message(text), text);
    }
}

#[test]
fn partial_shows_four_characters_of_long_values_only() {
    let mut bench = Bench::with_options(json!({ "mode": "partial" }));
    let outcome = bench.run_one(
        json!({ "token": "short1234", "secret": "längere-geheimnisse-üß12", "message": "4111 1111 1111 1111" }),
    );
    let record = outcome.record();
    assert_eq!(record["token"], "********");
    assert_eq!(record["secret"], "********üß12");
    assert_eq!(record["message"], "********1111");
}

#[test]
fn a_keyed_hash_is_the_same_for_the_same_value_and_key_only() {
    let hash = |key: &str, value: &str| {
        let mut bench = Bench::with_options(json!({ "mode": "hash", "hash_key": key }));
        bench.run_one(json!({ "message": value })).record()["message"].as_str().unwrap().to_owned()
    };
    let first = hash("0123456789abcdef", "ada@example.com");
    assert!(first.starts_with("hash:") && first.len() == 21, "{first}");
    assert_eq!(first, hash("0123456789abcdef", "ada@example.com"));
    assert_ne!(first, hash("0123456789abcdeX", "ada@example.com"));
    assert_ne!(first, hash("0123456789abcdef", "bob@example.com"));
}

#[test]
fn each_kind_can_have_its_own_mode() {
    let mut bench = Bench::with_options(json!({ "modes": { "card": "partial" } }));
    let outcome = bench.run_one(json!({ "message": "ada@example.com 4111111111111111" }));
    assert_eq!(outcome.record()["message"], "******** ********1111");
}

#[test]
fn allowed_keys_and_values_are_never_masked() {
    let mut bench = Bench::with_options(json!({
        "allow_keys": ["csrf_token", "context.token"],
        "allow_values": ["help@example.com", "public"],
    }));
    let outcome = bench.run_one(json!({
        "csrf_token": "ada@example.com",
        "context": { "token": "a", "deep": { "token": "b", "csrfToken": ["c@example.com"] } },
        "list": [{ "csrf_token": "kept" }],
        "secret": "public",
        "message": "ask help@example.com or ada@example.com",
    }));
    let Outcome::Changed { patch, .. } = outcome else { panic!("{outcome:?}") };
    let masked =
        json!({ "context": { "deep": { "token": "********" } }, "message": "ask help@example.com or ********" });
    assert_eq!(patch, masked);
}

#[test]
fn custom_patterns_and_keys_are_masked_too() {
    for keys in ["keys", "extra_keys"] {
        let mut bench =
            Bench::with_options(json!({ "patterns": ["EMP-[0-9]{6}"], keys: ["salary"], "detect": ["ip"] }));
        let record = json!({ "message": "EMP-123456 from 10.0.0.1, ada@example.com", "salary": 1, "password": "x" });
        let outcome = bench.run_one(record);
        let record = outcome.record();
        assert_eq!(record["message"], "******** from ********, ********");
        assert_eq!((&record["salary"], &record["password"]), (&json!("********"), &json!("********")));
        assert_eq!(bench.log(), [], "nothing is masked less than without options");
    }
}

#[test]
fn the_default_keys_and_kinds_stay_masked_when_others_are_added() {
    let mut bench = Bench::with_options(json!({ "keys": ["password", "api_key"], "detect": ["email"] }));
    for key in ["token", "authorization", "client_secret", "cookie"] {
        assert_eq!(bench.run_one(json!({ key: "s3cret" })).record()[key], "********");
    }
    let text = "card 4111 1111 1111 1111";
    assert_eq!(bench.run_one(json!({ "message": text })).record()["message"], "card ********");
}

#[test]
fn only_keys_and_only_detect_replace_the_defaults_and_log_what_is_no_longer_masked() {
    let mut bench =
        Bench::with_options(json!({ "only_keys": ["Password", "*token"], "only_detect": ["ip", "key", "card"] }));
    let record = json!({ "password": "a", "access_token": "b", "cookie": "c", "message": "ada@example.com, 10.0.0.1" });
    let outcome = bench.run_one(record);
    let Outcome::Changed { patch, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        patch,
        json!({ "password": "********", "access_token": "********", "message": "ada@example.com, ********" })
    );
    let log = bench.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].1.starts_with("`only_keys` replaces the default ones: `passwd`, `passphrase`, `pwd`, "), "{log:?}");
    assert!(log[1].1.starts_with("`only_detect` replaces the default ones: `email`, `jwt`, "), "{log:?}");
    let everything: Vec<_> = options::DEFAULT_KEYS.iter().chain(&["more"]).collect();
    let bench = Bench::with_options(json!({ "only_keys": everything }));
    assert_eq!(bench.log(), [], "nothing is left out");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let options = json!({
        "keys": ["ok", "a*b"], "patterns": ["(", "ok", "["], "mode": "hash", "allow_keys": ["_"], "detect": ["faces"], "kyes": [],
    });
    let error = Bench::refused(options);
    let named =
        ["`detect[0]`", "`kyes`", "`keys[1]`", "`patterns[0]`", "`patterns[2]`", "`hash_key`", "`allow_keys[0]`"];
    assert_eq!(error.lines().count(), named.len(), "{error}");
    for option in named {
        assert!(error.contains(option), "{option}: {error}");
    }
}

#[test]
fn masked_values_are_counted_by_kind() {
    let mut bench = Bench::with_options(json!({}));
    bench.run([json!({ "message": "a@b.io c@d.io", "token": "x" }), json!({ "token": "y" })]);
    assert_eq!((bench.counter("masked_email"), bench.counter("masked_key")), (2, 2));
}

#[test]
fn wrong_options_are_refused_by_name() {
    for (options, named) in [
        (json!({ "key": [] }), "`key`"),
        (json!({ "mode": "loud" }), "`mode`"),
        (json!({ "mode": "hash" }), "`hash_key`"),
        (json!({ "mode": "hash", "hash_key": "short" }), "`hash_key`"),
        (json!({ "patterns": ["ok", "("] }), "`patterns[1]`"),
        (json!({ "keys": ["ok", "a*b"] }), "`keys[1]`"),
        (json!({ "extra_keys": ["a*b"] }), "`extra_keys[0]`"),
        (json!({ "only_keys": ["*"] }), "`only_keys[0]`"),
        (json!({ "detect": ["faces"] }), "faces"),
        (json!({ "only_detect": ["emial"] }), "did you mean `email`?"),
        (json!({ "allow_keys": ["_"] }), "`allow_keys[0]`"),
    ] {
        let error = Bench::refused(options);
        assert!(error.contains(named), "{named}: {error}");
    }
}

#[test]
fn invalid_bytes_are_an_error_and_never_a_panic() {
    let mut redact = Redact::new(Options::default()).unwrap();
    let valid = b"\x81\xa7message\xafada@example.com".as_slice();
    for len in 1..valid.len() {
        assert!(redact.process_batch(&valid[..len], &mut Output::new()).is_err(), "{len}");
    }
    for first in 0..=255_u8 {
        let bytes: Vec<u8> =
            std::iter::once(first).chain((0..64).map(|n| first.wrapping_mul(31).wrapping_add(n))).collect();
        let _ = redact.process_batch(&bytes, &mut Output::new());
    }
    let deep = [0x81, 0xa1, b'a'].repeat(100_000);
    assert!(redact.process_batch(&deep, &mut Output::new()).is_err());
}

#[test]
fn hostile_texts_of_a_megabyte_take_linear_time() {
    // Quadratic work would take hours here, so this ends or it does not.
    for part in [
        "@",
        "a@",
        "a@b.io ",
        "password=",
        "password=*",
        "eyJ",
        "-----BEGIN PRIVATE KEY",
        "4 ",
        "41111111",
        "a:",
        ".a",
        "Bearer ",
        "://a:",
    ] {
        let text = part.repeat((1 << 20) / part.len());
        let outcome = redacted(json!({ "message": text }));
        assert!(!outcome.is_dropped(), "{part}");
    }
}
