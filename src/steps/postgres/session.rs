//! A connection to a database: name, TCP, TLS, login, each with a failure of its own kind, so that a
//! diagnosis can tell them apart.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::engine::outcome::{Failure, FailureKind};
use crate::steps::dial::{connect, secure, shake_hands};
use crate::steps::postgres::address::{Address, Tls};
use crate::steps::refusal::chain;
use crate::steps::trust::provider;
use crate::steps::world::World;

/// Asks whether the server speaks TLS: length 8, then the number that is no version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Characters of a server's message that are shown.
const SHOWN_CHARS: usize = 500;

/// A connection that stands. It ends when this is dropped.
pub(in crate::steps) struct Session {
    pub client: Client,
    /// As the server says it: `16.4`.
    pub server_version: String,
    /// Moves the bytes.
    _mover: JoinSet<()>,
}

/// What went wrong, and the server's own code for it.
#[derive(Debug)]
pub(in crate::steps) struct Trouble {
    pub failure: Failure,
    pub sqlstate: Option<SqlState>,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble { failure, sqlstate: None }
    }
}

/// Connects and logs in before `deadline`. Nothing is written before it returns.
pub(in crate::steps) async fn open(world: &World, address: &Address, deadline: Instant) -> Result<Session, Trouble> {
    let (mut stream, _) = connect(world, &address.host, address.port, deadline).await?;
    if address.tls != Tls::Off && speaks_tls(&mut stream, address, deadline).await? {
        let stream = match address.tls {
            Tls::Verify => secure(world, stream, &address.host, deadline).await.map_err(unverified)?,
            _ => shake_hands(unjudged(world)?, stream, &address.host, deadline).await?,
        };
        return log_in(stream, address, deadline).await;
    }
    log_in(stream, address, deadline).await
}

async fn speaks_tls(stream: &mut TcpStream, address: &Address, deadline: Instant) -> Result<bool, Failure> {
    let host = &address.shown;
    let asking = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    let answer = match timeout_at(deadline, asking).await {
        Ok(answer) => {
            answer.map_err(|error| Failure::transient(FailureKind::Tls, format!("{host} broke off: {error}")))?
        }
        Err(_) => {
            return Err(Failure::transient(FailureKind::Timeout, format!("{host} did not say whether it speaks TLS")));
        }
    };
    match answer {
        b'S' => Ok(true),
        b'N' if address.tls == Tls::Prefer => Ok(false),
        b'N' => Err(Failure::new(
            FailureKind::Tls,
            format!("{host} speaks no TLS, and `tls: {}` wants it", word(address.tls)),
        )),
        _ => Err(Failure::new(FailureKind::Network, format!("{host} answers with something that is not PostgreSQL"))),
    }
}

fn word(tls: Tls) -> &'static str {
    match tls {
        Tls::Verify => "verify",
        _ => "require",
    }
}

/// Databases often show a certificate of their own making; what to do about it belongs to the message.
fn unverified(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Tls => {
            let way = "trust its authority by the target's `ca`, or say `tls: require` to encrypt without knowing who answers";
            Failure { message: format!("{}; {way}", failure.message), ..failure }
        }
        _ => failure,
    }
}

/// Encrypts, and takes whatever certificate comes.
fn unjudged(world: &World) -> Result<rustls::ClientConfig, Failure> {
    let problem = |error: &dyn std::fmt::Display| Failure::new(FailureKind::Tls, error.to_string());
    let judge = WebPkiServerVerifier::builder_with_provider(world.shared.trust.roots()?, provider());
    let judge = judge.build().map_err(|error| problem(&error))?;
    let builder = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    Ok(builder
        .map_err(|error| problem(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(judge)))
        .with_no_client_auth())
}

/// Takes every certificate; signatures of the handshake are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

async fn log_in<S>(stream: S, address: &Address, deadline: Instant) -> Result<Session, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut config = Config::new();
    // TLS is settled already.
    config.ssl_mode(SslMode::Disable).user(&address.user).dbname(&address.database).application_name("rerail");
    if let Some(password) = &address.password {
        config.password(password);
    }
    let (client, connection) = match timeout_at(deadline, config.connect_raw(stream, NoTls)).await {
        Ok(Ok(pair)) => pair,
        Ok(Err(error)) => return Err(trouble(&address.shown, "refuses the login", &error)),
        Err(_) => {
            let message = format!("{} did not finish the login in time", address.shown);
            return Err(Failure::transient(FailureKind::Timeout, message).into());
        }
    };
    let server_version = connection.parameter("server_version").unwrap_or_default();
    let server_version = server_version.split(' ').next().unwrap_or_default().to_owned();
    let mut mover = JoinSet::new();
    // How it ended is told to whoever waits for an answer.
    mover.spawn(async move { connection.await.unwrap_or_default() });
    Ok(Session { client, server_version, _mover: mover })
}

/// A library's error as a failure: what the server said is a `status`, everything else the network. Neither
/// holds more of the address than its host.
pub(in crate::steps) fn trouble(host: &str, verb: &str, error: &tokio_postgres::Error) -> Trouble {
    let Some(said) = error.as_db_error() else {
        let reason = chain(error).last().map(ToString::to_string).unwrap_or_default();
        return Failure::transient(FailureKind::Network, format!("{host} {verb}: {reason}")).into();
    };
    let mut text = format!("{} {}", said.code().code(), said.message());
    for (name, more) in [("detail", said.detail()), ("hint", said.hint())] {
        if let Some(more) = more {
            text.push_str(&format!("; {name}: {more}"));
        }
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
    let transient = may_pass(said.code());
    let failure = Failure { transient, ..Failure::new(FailureKind::Status, format!("{host} {verb}: {text}")) };
    Trouble { failure, sqlstate: Some(said.code().clone()) }
}

/// Whether the server may say yes soon: a conflict between transactions, no room, a restart, a held lock.
fn may_pass(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    matches!(class, "40" | "53" | "57" | "08") && *code != SqlState::QUERY_CANCELED
        || *code == SqlState::LOCK_NOT_AVAILABLE
}
