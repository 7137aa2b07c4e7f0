//! What the server speaks TLS with: a chain and its key from PEM files, read again when they change.
//!
//! TLS 1.2 and 1.3 with the ciphers rustls has, which are those that are still sound. Clients show no certificates: who
//! they are is proved by tokens.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;

/// Bytes of a file: a chain of a dozen certificates is a tenth of it.
const BYTES_MAX: u64 = 256 * 1024;
/// Bits of a mode that let others than the owner and the group in: the group is how services share a key.
const OTHERS: u32 = 0o007;
/// What is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// A certificate in use, and the files it comes from.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    /// What connections are greeted with, and until when that is good.
    current: RwLock<(TlsAcceptor, Timestamp)>,
    /// What the files were when they were last read, also if they were no good.
    seen: Mutex<Stamp>,
}

/// By which a file is told from another of the same name.
type Stamp = [Option<(u64, u64, i64, i64)>; 2];

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).field("key", &self.key).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// If one can't be read or holds something else, the key doesn't belong to the certificate, others may read the key, or
    /// the certificate is not valid now.
    pub fn open(cert: &Path, key: &Path) -> Result<Tls, CliError> {
        let seen = stamp(cert, key);
        let current = RwLock::new(read(cert, key)?);
        Ok(Tls { cert: cert.to_owned(), key: key.to_owned(), current, seen: Mutex::new(seen) })
    }

    /// Reads the files again if they are others than last time; says until when the new certificate is good. What is not
    /// good is not taken: the one in use stays.
    pub fn look(&self) -> Option<Result<Timestamp, CliError>> {
        let now = stamp(&self.cert, &self.key);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        drop(seen);
        Some(self.read_again())
    }

    /// Reads the files again, whatever they were.
    ///
    /// # Errors
    /// As [`Tls::open`]; the certificate in use stays.
    pub fn read_again(&self) -> Result<Timestamp, CliError> {
        let (acceptor, until) = read(&self.cert, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (acceptor, until);
        Ok(until)
    }

    /// Until when the certificate in use is good.
    pub fn until(&self) -> Timestamp {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// What the next connection is greeted with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

fn stamp(cert: &Path, key: &Path) -> Stamp {
    let of = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    [of(cert), of(key)]
}

fn read(cert: &Path, key: &Path) -> Result<(TlsAcceptor, Timestamp), CliError> {
    let (shown, key_shown) = (cert.display().to_string(), key.display().to_string());
    let (_, text) = bytes_of(cert)?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| CliError::usage(format!("`{shown}` is not PEM: {error}")))?;
    let Some(leaf) = chain.first() else {
        return Err(CliError::usage(format!("`{shown}` holds no certificate"))
            .hint("it is PEM, the server's own certificate first, then those between it and a root"));
    };
    let until = valid_now(&shown, leaf)?;
    let (mode, text) = bytes_of(key)?;
    if mode & OTHERS != 0 {
        let said = format!("everybody may read the key `{key_shown}`: its mode is {:04o}", mode & 0o7777);
        return Err(CliError::new(Exit::NOT_ALLOWED, said).hint(format!("chmod 600 '{key_shown}'")));
    }
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        CliError::usage(format!("`{key_shown}` holds no private key"))
            .hint("it is PEM and not encrypted: PKCS#8, or the older forms of RSA and EC keys")
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, key));
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            CliError::usage(format!("the key `{key_shown}` does not belong to the certificate `{shown}`"))
        }
        other => CliError::usage(format!("`{shown}` with `{key_shown}` can't be used: {other}")),
    })?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), until))
}

/// Mode and content of a file that somebody named.
fn bytes_of(path: &Path) -> Result<(u32, Vec<u8>), CliError> {
    let shown = path.display().to_string();
    let failed = |error: &std::io::Error| CliError { exit: Exit::USAGE, ..CliError::io("reading", &shown, error) };
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mode = file.metadata().map_err(|error| failed(&error))?.mode();
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(CliError::usage(format!("`{shown}` has more than {BYTES_MAX} bytes: no certificate or key"))),
        false => Ok((mode, bytes)),
    }
}

