//! Sends one message, and knows at each moment whether the server can have taken it.
//!
//! | what happened | outcome |
//! |---|---|
//! | anything before the final dot: no connection, no TLS, a reply that says no, a lost connection | refused |
//! | no recipient was taken | refused |
//! | 2xx after the dot | done; failed if some recipients were refused, the others have it |
//! | 4xx or 5xx after the dot | refused |
//! | a lost connection, a time-out or no SMTP after the dot | in_doubt |

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Quit, Rcpt, Starttls};
use lettre::transport::smtp::response::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::failpoint;
use crate::runbook::mail::{Login, Security, Smtp, is_this_machine};
use crate::script::secret::SecretText;
use crate::script::value::Value;
use crate::steps::dial::{connect, secure};
use crate::steps::egress::host_text;
use crate::steps::smtp::letter::Letter;
use crate::steps::smtp::wire::{Wire, code, shown};
use crate::steps::world::World;

/// Ends a message. From its first byte on the message may have been taken.
const FINAL_DOT: &[u8] = b".\r\n";

/// Sends `letter` by the server `smtp`, all before `deadline`. An `Err` means that no message was sent.
pub(in crate::steps) async fn deliver(
    world: &World,
    smtp: &Smtp,
    letter: &Letter,
    deadline: Instant,
) -> Result<Attempt, Failure> {
    let host = world.host(&smtp.host)?;
    let shown = host_text(&host);
    // The checks of the project file, once more where it counts.
    if smtp.security == Security::None && (smtp.login.is_some() || !is_this_machine(&smtp.host)) {
        let message = format!("mail to {shown} needs TLS: `security: none` is for this machine, without credentials");
        return Err(Failure::new(FailureKind::Policy, message));
    }
    // A missing password is said before anybody is bothered.
    let login =
        smtp.login.as_ref().map(|login| password(world, login, &shown).map(|text| (login, text))).transpose()?;
    let (stream, _) = connect(world, &host, smtp.port, deadline).await?;
    let secured = match smtp.security {
        Security::None => {
            let mut wire = Wire::new(stream, &shown, deadline);
            greeting(&mut wire).await?;
            wire.hello().await?;
            return send(world, &mut wire, letter).await;
        }
        Security::Tls => secure(world, stream, &host, deadline).await?,
        Security::Starttls => secure(world, upgrade(stream, &shown, deadline).await?, &host, deadline).await?,
    };
    let mut wire = Wire::new(secured, &shown, deadline);
    if smtp.security == Security::Tls {
        greeting(&mut wire).await?;
    }
    let able = wire.hello().await?;
    if let Some((login, password)) = login {
        wire.login(&able, &login.user, password).await?;
    }
    send(world, &mut wire, letter).await
}

fn password(world: &World, login: &Login, host: &str) -> Result<String, Failure> {
    match world.reveal(&Value::Secret(SecretText::named(&login.password_secret)), Some(host))? {
        Value::Text(text) => Ok(text),
        other => Err(Failure::new(FailureKind::Secret, format!("a password is text, got {}", other.kind()))),
    }
}

async fn greeting<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) -> Result<(), Failure> {
    let reply = wire.reply().await?;
    wire.positive(reply, "the connection").map(drop)
}

