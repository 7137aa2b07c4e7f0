//! `secret.generate`: a new secret by chance, which nobody sees.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect, OutputSpec, Seal};
use crate::runbook::types::Type;
use crate::script::hex::hex;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid, optional_text};
use crate::steps::schema::{choice, defaulted, output};
use crate::steps::world::World;
use crate::steps::{Entry, GENERATE, Pending, Primitive, Read};

/// Bytes of chance: 128 bits can't be guessed, and more than 256 bytes is a file.
const BYTES: std::ops::RangeInclusive<usize> = 16..=256;
/// Letters of the form `alnum`.
const ALNUM: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Letters for 32 bytes: 43 times log2(62) are 256 bits.
const ALNUM_LETTERS: (usize, usize) = (43, 32);
/// A byte from here on would make the first letters likelier than the last.
const ALNUM_FAIR: u8 = 62 * 4;

struct SecretGenerate;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&SecretGenerate) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: GENERATE.to_owned(),
        title: "Make a new secret".to_owned(),
        effect: Effect::Pure,
        effect_of: None,
        repeat_of: None,
        args: vec![
            defaulted("bytes", Type::Int, 32, "bytes of chance in it, 16 to 256"),
            defaulted("form", choice(&["base64url", "hex", "alnum"]), "base64url", "the letters it is written in"),
        ],
        outputs: vec![OutputSpec { sealed: Seal::Always, ..output("value", Type::Secret, "the secret, sealed") }],
        docs: "\
```yaml
- id: password
  uses: secret.generate
  with: { bytes: 32, form: alnum }
```
The value is sealed: it can be passed on, and is never shown. A dry-run makes none and says `generated at apply`. A run \
that is taken up again has the value it made before."
            .to_owned(),
    }
}

impl Read for SecretGenerate {
    fn perform<'a>(&'a self, _world: &'a World, args: &'a Map) -> Pending<'a> {
        let made = generate(args).map(|value| Attempt::done(Value::map([("value", Value::from(value))])));
        Box::pin(std::future::ready(made.unwrap_or_else(Attempt::refused)))
    }
}

fn generate(args: &Map) -> Result<String, Failure> {
    let bytes = match given(args, "bytes") {
        None => 32,
        Some(Value::Int(bytes)) => usize::try_from(*bytes).unwrap_or(0),
        Some(other) => return Err(invalid("bytes", &format!("expected int, got {}", other.kind()))),
    };
    if !BYTES.contains(&bytes) {
        return Err(invalid("bytes", &format!("expected {} to {}, got {bytes}", BYTES.start(), BYTES.end())));
    }
    Ok(match optional_text(args, "form")?.unwrap_or("base64url") {
        "hex" => hex(&random(bytes)?),
        "alnum" => letters((bytes * ALNUM_LETTERS.0).div_ceil(ALNUM_LETTERS.1))?,
        _ => URL_SAFE_NO_PAD.encode(random(bytes)?),
    })
}

fn random(bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut drawn = vec![0; bytes];
    let none = |_| Failure::transient(FailureKind::Limit, "the operating system has no randomness to give");
    SystemRandom::new().fill(&mut drawn).map_err(none)?;
    Ok(drawn)
}

/// So many letters and digits, each as likely as any other.
fn letters(count: usize) -> Result<String, Failure> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let drawn = random(count - text.len())?;
        let fair = drawn.into_iter().filter(|byte| *byte < ALNUM_FAIR);
        text.extend(fair.map(|byte| char::from(ALNUM[usize::from(byte) % ALNUM.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(bytes: i64, form: &str) -> Result<String, Failure> {
        let args = Map::from([("bytes".to_owned(), Value::from(bytes)), ("form".to_owned(), Value::from(form))]);
        generate(&args)
    }

    #[test]
    fn each_form_holds_the_chance_that_was_asked_for_and_no_two_are_alike() {
        for (form, length) in [("hex", 64), ("base64url", 43), ("alnum", 43)] {
            let value = made(32, form).unwrap();
            assert_eq!(value.len(), length, "{form}");
            assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{form}: {value}");
            assert_ne!(value, made(32, form).unwrap(), "{form}");
        }
        let many = made(256, "alnum").unwrap();
        assert_eq!(many.len(), 344);
        assert!(many.chars().collect::<std::collections::BTreeSet<_>>().len() > 50, "{many}");
    }

    #[test]
    fn too_little_and_too_much_chance_is_refused() {
        assert_eq!((made(16, "hex").unwrap().len(), made(256, "hex").unwrap().len()), (32, 512));
        for bytes in [-1, 0, 15, 257, i64::MAX] {
            let message = made(bytes, "hex").unwrap_err().message;
            assert!(message.contains("expected 16 to 256"), "{message}");
        }
    }
}
