//! Short-lived certificates made by `openssl`: an authority, and what it has signed.

use std::path::Path;
use std::process::Command;

fn openssl(folder: &Path, arguments: &str) {
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let run = Command::new("openssl").args(key.split(' ')).args(arguments.split(' ')).current_dir(folder).output();
    let run = run.expect("openssl is installed: Debian's package of that name");
    assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Creates `ca.pem`, and certificates signed by it, each with its key in `.key`: `server.pem` for 127.0.0.1,
/// `localhost.pem`, `other.pem` for another server and `client.pem`.
pub fn certificates(folder: &Path) {
    openssl(folder, "-keyout ca.key -out ca.pem -subj /CN=authority -addext basicConstraints=critical,CA:TRUE");
    for (name, extension) in [
        ("server", "subjectAltName=IP:127.0.0.1"),
        ("localhost", "subjectAltName=DNS:localhost"),
        ("other", "subjectAltName=DNS:other.example.com"),
        ("client", "extendedKeyUsage=clientAuth"),
    ] {
        openssl(
            folder,
            &format!(
                "-CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE -keyout {name}.key \
                 -out {name}.pem -subj /CN={name} -addext {extension}"
            ),
        );
    }
}