/// The plain part of STARTTLS. A server that doesn't offer it, or somebody who strikes the offer out, gets
/// neither credentials nor message.
async fn upgrade(stream: TcpStream, host: &str, deadline: Instant) -> Result<TcpStream, Failure> {
    let mut wire = Wire::new(stream, host, deadline);
    greeting(&mut wire).await?;
    if !wire.hello().await?.starttls {
        let message = format!("{host} offers no STARTTLS, and nothing is sent without TLS");
        return Err(Failure::new(FailureKind::Tls, message));
    }
    let reply = wire.command(Starttls).await?;
    wire.positive(reply, "STARTTLS")?;
    wire.into_plain()
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    world: &World,
    wire: &mut Wire<S>,
    letter: &Letter,
) -> Result<Attempt, Failure> {
    let started = Instant::now();
    let reply = wire.command(MailFrom::new(Some(letter.from.clone()), Vec::new())).await?;
    wire.positive(reply, "the sender")?;
    let (taken, refused) = recipients(wire, letter).await?;

    world.gate()?;
    failpoint::hit("smtp.before_data");
    let reply = wire.command(Data).await?;
    if !reply.has_code(354) {
        return Err(wire.refusal(&reply, "the message"));
    }
    wire.write(&stuffed(&letter.bytes)).await?;
    if let Some(failure) = wire.interruption().await {
        return Err(failure);
    }
    failpoint::hit("smtp.before_dot");
    let end = match wire.write(FINAL_DOT).await {
        Ok(()) => wire.reply().await,
        Err(failure) => Err(failure),
    };
    failpoint::hit("smtp.answered");
    let reply = end.as_ref().map(shown).unwrap_or_default();
    let outputs = Value::map([
        ("message_id", Value::from(letter.message_id.as_str())),
        ("accepted", Value::List(taken.iter().map(|address| Value::from(address.to_string())).collect())),
        ("rejected", Value::List(refused.iter().map(Refused::to_value).collect())),
        ("reply", Value::from(reply)),
        ("ms", Value::from(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX))),
    ]);
    let attempt = match end {
        Err(failure) => Attempt::in_doubt(failure),
        Ok(reply) => match code(&reply) {
            200..=299 if refused.is_empty() => Attempt::done(Value::Null),
            200..=299 => Attempt::failed(Failure::new(
                FailureKind::Status,
                format!("sent to {} of {} recipients: {}", taken.len(), letter.recipients.len(), listed(&refused)),
            )),
            400..=599 => Attempt::refused(wire.refusal(&reply, "the message")),
            _ => Attempt::in_doubt(wire.strange("the message")),
        },
    };
    // A courtesy; the message is where it is whatever becomes of it.
    wire.write(Quit.to_string().as_bytes()).await.ok();
    Ok(attempt.with_outputs(outputs))
}

/// A recipient the server would not take.
struct Refused {
    address: Address,
    reply: Response,
}

impl Refused {
    fn to_value(&self) -> Value {
        Value::map([("address", Value::from(self.address.to_string())), ("reply", Value::from(shown(&self.reply)))])
    }
}

/// Names all recipients; gives those taken and those refused, at least one taken.
async fn recipients<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    letter: &Letter,
) -> Result<(Vec<Address>, Vec<Refused>), Failure> {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for address in &letter.recipients {
        let reply = wire.command(Rcpt::new(address.clone(), Vec::new())).await?;
        match code(&reply) {
            200..=299 => taken.push(address.clone()),
            // The server goes away.
            421 => return Err(wire.refusal(&reply, "a recipient")),
            400..=599 => refused.push(Refused { address: address.clone(), reply }),
            _ => return Err(wire.strange("a recipient")),
        }
    }
    if taken.is_empty() {
        let transient = refused.iter().all(|refused| code(&refused.reply) < 500);
        let failure = Failure::new(FailureKind::Status, format!("every recipient was refused: {}", listed(&refused)));
        return Err(Failure { transient, ..failure });
    }
    Ok((taken, refused))
}

fn listed(refused: &[Refused]) -> String {
    refused.iter().map(|one| format!("{} ({})", one.address, shown(&one.reply))).collect::<Vec<_>>().join(", ")
}

/// The message as it crosses the wire: a dot that begins a line is doubled, and its last line is whole.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 64 + 2);
    let mut line_starts = true;
    for byte in message {
        if line_starts && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        line_starts = *byte == b'\n';
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_is_its_end() {
        for (message, wire) in [
            ("", "\r\n"),
            (".", "..\r\n"),
            ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n"),
            ("..a\r\n", "...a\r\n"),
            ("a.b\r\n", "a.b\r\n"),
        ] {
            assert_eq!(stuffed(message.as_bytes()), wire.as_bytes(), "{message:?}");
        }
    }
}
