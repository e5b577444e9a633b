//! Signed filters: with `trusted_keys`, no other module comes in, whichever way it takes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::clients::{Answer, curl, post, run};
use super::hostile::guests::{self, DROP, KEEP, PATCH};
use super::router::{Home, Router, eventually, weir};

/// A configuration that trusts a key.
fn trusting(key: &str) -> String {
    format!(
        "trusted_keys = [\"{key}\"]\n[[filter]]\nname = \"f\"\nmodule = \"f.wasm\"\n\
         [[filter]]\nname = \"redact\"\nmodule = \"bundled:redact\"\n\
         [sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n"
    )
}

/// Makes a key in a file, and returns its public part.
fn new_key(file: &Path) -> String {
    let printed = run(weir().args(["filter", "new-key"]).arg(file)).stdout;
    String::from_utf8(printed).unwrap().trim().to_owned()
}

/// A module, signed with the key in a file.
fn signed(home: &Home, module: &[u8], key: &str) -> Vec<u8> {
    let file = home.path("module.wasm");
    std::fs::write(&file, module).unwrap();
    run(weir().args(["filter", "sign"]).arg(&file).arg("--key").arg(home.path(key)));
    std::fs::read(file).unwrap()
}

/// A folder with a key, a configuration that trusts it, and a signed filter.
fn home() -> Home {
    let home = Home::new();
    home.configure(&trusting(&new_key(&home.path("key"))));
    home.put_filter("f", &signed(&home, &guests::module(KEEP), "key"));
    home
}

fn upload(router: &Router, act: &str, kind: &str, body: &[u8]) -> Answer {
    let (path, kind) = (format!("/api/filters/f/{act}"), format!("Content-Type: {kind}"));
    curl(router, &path, &["-X", "POST", "-H", &kind, "--data-binary", "@-"], body)
}

