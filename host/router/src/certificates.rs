//! The certificate of the servers: taken up when its files change, and known to the commands on the same machine.
//!
//! The files are looked at twice a second, like those of tokens. A certificate and its key are often replaced one after
//! the other, so they are read once they have been the same for two looks. **If they can't be used, the previous ones stay
//! in use**; the log, and `/health` until it is mended, say why.
//!
//! `certificate.pem` in the data folder has the certificate in use. It tells the commands that the router speaks TLS, and
//! which certificate to trust, whoever signed it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use metrics::gauge;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use weir_ingest::{Certificate, Loaded, Tls, TlsFiles};
use weir_journal::disk::replace_file;
use weir_record::time::now_ns;

use crate::limits;
use crate::pipeline::PipelineState;
use crate::tokens::{Version, version};
use crate::versions::at;
use crate::wiring::lock;

const EXPIRY: &str = "weir_tls_certificate_expiry_timestamp_seconds";

/// The certificate in use, for whoever can read the data folder.
pub fn in_data_folder(data: &Path) -> PathBuf {
    data.join("certificate.pem")
}

/// Files that were read and checked, to be published.
pub struct PreparedFiles {
    files: TlsFiles,
    loaded: Loaded,
    seen: Vec<Version>,
}

impl PreparedFiles {
    /// Reads the files. Changes nothing.
    pub fn read(files: &TlsFiles) -> anyhow::Result<PreparedFiles> {
        // Before reading, so that no change is missed.
        let seen = versions(files);
        Ok(PreparedFiles { files: files.clone(), loaded: files.load()?, seen })
    }

    /// What new connections use.
    pub fn tls(&self) -> Arc<Tls> {
        Arc::new(Tls::new(&self.loaded))
    }
}

/// The certificate of a running router.
pub struct Certificates {
    tls: Arc<Tls>,
    files: TlsFiles,
    certificate: Certificate,
    data: PathBuf,
    shared: Arc<PipelineState>,
    /// Of the files, as they were read.
    seen: Vec<Version>,
    /// Of files that have changed since.
    changing: Vec<Version>,
    /// Why changed files are refused.
    refused: Option<String>,
    /// That the certificate ends soon, as it was logged.
    ending: Option<String>,
}

impl Certificates {
    /// `None` without TLS: then, commands on this machine don't expect any.
    pub fn open(
        prepared: Option<PreparedFiles>,
        tls: Option<Arc<Tls>>,
        data: &Path,
        shared: &Arc<PipelineState>,
    ) -> anyhow::Result<Option<Certificates>> {
        let (Some(prepared), Some(tls)) = (prepared, tls) else {
            let path = in_data_folder(data);
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("can't remove {}", path.display()))
                }
                _ => Ok(None),
            };
        };
        let mut certificates = Certificates {
            tls,
            files: prepared.files.clone(),
            certificate: prepared.loaded.certificate.clone(),
            data: data.to_owned(),
            shared: shared.clone(),
            seen: Vec::new(),
            changing: Vec::new(),
            refused: None,
            ending: None,
        };
        certificates.publish(prepared);
        Ok(Some(certificates))
    }

    /// Uses other files for new connections.
    pub fn publish(&mut self, prepared: PreparedFiles) {
        let PreparedFiles { files, loaded, seen } = prepared;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        if let Err(error) = replace_file(&in_data_folder(&self.data), loaded.pem.as_bytes()) {
            tracing::warn!("commands on this machine don't know the certificate: {}: {error}", self.data.display());
        }
        self.tls.replace(&loaded);
        gauge!(EXPIRY).set(loaded.certificate.expires_ns as f64 / 1e9);
        (self.files, self.certificate, self.seen) = (files, loaded.certificate, seen);
        (self.changing, self.refused) = (Vec::new(), None);
        self.report();
    }

    /// Reads the files again, whether they have changed or not.
    pub fn read_again(&mut self) {
        let read = PreparedFiles::read(&self.files);
        self.take(read);
    }

    /// Reads the files again if one has changed and none is being changed.
    fn look(&mut self) {
        let versions = versions(&self.files);
        if versions == self.seen {
            self.report();
        } else if versions == self.changing {
            let read = PreparedFiles::read(&self.files);
            self.take(read);
        } else {
            self.changing = versions;
        }
    }

    fn take(&mut self, read: anyhow::Result<PreparedFiles>) {
        match read {
            Ok(prepared) => {
                let is_other = prepared.loaded.certificate.fingerprint != self.certificate.fingerprint;
                self.publish(prepared);
                if is_other {
                    tracing::info!("new connections get a new certificate, until {}", at(self.certificate.expires_ns));
                }
            }
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::error!("the certificate stays as it was: {reason}");
                self.seen = versions(&self.files);
                self.refused = Some(format!("changed files are refused, and the earlier ones are in use: {reason}"));
                self.report();
            }
        }
    }

    /// Tells the log and `/health` what is wrong.
    fn report(&mut self) {
        let ending = ending(&self.certificate, now_ns());
        if ending != self.ending {
            ending.iter().for_each(|text| tracing::warn!("{text}"));
            self.ending = ending;
        }
        self.shared.refused.certificates(self.refused.iter().chain(&self.ending).cloned().collect());
    }
}

