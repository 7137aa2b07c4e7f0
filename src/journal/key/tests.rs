use std::fs::{self, Permissions};
use std::sync::Barrier;

use super::*;
use crate::journal::testkit::store;

fn key() -> (tempfile::TempDir, StoreKey) {
    let dir = tempfile::tempdir().unwrap();
    let key = StoreKey::of(dir.path()).unwrap();
    (dir, key)
}

/// The secret as it stands in the file.
fn secret_text(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join(FILE)).unwrap();
    text.split_whitespace().next_back().unwrap().to_owned()
}

#[test]
fn whoever_is_first_all_get_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let together = Barrier::new(8);
    let keys: Vec<PublicKey> = std::thread::scope(|scope| {
        let one = || {
            together.wait();
            StoreKey::of(dir.path()).unwrap().public()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(StoreKey::of(dir.path()).unwrap().public(), keys[0], "and it stays");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [FILE], "no draft is left behind");
}

#[test]
fn a_store_has_its_key_from_the_beginning_and_it_is_private() {
    let (_base, store) = store();
    let file = store.dir().join(FILE);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(store.key().unwrap().public(), StoreKey::of(store.dir()).unwrap().public());
    assert!(fs::read_to_string(file).unwrap().starts_with("# The key of this rerail store."));
}

#[test]
fn looking_makes_no_key() {
    let dir = tempfile::tempdir().unwrap();
    assert!(StoreKey::existing(dir.path()).unwrap().is_none());
    assert!(!dir.path().join(FILE).exists());
    let made = StoreKey::of(dir.path()).unwrap();
    assert_eq!(StoreKey::existing(dir.path()).unwrap().unwrap().public(), made.public());
}

#[test]
fn a_key_others_can_read_is_refused_with_the_cure() {
    let (dir, _) = key();
    let file = dir.path().join(FILE);
    for mode in [0o644, 0o640, 0o604, 0o620, 0o777] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let error = StoreKey::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{mode:04o}")) && error.contains("chmod 600"), "{error}");
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        StoreKey::of(dir.path()).unwrap();
    }
}

#[test]
fn a_damaged_key_is_named_and_never_replaced_or_shown() {
    let (dir, _) = key();
    let file = dir.path().join(FILE);
    let good = fs::read(&file).unwrap();
    let secret = secret_text(dir.path());
    let first = good.len() - secret.len() - 1;
    let mut cases: Vec<Vec<u8>> = vec![Vec::new(), b"# only this\n".to_vec(), vec![0xff; 200], vec![b'A'; 100_000]];
    cases.push(good[..good.len() - 2].to_vec());
    for at in first..good.len() - 1 {
        let mut changed = good.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        cases.push(changed);
    }
    for bytes in cases {
        fs::write(&file, &bytes).unwrap();
        let error = StoreKey::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()) && error.contains("backup"), "{error}");
        assert!(!error.contains(&secret[4..12]), "{error}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "it is left as it was found");
    }
    fs::write(&file, good).unwrap();
    StoreKey::of(dir.path()).unwrap();
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    for make in [
        |file: &Path| fs::create_dir(file).unwrap(),
        |file: &Path| std::os::unix::fs::symlink("/dev/zero", file).unwrap(),
        |file: &Path| assert!(std::process::Command::new("mkfifo").arg(file).status().unwrap().success()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join(FILE));
        let error = StoreKey::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}

#[test]
fn no_text_of_a_key_holds_its_secret() {
    let (dir, key) = key();
    let secret = secret_text(dir.path());
    let shown = format!("{key:?} {:?} {:#?}", key.public(), key.clone());
    assert!(!shown.contains(&secret[..8]), "{shown}");
    assert!(shown.contains("store.key") && shown.contains("rerail-ed25519:"), "{shown}");
    let bytes = URL_SAFE_NO_PAD.decode(&secret).unwrap();
    assert!(!shown.contains(&hex(&bytes[..4])), "{shown}");
}

#[test]
fn what_is_sealed_opens_in_its_context_only_and_unchanged_only() {
    let (dir, key) = key();
    let other = StoreKey::ephemeral();
    for plain in [&b""[..], b"example-value", &[7; 100_000]] {
        let sealed = key.seal(b"run 1 sealed", plain);
        assert_eq!(sealed.len(), plain.len() + 29);
        assert_eq!(key.open(b"run 1 sealed", &sealed).unwrap(), plain);
        assert_eq!(sealed, StoreKey::of(dir.path()).unwrap().seal(b"run 1 sealed", plain), "the same blob again");
        for context in [&b"run 2 sealed"[..], b"", b"run 1 sealed "] {
            assert!(matches!(key.open(context, &sealed), Err(Error::Unsealed { .. })));
        }
        assert!(matches!(other.open(b"run 1 sealed", &sealed), Err(Error::Unsealed { .. })));
    }
    let sealed = key.seal(b"c", b"example-value");
    assert!(!sealed.windows(7).any(|window| window == b"example"));
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(key.open(b"c", &changed).is_err(), "bit {bit} of byte {at}");
        }
    }
    for cut in 0..sealed.len() {
        assert!(key.open(b"c", &sealed[..cut]).is_err(), "cut at {cut}");
    }
    let error = other.open(b"c", &sealed).unwrap_err().to_string();
    assert!(error.contains("another store"), "{error}");
}

