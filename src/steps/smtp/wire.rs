//! The lines of an SMTP conversation: a command out, a reply in, each before the deadline and within limits.
//!
//! Over a plain connection credentials can't be expressed: [`Wire::login`] exists for TLS alone.

use std::fmt::Display;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Auth, Ehlo};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use crate::engine::outcome::{Failure, FailureKind};

/// Bytes of a whole reply: the longest list of extensions has a few hundred.
const REPLY_BYTES_MAX: u64 = 16 * 1024;
/// Characters of a reply that are shown.
const SHOWN_CHARS: usize = 200;
/// Questions of a server before it has its credentials: LOGIN asks two.
const CHALLENGES_MAX: usize = 3;

/// What a server says it can do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::steps) struct Able {
    pub starttls: bool,
    /// The best way to show credentials that both sides know.
    pub login: Option<Mechanism>,
}

impl Able {
    fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Able {
        let mut able = Able::default();
        // The first line is a greeting, whatever words it has.
        for line in lines.skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            if keyword.eq_ignore_ascii_case("STARTTLS") {
                able.starttls = true;
            }
            if keyword.eq_ignore_ascii_case("AUTH") {
                let offered: Vec<&str> = words.collect();
                let known = [("PLAIN", Mechanism::Plain), ("LOGIN", Mechanism::Login)];
                let best = known.iter().find(|(name, _)| offered.iter().any(|word| word.eq_ignore_ascii_case(name)));
                able.login = best.map(|(_, mechanism)| *mechanism);
            }
        }
        able
    }
}

/// A connection, and what of it was read ahead.
pub(in crate::steps) struct Wire<S> {
    stream: BufReader<S>,
    /// As in messages.
    host: String,
    deadline: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A conversation over `stream` that ends at `deadline`.
    pub(in crate::steps) fn new(stream: S, host: &str, deadline: Instant) -> Wire<S> {
        Wire { stream: BufReader::new(stream), host: host.to_owned(), deadline }
    }

    /// Introduces this side, and hears what the server can do.
    pub(in crate::steps) async fn hello(&mut self) -> Result<Able, Failure> {
        // Its own address in the form the standard has for clients without a name: says nothing of this machine.
        let reply = self.command(Ehlo::new(ClientId::default())).await?;
        let reply = self.positive(reply, "EHLO")?;
        Ok(Able::of(reply.message()))
    }

    /// Sends a command and reads the reply to it, whatever it says.
    pub(in crate::steps) async fn command(&mut self, command: impl Display) -> Result<Response, Failure> {
        self.write(command.to_string().as_bytes()).await?;
        self.reply().await
    }

    /// Writes all of `bytes` out of this process.
    pub(in crate::steps) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let stream = self.stream.get_mut();
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match timeout_at(self.deadline, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(self.late("took the message too slowly")),
        }
    }

    /// Reads one reply of any number of lines.
    pub(in crate::steps) async fn reply(&mut self) -> Result<Response, Failure> {
        let reading = async {
            let mut bytes = Vec::new();
            loop {
                let start = bytes.len();
                let room = REPLY_BYTES_MAX - start as u64;
                let read = (&mut self.stream).take(room).read_until(b'\n', &mut bytes).await?;
                let line = &bytes[start..];
                if read == 0 || !line.ends_with(b"\n") {
                    return Ok::<_, std::io::Error>((bytes, false));
                }
                // `250-` goes on, `250 ` or a bare code ends.
                if line.get(3) != Some(&b'-') {
                    return Ok((bytes, true));
                }
            }
        };
        match timeout_at(self.deadline, reading).await {
            Ok(Ok((bytes, true))) => String::from_utf8_lossy(&bytes).parse().map_err(|_| self.strange("a command")),
            Ok(Ok((bytes, false))) if bytes.len() as u64 >= REPLY_BYTES_MAX => Err(self.strange("a command")),
            Ok(Ok(_)) => Err(self.broken(&"the connection ended")),
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(self.late("gave no reply in time")),
        }
    }

    /// What the server said or did unasked; `None` while it waits, as it should.
    pub(in crate::steps) async fn interruption(&mut self) -> Option<Failure> {
        let ended = match timeout(Duration::ZERO, self.stream.fill_buf()).await {
            Err(_) => return None,
            Ok(Ok([])) => true,
            Ok(Ok(_)) => false,
            Ok(Err(error)) => return Some(self.broken(&error)),
        };
        if ended {
            return Some(self.broken(&"the connection ended before the message did"));
        }
        Some(match self.reply().await {
            Ok(reply) => self.refusal(&reply, "the message"),
            Err(failure) => failure,
        })
    }

    /// The reply if it goes on (2xx, 3xx).
    pub(in crate::steps) fn positive(&self, reply: Response, to: &str) -> Result<Response, Failure> {
        if reply.is_positive() { Ok(reply) } else { Err(self.refusal(&reply, to)) }
    }

    /// A reply that says no: for now if it is 4xx.
    pub(in crate::steps) fn refusal(&self, reply: &Response, to: &str) -> Failure {
        let message = format!("{} refuses {to}: {}", self.host, shown(reply));
        let transient = (400..500).contains(&code(reply));
        Failure { transient, ..Failure::new(FailureKind::Status, message) }
    }

    /// A reply that is none.
    pub(in crate::steps) fn strange(&self, to: &str) -> Failure {
        Failure::new(FailureKind::Network, format!("{} answers {to} with something that is not SMTP", self.host))
    }

    fn broken<E: Display>(&self, error: &E) -> Failure {
        Failure::transient(FailureKind::Network, format!("{} broke off: {error}", self.host))
    }

    fn late(&self, what: &str) -> Failure {
        Failure::transient(FailureKind::Timeout, format!("{} {what}", self.host))
    }
}

