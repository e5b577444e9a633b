//! Which certificates the client trusts: one that it knows, those of an authority, or those of the system's authorities.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::tls::TlsError;
use crate::tls::files::{certificates, key, roots};

/// What to trust, and what to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'p> {
    /// The file with the certificate of the router on this machine, whatever names it has.
    pub known: Option<&'p Path>,
    /// The file with authorities, in place of the system's.
    pub authorities: Option<&'p Path>,
    /// The file with a certificate to show, and its key.
    pub own: Option<&'p Path>,
}

impl Trust<'_> {
    /// Reads the files.
    ///
    /// # Errors
    /// A file can't be used.
    pub fn load(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        // A known certificate that is not there any more is none.
        let known = self.known.and_then(|path| certificates(path).ok());
        let verifier = Verifier {
            known: known.and_then(|mut chain| chain.drain(..).next()),
            authorities: OnceLock::new(),
            provider: Arc::clone(&provider),
        };
        if let Some(path) = self.authorities {
            let made = verifier.of(roots(path)?);
            _ = verifier.authorities.set(made);
        }
        let unusable = |path: Option<&Path>, error: Error| TlsError::Unusable {
            path: path.unwrap_or(Path::new("")).to_owned(),
            reason: error.to_string(),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(None, error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.own {
            None => builder.with_no_client_auth(),
            Some(path) => builder
                .with_client_auth_cert(certificates(path)?, key(path)?)
                .map_err(|error| unusable(Some(path), error))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Accepts the known certificate, and what the authorities have signed.
#[derive(Debug)]
struct Verifier {
    known: Option<CertificateDer<'static>>,
    /// Those of the system are read only when they are needed, which takes a while.
    authorities: OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn of(&self, roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        builder.build().map_err(|error| Error::General(error.to_string()))
    }

    fn of_system(&self) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            // Nobody has signed it, as far as this machine knows.
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        self.of(roots)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.known.as_ref() == Some(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let authorities = self.authorities.get_or_init(|| self.of_system()).as_ref().map_err(Error::clone)?;
        authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
