//! From PEM files to what a handshake needs.
//!
//! TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, resumption with tickets: rustls's defaults with ring, which has no weak
//! algorithm. **Tickets and sessions end with the files**: each [`Loaded`] has keys of its own for them, so nobody resumes
//! a session that another set of client certificates has permitted.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::{Error as RustlsError, InconsistentKeys, RootCertStore, ServerConfig};

use super::certificate::Certificate;
use super::self_signed::pem;

/// The files of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and the ones between it and its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of clients' certificates; `None`: clients are not asked for one.
    pub client_certificates: Option<PathBuf>,
    /// Clients without a certificate can't connect.
    pub requires_client_certificate: bool,
}

/// Why files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("tls: can't read `{path}`: {reason}{}", hint(.reason), path = path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("tls: `{path}` is not PEM: {reason}", path = path.display())]
    NotPem { path: PathBuf, reason: PemError },
    #[error("tls: `{path}` has no certificate; it must have `-----BEGIN CERTIFICATE-----`", path = path.display())]
    NoCertificate { path: PathBuf },
    #[error(
        "tls: `{path}` has no key that can be used; it must have `-----BEGIN PRIVATE KEY-----`, without a password \
         (`openssl pkey -in OLD -out NEW` removes one)",
        path = path.display()
    )]
    NoKey { path: PathBuf },
    #[error(
        "tls: the key in `{key}` does not belong to the certificate in `{certificate}`; use the files that were created \
         together, with the server's own certificate first",
        key = key.display(),
        certificate = certificate.display()
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("tls: `{path}` can't be used: {reason}", path = path.display())]
    Unusable { path: PathBuf, reason: String },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; `weir tls self-signed` creates a certificate with its key",
        io::ErrorKind::PermissionDenied => "; let the user that weir runs as read it",
        _ => "",
    }
}

/// Files that were read and checked.
pub struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// The server's certificate.
    pub certificate: Certificate,
    /// The same as PEM.
    pub pem: String,
    /// What should be changed.
    pub warnings: Vec<String>,
}

impl TlsFiles {
    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let always = [self.certificate.as_path(), self.key.as_path()];
        always.into_iter().chain(self.client_certificates.as_deref())
    }

    /// Reads the files.
    ///
    /// # Errors
    /// The first one that can't be used, and what to do.
    pub fn load(&self) -> Result<Loaded, TlsError> {
        let chain = certificates(&self.certificate)?;
        let unusable = |path: &Path, reason: String| TlsError::Unusable { path: path.to_owned(), reason };
        let own = &chain[0];
        let certificate = Certificate::read(own)
            .ok_or_else(|| unusable(&self.certificate, "it is not a certificate of version 3".into()))?;
        let pem = pem("CERTIFICATE", own);
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.certificate, error.to_string()))?;
        let builder = match &self.client_certificates {
            None => builder.with_no_client_auth(),
            Some(authorities) => builder.with_client_cert_verifier(self.client_verifier(authorities)?),
        };
        let mut config = builder.with_single_cert(chain, key(&self.key)?).map_err(|error| match error {
            RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            }
            error => unusable(&self.certificate, error.to_string()),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = Ticketer::new().map_err(|error| unusable(&self.key, error.to_string()))?;
        let warnings = open_key(&self.key).into_iter().collect();
        Ok(Loaded { config: Arc::new(config), certificate, pem, warnings })
    }

    fn client_verifier(&self, authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let unusable = |reason: String| TlsError::Unusable { path: authorities.to_owned(), reason };
        let roots = Arc::new(roots(authorities)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::new(default_provider()));
        let verifier = match self.requires_client_certificate {
            true => verifier,
            false => verifier.allow_unauthenticated(),
        };
        verifier.build().map_err(|error| unusable(error.to_string()))
    }
}

/// The certificates in a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| failed(path, error);
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    let found = found.map_err(failed)?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

/// The key in a file.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        error => failed(path, error),
    })
}

/// The certificates in a file as authorities.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| TlsError::Unusable { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

fn failed(path: &Path, error: PemError) -> TlsError {
    let path = path.to_owned();
    match error {
        PemError::Io(reason) => TlsError::Unreadable { path, reason },
        reason => TlsError::NotPem { path, reason },
    }
}

/// A warning if everybody can read the key.
fn open_key(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o004 != 0)
        .then(|| format!("tls: everybody on this machine can read the key `{0}`: run `chmod o= {0}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tls::SelfSigned;

    const HOUR_NS: i64 = 3600 * 1_000_000_000;

    fn made() -> SelfSigned {
        let now = weir_record::time::now_ns();
        SelfSigned::new(&["localhost".to_owned()], now, now + HOUR_NS).expect("random numbers")
    }

    #[test]
    fn what_is_wrong_with_files_is_said_with_what_to_do() {
        let folder = std::env::temp_dir().join(format!("weir-tls-files-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = |name: &str| folder.join(name);
        let (one, other) = (made(), made());
        for (name, content) in [
            ("certificate.pem", one.certificate.as_str()),
            ("key.pem", &one.key),
            ("other.pem", &other.key),
            ("empty.pem", ""),
            ("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"),
            ("locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        ] {
            fs::write(path(name), content).expect("writes");
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        let files = |certificate: &str, key: &str| TlsFiles {
            certificate: path(certificate),
            key: path(key),
            client_certificates: None,
            requires_client_certificate: false,
        };
        let loaded = files("certificate.pem", "key.pem").load().expect("they fit");
        assert_eq!((loaded.pem, loaded.warnings), (one.certificate.clone(), vec![]));
        for (certificate, key, said) in [
            ("missing.pem", "key.pem", "`weir tls self-signed` creates"),
            ("certificate.pem", "missing.pem", "missing.pem`: No such file"),
            ("empty.pem", "key.pem", "has no certificate"),
            ("cut.pem", "key.pem", "is not PEM"),
            ("certificate.pem", "empty.pem", "has no key"),
            ("certificate.pem", "locked.pem", "without a password"),
            ("certificate.pem", "other.pem", "does not belong to the certificate"),
        ] {
            let error = files(certificate, key).load().err().expect(said).to_string();
            assert!(error.contains(said), "{error}");
        }
        fs::set_permissions(path("key.pem"), fs::Permissions::from_mode(0o644)).expect("a mode");
        let loaded = files("certificate.pem", "key.pem").load().expect("they fit");
        assert!(loaded.warnings[0].contains("chmod o="), "{:?}", loaded.warnings);
        fs::remove_dir_all(folder).expect("it can be removed");
    }
}
