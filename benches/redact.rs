//! REDACT: how fast texts are looked through for 200 secrets, and how soon the search stands.

use std::io::Write as _;
use std::time::Duration;

use rerail::redact::{RedactingWriter, Redactor};

use crate::measure::{Row, median, timed};

const ROUNDS: usize = 9;
const SECRETS: usize = 200;
/// What a command may write and an answer may have.
const TEXT_BYTES: usize = 4 << 20;
/// As it comes from a pipe.
const CHUNK_BYTES: usize = 16 << 10;
/// Slower, and a command that prints a megabyte would wait for us rather than for itself: 50 MB/s.
const NS_PER_BYTE_MAX: f64 = 20.0;

pub fn rows() -> Vec<Row> {
    let secrets: Vec<String> = (0..SECRETS).map(secret).collect();
    let redactor = Redactor::new();
    for (at, secret) in secrets.iter().enumerate() {
        redactor.register(&format!("SECRET_{at}"), secret);
    }
    let quiet = log(&[]);
    let echoes = log(&secrets);
    // The search is compiled at the first look.
    redactor.redact(&echoes);
    let whole = |text: &str| median((0..ROUNDS).map(|_| timed(|| redactor.redact(text).len()).0).collect());
    let streamed = median((0..ROUNDS).map(|_| timed(|| stream(&redactor, &echoes)).0).collect());
    let compiled = median((0..ROUNDS).map(|_| compile(&secrets)).collect());
    vec![
        row("200 secrets, 4 MiB of log without one", whole(&quiet), quiet.len()),
        row("the same, one in every hundred lines", whole(&echoes), echoes.len()),
        row("the same, in chunks of 16 KiB", streamed, echoes.len()),
        Row::plain("REDACT", "the search for 200 secrets stands", compiled.as_secs_f64() * 1e3, 500.0, "ms"),
    ]
}

fn row(what: &str, took: Duration, bytes: usize) -> Row {
    let per_second = bytes as f64 / took.as_secs_f64() / 1e6;
    let value = took.as_nanos() as f64 / bytes as f64;
    let row = Row::plain("REDACT", what, value, NS_PER_BYTE_MAX, "ns/B");
    Row { measured: format!("{per_second:.0} MB/s"), ..row }
}

/// Tokens, passwords with signs, addresses with a password.
fn secret(at: usize) -> String {
    let digits = format!("{:016x}", (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    match at % 3 {
        0 => format!("tok_fake_{digits}{digits}"),
        1 => format!("p/{digits}+w?d~\"{at}\" &end"),
        _ => format!("postgres://app:{digits}@db-{at}.example.com:5432/app?sslmode=require"),
    }
}

/// Lines as servers write them, every hundredth with a secret in one of two forms.
fn log(secrets: &[String]) -> String {
    let mut text = String::with_capacity(TEXT_BYTES + 1024);
    for at in 0.. {
        if text.len() >= TEXT_BYTES {
            break;
        }
        let id = (at as u64).wrapping_mul(0x2545_f491_4f6c_dd1d);
        text.push_str(&format!("2026-11-01T03:12:{:02}.{:03}Z INFO request id={id:016x} GET /api/orders?page={at} 200 {}ms {{\"user\": \"u-{at}\", \"cache\": true}}", at % 60, at % 1000, at % 97));
        if at % 100 == 0 && !secrets.is_empty() {
            let secret = &secrets[at / 100 % secrets.len()];
            match at % 200 {
                0 => text.push_str(secret),
                _ => text.push_str(&rerail::script::secret::base64(secret)),
            }
        }
        text.push('\n');
    }
    text
}

fn stream(redactor: &Redactor, text: &str) {
    let mut writer = RedactingWriter::new(std::io::sink(), redactor.clone());
    for chunk in text.as_bytes().chunks(CHUNK_BYTES) {
        writer.write_all(chunk).unwrap();
    }
    writer.finish().unwrap();
}

/// From the values to the first look.
fn compile(secrets: &[String]) -> Duration {
    let redactor = Redactor::new();
    let (took, _) = timed(|| {
        redactor.register_sealed(secrets.iter().map(|secret| ("SECRET", secret.as_str())));
        redactor.redact(&secrets[0]).len()
    });
    took
}