#[test]
fn neither_context_nor_text_can_lend_the_other_a_byte() {
    let key = StoreKey::ephemeral();
    let nonce = |context: &[u8], plain: &[u8]| key.seal(context, plain)[1..SEALED_HEAD].to_vec();
    assert_ne!(nonce(b"ab", b"c"), nonce(b"a", b"bc"));
    assert_ne!(nonce(b"a", b"x"), nonce(b"b", b"x"), "no nonce serves two texts");
}

#[test]
fn a_newer_form_of_sealing_is_named() {
    let key = StoreKey::ephemeral();
    let mut sealed = key.seal(b"c", b"example-value");
    sealed[0] = 9;
    assert!(matches!(key.open(b"c", &sealed), Err(Error::TooNew { found: 9, known: 1, .. })));
}

#[test]
fn a_fingerprint_tells_values_apart_and_differs_between_stores() {
    let (dir, key) = key();
    let one = key.fingerprint(b"example-value");
    assert_eq!(one, StoreKey::of(dir.path()).unwrap().fingerprint(b"example-value"));
    assert_ne!(one, key.fingerprint(b"example-valu"));
    assert_ne!(one, StoreKey::ephemeral().fingerprint(b"example-value"));
    let text = one.to_string();
    assert!(text.len() == 16 && text.starts_with(&one.short()) && one.short().len() == 8, "{text}");
    assert_eq!(text.parse(), Ok(one));
    for wrong in ["", "9c1f41aa", "9c1f41aa9c1f41aaa", "9C1F41AA9C1F41AA", "+c1f41aa9c1f41aa", "9c1f41aa9c1f41aä"] {
        assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
    }
}

#[test]
fn a_signature_holds_for_these_bytes_by_this_key_alone() {
    let (_dir, key) = key();
    let bytes = b"rerail-head run 1".to_vec();
    let signature = key.sign(&bytes);
    assert!(key.public().verify(&bytes, &signature));
    assert!(!StoreKey::ephemeral().public().verify(&bytes, &signature), "another key");
    for at in 0..bytes.len() {
        let mut edited = bytes.clone();
        edited[at] ^= 1;
        assert!(!key.public().verify(&edited, &signature), "byte {at}");
    }
    let (public, text) = (key.public().to_string(), signature.to_string());
    assert_eq!((public.parse(), text.parse()), (Ok(key.public()), Ok(signature)));
    for at in 0..text.len() {
        let mut edited = text.clone().into_bytes();
        edited[at] = if edited[at] == b'A' { b'Q' } else { b'A' };
        let edited = String::from_utf8(edited).unwrap().parse::<Signature>();
        assert!(edited.is_err() || !key.public().verify(&bytes, &edited.unwrap()), "letter {at}");
    }
}

#[test]
fn texts_that_are_no_key_and_no_signature_are_told() {
    for wrong in ["", "rerail-ed25519:", "rerail-ed25519:AAAA", "ed25519:x", "rerail-ed25519:ä"] {
        assert!(wrong.parse::<PublicKey>().unwrap_err().contains("public key"), "{wrong}");
    }
    for wrong in ["", "AAAA", &"A".repeat(85), &"A".repeat(87), &"=".repeat(86)] {
        assert!(wrong.parse::<Signature>().unwrap_err().contains("signature"), "{wrong}");
    }
    let json = serde_json::to_string(&StoreKey::ephemeral().public()).unwrap();
    assert!(serde_json::from_str::<PublicKey>(&json).is_ok());
    assert!(serde_json::from_str::<PublicKey>("\"rerail-ed25519:x\"").is_err());
}

#[test]
fn purposes_have_keys_of_their_own_and_derivation_stays_as_it_was() {
    // Of a fixed secret, as another implementation derived them: a change here would orphan every store.
    let key = StoreKey::derived(&[7; SECRET_BYTES], None);
    assert_eq!(key.public().to_string(), "rerail-ed25519:tbiAB81uqj6CxDW0CWOjZh7AaY19UkNlhcIv2eXLeLw");
    assert_eq!(key.fingerprint(b"example").to_string(), "950c839d83c46385");
    assert_eq!(
        hex(&key.seal(b"context", b"example")),
        "01aa2e1a90f830460b5966ea2aa25dcac8d988aa056c89107a85c2a1e1f1bc100c6e45f9"
    );
}