/// Until when it is good.
fn valid_now(shown: &str, leaf: &CertificateDer<'_>) -> Result<Timestamp, CliError> {
    let broken = |error: &dyn std::fmt::Display| CliError::usage(format!("`{shown}` holds no certificate: {error}"));
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| broken(&error))?;
    let moment = |seconds| Timestamp::from_second(seconds).map_err(|error| broken(&error));
    let validity = parsed.validity();
    let (from, until) = (moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?);
    let now = Timestamp::now();
    let wrong = match (now < from, now > until) {
        (true, _) => format!("the certificate `{shown}` is not valid before {from}"),
        (_, true) => format!("the certificate `{shown}` expired at {until}"),
        (false, false) => return Ok(until),
    };
    Err(CliError::usage(wrong).hint("no client would accept it; put a valid one there"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Files {
        _dir: tempfile::TempDir,
        cert: PathBuf,
        key: PathBuf,
    }

    impl Files {
        fn of(from: i32, until: i32) -> Files {
            let dir = tempfile::tempdir().unwrap();
            let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
            let files = Files { _dir: dir, cert, key };
            files.write(from, until);
            files
        }

        fn write(&self, from: i32, until: i32) {
            let (cert, key) = made(from, until);
            std::fs::write(&self.cert, cert).unwrap();
            std::fs::write(&self.key, key).unwrap();
            std::fs::set_permissions(&self.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn refused(&self) -> CliError {
            Tls::open(&self.cert, &self.key).unwrap_err()
        }
    }

    fn made(from: i32, until: i32) -> (String, String) {
        let mut wish = rcgen::CertificateParams::new(vec!["ops.example.com".to_owned()]).unwrap();
        (wish.not_before, wish.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        let key = rcgen::KeyPair::generate().unwrap();
        (wish.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let files = Files::of(2020, 2090);
        Tls::open(&files.cert, &files.key).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let wide = files.refused();
        assert!(wide.exit == Exit::NOT_ALLOWED && wide.message.contains("mode is 0644"), "{wide:?}");
        files.write(2020, 2090);
        std::fs::write(&files.key, made(2020, 2090).1).unwrap();
        assert!(files.refused().message.contains("does not belong to"), "{:?}", files.refused());
        for (from, until, says) in [(2020, 2021, "expired at 2021-01-01"), (2089, 2090, "is not valid before 2089")] {
            files.write(from, until);
            assert!(files.refused().message.contains(says), "{:?}", files.refused());
        }
        files.write(2020, 2090);
        for (bad, says) in [("", "holds no private key"), ("-----BEGIN PRIVATE KEY-----\n", "holds no private key")] {
            std::fs::write(&files.key, bad).unwrap();
            assert!(files.refused().message.contains(says), "{bad:?}: {:?}", files.refused());
        }
        for (bad, says) in [(String::new(), "holds no certificate"), ("x".repeat(300_000), "more than 262144 bytes")] {
            std::fs::write(&files.cert, bad).unwrap();
            assert!(files.refused().message.contains(says), "{:?}", files.refused());
        }
        std::fs::remove_file(&files.cert).unwrap();
        assert_eq!((files.refused().exit, files.refused().message.contains("reading")), (Exit::USAGE, true));
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
        let files = Files::of(2020, 2090);
        let tls = Tls::open(&files.cert, &files.key).unwrap();
        assert!(tls.look().is_none(), "nothing has changed");
        let first = Arc::as_ptr(tls.acceptor().config());
        std::fs::write(&files.cert, made(2020, 2091).0).unwrap();
        let error = tls.look().unwrap().unwrap_err();
        assert!(error.message.contains("does not belong to"), "half of a rotation: {error:?}");
        assert!(tls.look().is_none(), "it is said once");
        assert_eq!(Arc::as_ptr(tls.acceptor().config()), first, "the one in use stays");
        files.write(2020, 2091);
        assert!(tls.look().unwrap().unwrap().to_string().starts_with("2091-01-01"));
        assert_ne!(Arc::as_ptr(tls.acceptor().config()), first);
    }
}
