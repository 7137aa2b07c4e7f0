//! `tls.inspect`: what certificate a server shows, valid or not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, invalid, optional_text, port, text};
use crate::steps::dial::{connect, is_observation};
use crate::steps::egress::host_text;
use crate::steps::refusal::cause;
use crate::steps::schema::{defaulted, optional, output, required};
use crate::steps::trust::provider;
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// A handshake takes two round trips and a signature.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The port of HTTPS.
const PORT: u16 = 443;

struct TlsInspect;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&TlsInspect) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "tls.inspect".to_owned(),
        title: "Look at the certificate of a server".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("host", Type::String, "name or address to connect to"),
            defaulted("port", Type::Int, i64::from(PORT), "1 to 65535"),
            optional("server_name", Type::String, "name to ask for and to check; the host if left out"),
            defaulted("timeout", Type::Duration, "10s", "time for connecting and the handshake"),
        ],
        outputs: vec![
            output("ok", Type::Bool, "a client would accept it today"),
            output("days_left", Type::Int, "whole days until it expires, negative afterwards; `()` without a certificate"),
            output("not_before", Type::String, "first moment of validity, RFC 3339"),
            output("not_after", Type::String, "last moment of validity, RFC 3339"),
            output("subject", Type::String, "distinguished name of the holder"),
            output("issuer", Type::String, "distinguished name of the issuer"),
            output("names", Type::List, "host names and addresses it is for"),
            output("chain_trusted", Type::Bool, "signed by a trusted authority and in its time"),
            output("hostname_ok", Type::Bool, "is for the name that was asked for"),
            output("error", Type::Map, "`kind` and `message` of why a client would not accept it; `()` if it would"),
        ],
        docs: "\
```yaml
- id: tls
  uses: tls.inspect
  with: { host: \"${{ inputs.base_url.host }}\" }
```
Also reads expired, self-signed and wrong certificates, which is when it is needed. Nothing is sent after the handshake. \
When no certificate was seen, `ok` is false, `error` says why and the other outputs are `()`."
            .to_owned(),
    }
}

impl Read for TlsInspect {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { inspect(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

async fn inspect(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let host = world.host(text(args, "host")?)?;
    let port = port(args, Some(PORT))?;
    let deadline = world.deadline(duration(args, "timeout", TIMEOUT)?);
    let name = match optional_text(args, "server_name")? {
        Some(name) => name.to_owned(),
        None => host_text(&host),
    };
    let server_name = ServerName::try_from(name.clone())
        .map_err(|_| invalid("server_name", &format!("expected a host name or an address, got {name:?}")))?;
    let roots = world.shared.trust.roots()?;
    let judge = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| Failure::new(FailureKind::Tls, error.to_string()))?;
    let witness = Arc::new(Witness { judge, seen: Mutex::new(None) });
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(FailureKind::Tls, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();

    let shaken = match connect(world, &host, port, deadline).await {
        Ok((stream, _)) => shake_hands(config, server_name, stream, &name, deadline).await,
        Err(failure) if is_observation(&failure) => Err(failure),
        Err(failure) => return Err(failure),
    };
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(Attempt::done(outputs(seen, shaken.err())))
}

async fn shake_hands(
    config: rustls::ClientConfig,
    server_name: ServerName<'static>,
    stream: tokio::net::TcpStream,
    name: &str,
    deadline: Instant,
) -> Result<(), Failure> {
    match timeout_at(deadline, TlsConnector::from(Arc::new(config)).connect(server_name, stream)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let reason = cause::<rustls::Error>(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Err(Failure::new(FailureKind::Tls, format!("{name} did not finish the handshake: {reason}")))
        }
        Err(_) => Err(Failure::transient(FailureKind::Timeout, format!("{name} did not finish the handshake in time"))),
    }
}

/// What a server showed, and what a strict client says of it.
#[derive(Debug)]
struct Seen {
    certificate: CertificateDer<'static>,
    chain: Result<(), rustls::Error>,
    name: Result<(), rustls::Error>,
}

/// Accepts every certificate and remembers it. Signatures of the handshake are still checked, so the
/// certificate belongs to whoever answered.
#[derive(Debug)]
struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    // Written once by the handshake, read after it.
    seen: Mutex<Option<Seen>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let name = ParsedCertificate::try_from(end_entity).and_then(|parsed| verify_server_name(&parsed, server_name));
        let chain = match verified {
            Ok(_) => Ok(()),
            // The name is looked at after the chain.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(error) => Err(error),
        };
        let seen = Seen { certificate: end_entity.clone().into_owned(), chain, name };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

fn outputs(seen: Option<Seen>, broken: Option<Failure>) -> Value {
    let refusal = |seen: &Seen| {
        let error = seen.chain.as_ref().err().or(seen.name.as_ref().err())?;
        Some(Failure::new(FailureKind::Tls, error.to_string()))
    };
    let failure = broken.or_else(|| seen.as_ref().and_then(refusal));
    let mut outputs = Map::from(
        ["days_left", "not_before", "not_after", "subject", "issuer", "names", "chain_trusted", "hostname_ok"]
            .map(|name| (name.to_owned(), Value::Null)),
    );
    outputs.insert("ok".to_owned(), Value::from(failure.is_none()));
    outputs.insert("error".to_owned(), failure.as_ref().map(Failure::to_value).unwrap_or_default());
    if let Some(seen) = &seen {
        outputs.insert("chain_trusted".to_owned(), Value::from(seen.chain.is_ok()));
        outputs.insert("hostname_ok".to_owned(), Value::from(seen.name.is_ok()));
        if let Ok((_, certificate)) = X509Certificate::from_der(&seen.certificate) {
            outputs.extend(facts(&certificate));
        }
    }
    Value::Map(outputs)
}

fn facts(certificate: &X509Certificate<'_>) -> Map {
    let validity = certificate.validity();
    let seconds_left = validity.not_after.timestamp() - Timestamp::now().as_second();
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name_text).map(Value::from).collect(),
        _ => Vec::new(),
    };
    Map::from([
        ("days_left".to_owned(), Value::from(seconds_left.div_euclid(24 * 3600))),
        ("not_before".to_owned(), moment(validity.not_before.timestamp())),
        ("not_after".to_owned(), moment(validity.not_after.timestamp())),
        ("subject".to_owned(), Value::from(certificate.subject().to_string())),
        ("issuer".to_owned(), Value::from(certificate.issuer().to_string())),
        ("names".to_owned(), Value::List(names)),
    ])
}

fn moment(second: i64) -> Value {
    Timestamp::from_second(second).map(|at| Value::from(at.to_string())).unwrap_or_default()
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}
