//! The store's own key: seals values, gives them fingerprints, and signs what is said of the journal.
//!
//! One secret of 32 bytes in the file [`FILE`] beside the database, never in it: a copy of the database alone opens no
//! sealed value and signs nothing. Everything else is derived from it, so there is one file to keep.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{aead, hkdf, hmac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::journal::error::Error;
use crate::script::hex::hex;

/// Name of the key's file in a store's directory.
pub const FILE: &str = "store.key";

/// What the file's second line begins with; the number is that of its form.
const FORM: &str = "rerail-store-key-1";

/// The file's first line, for whoever opens it.
const ABOUT: &str =
    "# The key of this rerail store. Keep it private, and keep a copy: without it sealed values are lost.";

/// Bytes of the file that are read: the two lines have 175.
const FILE_BYTES_MAX: u64 = 1024;

/// Bytes of the secret that everything is derived from.
const SECRET_BYTES: usize = 32;

/// Bytes of the secret's own hash behind it: a letter lost in a restore must not become another key.
const CHECK_BYTES: usize = 4;

/// Separates our derivations from everybody else's. Changing it orphans every sealed value and signature.
const SALT: &[u8] = b"rerail store key 1";

/// First byte of what [`StoreKey::seal`] gives: the form of the rest.
const SEALED_FORM: u8 = 1;

/// What is before the ciphertext: form and nonce.
const SEALED_HEAD: usize = 1 + aead::NONCE_LEN;

/// The keys of a store. Clones share them; no text form of it holds a secret.
#[derive(Clone)]
pub struct StoreKey(Arc<Keys>);

struct Keys {
    /// Where it came from, for messages; a key that was made for one process has no file.
    file: Option<PathBuf>,
    signing: Ed25519KeyPair,
    sealing: aead::LessSafeKey,
    nonces: hmac::Key,
    fingerprints: hmac::Key,
}

impl StoreKey {
    /// The key of the store in `dir`, made at the first call. Whoever is first, all processes get the same one, and it
    /// is on disk before anybody has it.
    ///
    /// # Errors
    /// [`Error::Key`] with the cure if the file is damaged or others can read it; what the operating system said.
    pub fn of(dir: &Path) -> Result<StoreKey, Error> {
        let file = dir.join(FILE);
        if let Some(secret) = read(&file)? {
            return Ok(StoreKey::derived(&secret, Some(file)));
        }
        create(dir, &file, &random())?;
        // Also by those who came second: what they seal must not outlive the name of the key.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| Error::os("flushing", dir, e))?;
        // Not the one just made, but the one that is there: somebody else may have been first.
        match read(&file)? {
            Some(secret) => Ok(StoreKey::derived(&secret, Some(file))),
            None => Err(Error::os("reading", &file, io::ErrorKind::NotFound.into())),
        }
    }

    /// Makes the key of a store that is being made in `dir`, whose maker flushes the directory before others find it.
    ///
    /// # Errors
    /// As [`StoreKey::of`].
    pub(super) fn prepare(dir: &Path) -> Result<(), Error> {
        let file = dir.join(FILE);
        match read(&file)? {
            Some(_) => Ok(()),
            None => create(dir, &file, &random()),
        }
    }

    /// The key of the store in `dir` if it has one; makes none.
    ///
    /// # Errors
    /// As [`StoreKey::of`].
    pub fn existing(dir: &Path) -> Result<Option<StoreKey>, Error> {
        let file = dir.join(FILE);
        Ok(read(&file)?.map(|secret| StoreKey::derived(&secret, Some(file))))
    }

    /// A key that nobody else has and that ends with the process: for a rehearsal without a store.
    pub fn ephemeral() -> StoreKey {
        StoreKey::derived(&random(), None)
    }

    fn derived(secret: &[u8; SECRET_BYTES], file: Option<PathBuf>) -> StoreKey {
        let master = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret);
        let of = |purpose: &str| -> [u8; 32] {
            let mut derived = [0; 32];
            master
                .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
                .and_then(|key| key.fill(&mut derived))
                .expect("HKDF gives as many bytes as its hash has");
            derived
        };
        let sealing = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &of("seal")).expect("the cipher takes 32 bytes");
        StoreKey(Arc::new(Keys {
            file,
            signing: Ed25519KeyPair::from_seed_unchecked(&of("sign")).expect("any 32 bytes are a seed of Ed25519"),
            sealing: aead::LessSafeKey::new(sealing),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, &of("nonce")),
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, &of("fingerprint")),
        }))
    }

    /// `plain` so that only this store can open it again, and only for `context` (a run, a purpose), which is not in
    /// the result. 29 bytes longer than `plain`.
    ///
    /// The same plain text in the same context gives the same bytes: an attempt that is recorded again names the
    /// same blob, and there is no counter to lose. That two values are equal shows; their fingerprints show it anyway.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut mac = hmac::Context::with_key(&self.0.nonces);
        mac.update(&(context.len() as u64).to_be_bytes());
        mac.update(context);
        mac.update(plain);
        let mut nonce = [0; aead::NONCE_LEN];
        nonce.copy_from_slice(&mac.sign().as_ref()[..aead::NONCE_LEN]);
        let mut text = plain.to_vec();
        let unique = aead::Nonce::assume_unique_for_key(nonce);
        let whole = self.0.sealing.seal_in_place_append_tag(unique, aead::Aad::from(context), &mut text);
        whole.expect("the cipher takes 256 GiB at once, and no value is as long");
        let mut sealed = Vec::with_capacity(SEALED_HEAD + text.len());
        sealed.push(SEALED_FORM);
        sealed.extend(nonce);
        sealed.extend(text);
        sealed
    }

    /// What was sealed for `context`.
    ///
    /// # Errors
    /// [`Error::Unsealed`] if it was sealed by another store, for another context, or changed since;
    /// [`Error::TooNew`].
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let refused = || Error::Unsealed { key: self.public() };
        let (&form, rest) = sealed.split_first().ok_or_else(refused)?;
        if form != SEALED_FORM {
            let what = "sealed value".to_owned();
            return Err(Error::TooNew { what, found: form.into(), known: SEALED_FORM.into() });
        }
        let (nonce, text) = rest.split_at_checked(aead::NONCE_LEN).ok_or_else(refused)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| refused())?;
        let mut text = text.to_vec();
        let opened = self.0.sealing.open_in_place(nonce, aead::Aad::from(context), &mut text);
        Ok(opened.map_err(|_| refused())?.to_vec())
    }

    /// Tells values apart without showing them. Two stores give two fingerprints, and without the key nobody can try
    /// out which value has this one.
    pub fn fingerprint(&self, plain: &[u8]) -> Fingerprint {
        let mut short = [0; 8];
        short.copy_from_slice(&hmac::sign(&self.0.fingerprints, plain).as_ref()[..8]);
        Fingerprint(short)
    }

    /// Signs `bytes`; the caller begins them with what they are, so that no signature passes for another kind.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.signing.sign(bytes).as_ref());
        Signature(signature)
    }

    /// The key that checks the signatures of this one, for everybody to know.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.0.signing.public_key().as_ref());
        PublicKey(public)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKey").field("file", &self.0.file).field("public", &self.public()).finish_non_exhaustive()
    }
}

