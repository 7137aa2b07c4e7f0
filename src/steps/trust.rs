//! Which certificate authorities are trusted: the bundled ones, and those of the target's `ca` file.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::engine::outcome::{Failure, FailureKind};

/// The roots, read at the first TLS connection.
pub(super) struct Trust {
    ca: Option<PathBuf>,
    roots: OnceLock<Result<Arc<RootCertStore>, Failure>>,
    config: OnceLock<Result<rustls::ClientConfig, Failure>>,
}

impl Trust {
    /// Trusts the bundled roots and the PEM certificates in `ca`.
    pub(super) fn new(ca: Option<PathBuf>) -> Trust {
        Trust { ca, roots: OnceLock::new(), config: OnceLock::new() }
    }

    /// All trusted roots.
    pub(super) fn roots(&self) -> Result<Arc<RootCertStore>, Failure> {
        self.roots.get_or_init(|| self.read()).clone()
    }

    /// A client configuration that verifies servers against the roots, each time anew. Made once, because every write
    /// needs one.
    pub(super) fn client_config(&self) -> Result<rustls::ClientConfig, Failure> {
        self.config.get_or_init(|| self.configure()).clone()
    }

    fn configure(&self) -> Result<rustls::ClientConfig, Failure> {
        let roots = self.roots()?;
        let builder = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::new(FailureKind::Tls, error.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        // Copies would share what they remember of servers, and show certificates that are no longer there.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn read(&self) -> Result<Arc<RootCertStore>, Failure> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &self.ca {
            let unusable = |problem: &dyn std::fmt::Display| {
                Failure::new(FailureKind::Tls, format!("the target's `ca` {}: {problem}", path.display()))
            };
            let before = roots.len();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            if roots.len() == before {
                return Err(unusable(&"no certificate in it"));
            }
        }
        Ok(Arc::new(roots))
    }
}

/// The cryptography used everywhere.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}