/// That a certificate ends soon or has ended. Soon is two weeks, or a fifth of its time if that is shorter: one of six
/// days is renewed every few days.
fn ending(certificate: &Certificate, now_ns: i64) -> Option<String> {
    let Certificate { begins_ns, expires_ns, .. } = *certificate;
    let lifetime = Duration::from_nanos(expires_ns.saturating_sub(begins_ns).try_into().unwrap_or_default());
    let early = limits::CERTIFICATE_ENDS_SOON.min(lifetime / 5);
    let left = expires_ns.saturating_sub(now_ns);
    match u64::try_from(left).map(Duration::from_nanos) {
        Err(_) | Ok(Duration::ZERO) => {
            Some(format!("the certificate has expired on {}; clients refuse it: replace its files", at(expires_ns)))
        }
        Ok(left) if left < early => {
            Some(format!("the certificate expires on {}; replace its files before", at(expires_ns)))
        }
        Ok(_) if now_ns < begins_ns => Some(format!("the certificate is not valid before {}", at(begins_ns))),
        Ok(_) => None,
    }
}

fn versions(files: &TlsFiles) -> Vec<Version> {
    files.paths().map(version).collect()
}

/// Takes changes of the files up until it is aborted.
pub fn watch(certificates: Arc<Mutex<Certificates>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut looks = interval(limits::TOKENS_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            lock(&certificates).look();
        }
    })
}

/// Describes the metric; called once.
pub fn describe_metrics() {
    metrics::describe_gauge!(EXPIRY, metrics::Unit::Seconds, "When the certificate of the servers expires.");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: i64 = 86_400 * 1_000_000_000;

    #[test]
    fn the_end_is_announced_two_weeks_before_or_after_four_fifths() {
        let said = |lifetime_days: i64, day: i64| {
            let certificate = Certificate {
                names: Vec::new(),
                fingerprint: String::new(),
                begins_ns: 100 * DAY_NS,
                expires_ns: (100 + lifetime_days) * DAY_NS,
            };
            ending(&certificate, day * DAY_NS).map(|text| text.split(';').next().unwrap_or_default().to_owned())
        };
        assert_eq!(said(365, 100 + 350), None);
        let soon = said(365, 100 + 352).expect("13 days are left");
        assert!(soon.starts_with("the certificate expires on 1971-"), "{soon}");
        assert_eq!(said(5, 100 + 3), None, "two of five days are left");
        assert!(said(10, 100 + 9).is_some(), "one of ten days is left");
        let over = said(365, 100 + 365).expect("it is over");
        assert!(over.starts_with("the certificate has expired on"), "{over}");
        assert!(said(365, 99).is_some_and(|text| text.contains("not valid before")));
    }
}