impl Wire<TcpStream> {
    /// The connection, to be secured. What was sent ahead of TLS by whoever sits between is never read as if
    /// it had come after.
    pub(in crate::steps) fn into_plain(self) -> Result<TcpStream, Failure> {
        if self.stream.buffer().is_empty() {
            return Ok(self.stream.into_inner());
        }
        let message = format!("{} sent more than its answer to STARTTLS, as nobody honest does", self.host);
        Err(Failure::new(FailureKind::Tls, message))
    }
}

impl Wire<TlsStream<TcpStream>> {
    /// Shows the credentials. What the server replies to them is not repeated: it may hold them.
    pub(in crate::steps) async fn login(&mut self, able: &Able, user: &str, password: String) -> Result<(), Failure> {
        let denied = |what: &str| Failure::new(FailureKind::Status, format!("{} {what}", self.host));
        let Some(mechanism) = able.login else {
            return Err(denied("offers no login by PLAIN or LOGIN, and `mail.smtp.user` is set"));
        };
        let credentials = Credentials::new(user.to_owned(), password);
        let unusable = denied("asks something at the login that is no SMTP");
        let first = Auth::new(mechanism, credentials.clone(), None).map_err(|_| unusable.clone())?;
        let mut reply = self.command(first).await?;
        for _ in 0..CHALLENGES_MAX {
            if !reply.has_code(334) {
                break;
            }
            let answer =
                Auth::new_from_response(mechanism, credentials.clone(), &reply).map_err(|_| unusable.clone())?;
            reply = self.command(answer).await?;
        }
        match code(&reply) {
            200..=299 => Ok(()),
            code => {
                let message = format!("{} refuses the credentials of {user:?} ({code})", self.host);
                Err(Failure { transient: (400..500).contains(&code), ..Failure::new(FailureKind::Status, message) })
            }
        }
    }
}

/// The number of a reply.
pub(in crate::steps) fn code(reply: &Response) -> u16 {
    u16::from(reply.code())
}

/// A reply as one short line.
pub(in crate::steps) fn shown(reply: &Response) -> String {
    let text = reply.message().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
    format!("{} {text}", code(reply)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_are_read_whatever_a_server_writes() {
        let able = |lines: &[&str]| Able::of(lines.iter().copied());
        assert_eq!(
            able(&["hi", "STARTTLS", "AUTH LOGIN PLAIN"]),
            Able { starttls: true, login: Some(Mechanism::Plain) }
        );
        assert_eq!(able(&["hi", "starttls", "auth login"]), Able { starttls: true, login: Some(Mechanism::Login) });
        for nothing in [&["STARTTLS"][..], &[], &["hi", " ", "", "AUTH", "AUTH CRAM-MD5", "XSTARTTLS"]] {
            assert_eq!(able(nothing), Able::default(), "{nothing:?}");
        }
    }
}
