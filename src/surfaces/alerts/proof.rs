//! Proof of who sent an alert, over the raw bytes, before anything is read from them. Every comparison takes the same time
//! whatever differs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::runbook::hooks::{Hook, Proof};
use crate::script::hex::hex;
use crate::surfaces::http::Sent;
use crate::surfaces::http::proof::{from_hex, in_time, is_any, is_same, tag};

/// Signatures of one request that are looked at: a sender that changes its key has two.
const SIGNATURES_MAX: usize = 8;
/// Letters of a name of a delivery.
const ID_CHARS_MAX: usize = 128;
/// How the key of Standard Webhooks begins.
const STANDARD_PREFIX: &str = "whsec_";

/// Whether a request is from a hook's sender; gives the name of the delivery, the same when it is sent again by a sender that
/// names or signs what it sends. `None` if nothing proves it, for whatever reason: who asks is not told which.
pub fn proven(source: &str, hook: &Hook, secret: &str, sent: &Sent) -> Option<String> {
    match hook.proof {
        Proof::Bearer => bearer(secret, sent),
        Proof::Basic => basic(hook.user.as_deref()?, secret, sent),
        Proof::Standard => standard(secret, sent),
        Proof::Signature => match source {
            "pagerduty" => pagerduty(secret, sent),
            "grafana" => grafana(secret, sent),
            _ => plain(secret, sent),
        },
    }
}

fn bearer(secret: &str, sent: &Sent) -> Option<String> {
    let token = sent.header("authorization")?.strip_prefix("Bearer ")?;
    is_same(token.as_bytes(), secret.as_bytes()).then(a_new_one)
}

fn basic(user: &str, secret: &str, sent: &Sent) -> Option<String> {
    let shown = STANDARD.decode(sent.header("authorization")?.strip_prefix("Basic ")?).ok()?;
    is_same(&shown, format!("{user}:{secret}").as_bytes()).then(a_new_one)
}

/// `v1=` and HMAC-SHA256 of `TIME.BODY`.
fn plain(secret: &str, sent: &Sent) -> Option<String> {
    let moment = sent.header("x-rerail-timestamp")?;
    in_time(moment, sent.at).ok()?;
    let signed = [moment.as_bytes(), b".", &sent.body];
    any_hex(secret.as_bytes(), &signed, sent.header("x-rerail-signature")?).then(|| by_signed(&signed))
}

/// PagerDuty: `v1=` and HMAC-SHA256 of the body, which has no time: its own name for the delivery stands against replay.
fn pagerduty(secret: &str, sent: &Sent) -> Option<String> {
    let proven = any_hex(secret.as_bytes(), &[&sent.body], sent.header("x-pagerduty-signature")?);
    proven.then(|| match id(sent, "x-webhook-id") {
        Some(id) => id.to_owned(),
        None => by_signed(&[&sent.body]),
    })
}

/// Grafana: HMAC-SHA256 of the body, or of `TIME:BODY` if it is told to send the time.
fn grafana(secret: &str, sent: &Sent) -> Option<String> {
    let signature = sent.header("x-grafana-alerting-signature")?;
    let timed;
    let signed: &[&[u8]] = match sent.headers.contains_key("x-grafana-alerting-timestamp") {
        true => {
            let moment = sent.header("x-grafana-alerting-timestamp")?;
            in_time(moment, sent.at).ok()?;
            timed = [moment.as_bytes(), b":", sent.body.as_slice()];
            &timed
        }
        false => &[sent.body.as_slice()],
    };
    let tag = tag(secret.as_bytes(), signed);
    is_same(&from_hex::<32>(signature)?, &tag).then(|| by_signed(signed))
}

/// Standard Webhooks: `v1,` and Base64 of HMAC-SHA256 of `ID.TIME.BODY`, under the names of the standard or of Svix.
fn standard(secret: &str, sent: &Sent) -> Option<String> {
    let family = if sent.headers.contains_key("svix-id") { "svix" } else { "webhook" };
    let name = format!("{family}-id");
    let id = id(sent, &name)?;
    let moment = sent.header(&format!("{family}-timestamp"))?;
    in_time(moment, sent.at).ok()?;
    let signature = sent.header(&format!("{family}-signature"))?;
    let key = STANDARD.decode(secret.strip_prefix(STANDARD_PREFIX).unwrap_or(secret)).ok()?;
    let tag = tag(&key, &[id.as_bytes(), b".", moment.as_bytes(), b".", &sent.body]);
    let shown = signature.split(' ').take(SIGNATURES_MAX);
    let shown = shown.map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    is_any(tag, shown).then(|| id.to_owned())
}

/// Whether one of `v1=HEX,v1=HEX` is right. All of them are looked at.
fn any_hex(key: &[u8], signed: &[&[u8]], signatures: &str) -> bool {
    let shown = signatures.split(',').take(SIGNATURES_MAX);
    let bytes = |one: &str| from_hex::<32>(one.trim_matches(' ').strip_prefix("v1=")?).map(Vec::from);
    is_any(tag(key, signed), shown.map(bytes))
}

/// What a sender calls this delivery, if it is a name.
fn id<'s>(sent: &'s Sent, header: &str) -> Option<&'s str> {
    let id = sent.header(header)?;
    let good = (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(id)
}

fn by_signed(signed: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    signed.iter().for_each(|part| digest.update(part));
    hex(&digest.finalize())
}

/// A secret alone names no delivery, and the same words are no sign that it is the same: firing, resolved and firing may come
/// within a minute, word for word. Each is worked through; that one which is sent again starts nothing is seen to by what is
/// known of its alerts.
fn a_new_one() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests;