fn running(router: &Router) -> String {
    let health = curl(router, "/health", &[], b"").json();
    health["filters"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn only_signed_modules_are_swapped_in_by_file_and_over_the_api() {
    let home = home();
    let mut router = home.start();
    assert_eq!(post(&router, r#"{"message":"m"}"#).status, 200, "the signed and the bundled filter run");
    let first = running(&router);

    // An unsigned file, and one that was changed after it was signed.
    home.put_filter("f", &guests::module(DROP));
    let line = router.wait_for_line("has no signature");
    assert!(line.contains("weir filter sign") && line.contains("the running version stays"), "{line}");
    let mut changed = signed(&home, &guests::module(DROP), "key");
    let at = changed.len() - 200;
    changed[at] ^= 1;
    home.put_filter("f", &changed);
    router.wait_for_line("was changed after it was signed by `ed25519:");
    assert_eq!((running(&router), post(&router, r#"{"message":"m"}"#).status), (first.clone(), 200));
    assert_eq!(post(&router, r#"{"message":"m"}"#).body, r#"{"accepted":1}"#);

    // By the API, in the shape of every error.
    let refused = upload(&router, "try", "application/wasm", &guests::module(PATCH));
    let error = refused.json()["error"].as_str().unwrap().to_owned();
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(error.contains("has no signature") && error.contains("weir filter sign"), "{error}");
    new_key(&home.path("other"));
    let other = upload(&router, "try", "application/wasm", &signed(&home, &guests::module(PATCH), "other"));
    assert!(other.status == 422 && other.body.contains("not one of `trusted_keys`"), "{other:?}");
    assert_eq!(running(&router), first);

    // A signed one is tried and swapped in.
    let tried = upload(&router, "try", "application/wasm", &signed(&home, &guests::module(PATCH), "key"));
    assert_eq!(tried.status, 200, "{tried:?}");
    let digest = json!({ "digest": tried.json()["digest"] });
    let swapped = upload(&router, "swap", "application/json", digest.to_string().as_bytes());
    assert_eq!(swapped.status, 200, "{swapped:?}");
    assert_ne!(running(&router), first);
    home.put_filter("f", &signed(&home, &guests::module(KEEP), "key"));
    // The digest of the first version again: Ed25519 signs the same way each time.
    eventually("the signed file is loaded", || running(&router) == first);
    assert!(router.stop().0.success());
}

#[test]
fn start_reload_and_rollback_refuse_what_no_trusted_key_signed() {
    let home = Home::new();
    let key = new_key(&home.path("key"));
    let trusting = trusting(&key);
    let open = trusting.split_once('\n').unwrap().1;
    home.configure(open);
    home.put_filter("f", &guests::module(DROP));
    let mut router = home.start();
    let unsigned = running(&router);

    // The running filter isn't signed, so the configuration that requires it is refused.
    home.configure(&trusting);
    let line = router.wait_for_line("nothing was changed");
    assert!(line.contains("has no signature"), "{line}");
    home.put_filter("f", &signed(&home, &guests::module(KEEP), "key"));
    router.wait_for_line("configuration reloaded");
    eventually("the signed version runs", || running(&router) != unsigned);

    // The unsigned version is kept, and doesn't come back.
    let to = json!({ "to": unsigned });
    let refused = upload(&router, "rollback", "application/json", to.to_string().as_bytes());
    assert!(refused.status == 422 && refused.body.contains("has no signature"), "{refused:?}");
    let signed_digest = running(&router);
    let rollback = ["filter", "rollback", "f", "--config", "weir.toml", "--to", &unsigned];
    let output = weir().current_dir(home.path("")).args(rollback).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("has no signature"), "{said}");
    assert_eq!(running(&router), signed_digest);
    assert!(router.stop().0.success());

    // With a file that is not signed, it doesn't start.
    home.put_filter("f", &guests::module(DROP));
    let start = weir()
        .current_dir(home.path(""))
        .args(["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&start.stderr);
    assert!(!start.status.success() && said.contains("has no signature"), "{said}");
    let checked = weir().current_dir(home.path("")).args(["validate", "weir.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("has no signature"), "{said}");
}

#[test]
fn keys_are_private_and_signing_says_what_is_wrong() {
    let home = Home::new();
    let key = new_key(&home.path("key"));
    assert!(key.starts_with("ed25519:") && key.len() == 72, "{key}");
    assert_eq!(std::fs::metadata(home.path("key")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = weir().args(["filter", "new-key"]).arg(home.path("key")).output().unwrap();
    assert!(!again.status.success(), "a key is never replaced");
    std::fs::write(home.path("f.wasm"), guests::module(KEEP)).unwrap();
    std::fs::set_permissions(home.path("f.wasm"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let sign = |file: &str, key: &str| {
        let mut command = weir();
        command.current_dir(home.path("")).args(["filter", "sign", file, "--key", key]);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (done, said) = sign("f.wasm", "key");
    assert!(done && said.contains(&key), "{said}");
    assert_eq!(std::fs::metadata(home.path("f.wasm")).unwrap().permissions().mode() & 0o777, 0o640);
    std::fs::write(home.path("text"), "no key").unwrap();
    for (file, with, expected) in [
        ("f.wasm", "text", "not a private key"),
        ("f.wasm", "missing", "can't read `missing`"),
        ("missing.wasm", "key", "can't read `missing.wasm`"),
        ("text", "key", "not a webassembly file"),
    ] {
        let (done, said) = sign(file, with);
        assert!(!done && said.contains(expected), "{said}");
    }
    home.put_filter("f", &std::fs::read(home.path("f.wasm")).unwrap());
    home.configure(&trusting(&key));
    let list = run(weir().current_dir(home.path("")).args(["filter", "list", "--config", "weir.toml"])).stdout;
    let list = String::from_utf8(list).unwrap();
    assert!(list.contains(&format!("signed by {key}")), "{list}");
}
