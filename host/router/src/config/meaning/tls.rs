//! Checks `[tls]`. The files themselves are read when the router starts.

use std::path::Path;

use weir_ingest::TlsFiles;

use super::{Location, Reader};
use crate::config::raw;

impl Reader<'_> {
    pub(super) fn tls(&mut self, at: &Location<'_>, raw: Option<raw::Tls>, folder: &Path) -> Option<TlsFiles> {
        let raw = raw?;
        if raw.require_client_certificate && raw.client_certificates.is_none() {
            let help = "`client_certificates` names the file with the authorities of clients";
            self.report_with(&at.key("require_client_certificate"), "no certificate of a client is known", help);
        }
        Some(TlsFiles {
            // Without one of these, the schema has refused the section.
            certificate: folder.join(raw.certificate?),
            key: folder.join(raw.key?),
            client_certificates: raw.client_certificates.map(|path| folder.join(path)),
            requires_client_certificate: raw.require_client_certificate,
        })
    }
}