/// 64 bits that stand for a value: 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// The first 8 digits: what people are shown.
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

/// The public half of a store's key: `rerail-ed25519:` and 43 letters of Base64 (URL).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    const PREFIX: &str = "rerail-ed25519:";

    /// Whether the store with this key signed exactly these bytes.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, &signature.0).is_ok()
    }
}

/// An Ed25519 signature: 86 letters of Base64 (URL).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Signature([u8; 64]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", PublicKey::PREFIX, URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a fingerprint of 16 hex digits");
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten().ok_or_else(wrong)?;
        Ok(Fingerprint(number.to_be_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix(PublicKey::PREFIX).and_then(decoded);
        bytes.map(PublicKey).ok_or_else(|| {
            format!("`{text}` is not a public key: expected `{}` and 43 letters of Base64 (URL)", PublicKey::PREFIX)
        })
    }
}

impl FromStr for Signature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a signature of 86 letters of Base64 (URL)");
        decoded(text).map(Signature).ok_or_else(wrong)
    }
}

/// Exactly `N` bytes, in the one form that writes them.
fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Text both ways, for serde and for debugging: none of these holds a secret.
macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}

as_text!(Fingerprint, PublicKey, Signature);

fn random() -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).expect("the system gives random bytes: without them no run has an id either");
    secret
}

/// The secret in `file`; `None` if there is no file.
fn read(file: &Path) -> Result<Option<[u8; SECRET_BYTES]>, Error> {
    let refused = |why: String| Error::Key { file: file.to_owned(), why };
    let found = match file.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::os("reading", file, error)),
    };
    // Before it is opened: a pipe in its place would wait for ever.
    if !found.is_file() {
        return Err(refused("is not a regular file: put it back from a backup".to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(refused(format!(
            "can be read by others (mode {:04o}, expected 0600): run `chmod 600 {}`, and ask who may have a copy",
            found.mode() & 0o7777,
            file.display()
        )));
    }
    let mut text = Vec::new();
    let opened = File::open(file).map_err(|e| Error::os("opening", file, e))?;
    opened.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(|e| Error::os("reading", file, e))?;
    let secret = std::str::from_utf8(&text).ok().and_then(secret_in);
    // Says nothing of what stands there: most of it may still be the key.
    secret.map(Some).ok_or_else(|| {
        refused(format!(
            "is damaged ({} bytes): put it back from a backup; if there is none, move it away and a new one is made, which opens nothing that is sealed and fits no signature so far",
            found.len()
        ))
    })
}

fn secret_in(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let line = text.lines().find(|line| !line.starts_with('#'))?;
    let bytes: [u8; SECRET_BYTES + CHECK_BYTES] = decoded(line.strip_prefix(FORM)?.strip_prefix(' ')?.trim_end())?;
    let (secret, check) = bytes.split_at(SECRET_BYTES);
    (Sha256::digest(secret)[..CHECK_BYTES] == *check).then_some(())?;
    secret.try_into().ok()
}

/// Puts `secret` into `file`, whole or not at all, unless there is one already. Durable once the directory is flushed.
fn create(dir: &Path, file: &Path, secret: &[u8; SECRET_BYTES]) -> Result<(), Error> {
    let mut bytes = secret.to_vec();
    bytes.extend(&Sha256::digest(secret)[..CHECK_BYTES]);
    let text = format!("{ABOUT}\n{FORM} {}\n", URL_SAFE_NO_PAD.encode(bytes));
    let written = || -> io::Result<_> {
        let mut draft = tempfile::Builder::new().prefix(".store.key.").tempfile_in(dir)?;
        // Whatever the umask.
        draft.as_file().set_permissions(PermissionsExt::from_mode(0o600))?;
        draft.write_all(text.as_bytes())?;
        draft.as_file().sync_all()?;
        Ok(draft)
    };
    let draft = written().map_err(|e| Error::os("writing", file, e))?;
    match draft.persist_noclobber(file) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::os("creating", file, error.error)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
