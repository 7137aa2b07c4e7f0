//! The keyring of a build that has one: Linux's, by system calls.

use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};

/// Bytes of a key of type `user`: the kernel's own limit.
const KEY_BYTES_MAX: usize = 32_767;
/// ENOSYS: a kernel without keyrings, or something that plays a kernel.
const NO_SUCH_CALL: i32 = 38;

/// The value of a key as it is now.
///
/// # Errors
/// If there is no such key, it has ended, or the system lets nobody ask.
pub fn read(key: &str) -> Result<Vec<u8>, String> {
    let found = user_keys().and_then(|keys| keys.search(key)).map_err(fault)?;
    let mut value = vec![0; KEY_BYTES_MAX];
    // The kernel gives the length of the whole, however much of it fits.
    let bytes = found.read(&mut value).map_err(fault)?;
    if bytes > value.len() {
        return Err(format!("which has {bytes} bytes; at most {KEY_BYTES_MAX} are read"));
    }
    value.truncate(bytes);
    Ok(value)
}

/// Whether there is such a key.
///
/// # Errors
/// If the system lets nobody ask.
pub fn holds(key: &str) -> Result<bool, String> {
    match user_keys().and_then(|keys| keys.search(key)) {
        Ok(_) => Ok(true),
        Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(false),
        Err(error) => Err(fault(error)),
    }
}

/// Gives a key this value, whole or not at all. It is there until it is taken out or the machine is started again.
///
/// # Errors
/// If the value is too long for a key, or the system or the user's quota doesn't let it in. Nothing has changed then.
pub fn replace(key: &str, value: &[u8]) -> Result<(), String> {
    if value.len() > KEY_BYTES_MAX {
        return Err(format!("which holds at most {KEY_BYTES_MAX} bytes, got {}", value.len()));
    }
    user_keys()
        .and_then(|_| KeyRing::from_special_id(KeyRingIdentifier::User, true))
        .and_then(|keys| keys.add_key(key, value))
        .map(drop)
        .map_err(fault)
}

/// The user's keys, where this thread may read them. The session's keyring leads there after most logins and in few
/// services; so we hang them into our own, which neither commands we start nor other threads get.
fn user_keys() -> Result<KeyRing, KeyError> {
    let own = KeyRing::from_special_id(KeyRingIdentifier::Thread, true)?;
    own.link_keyring_id(KeyRingIdentifier::User)?;
    Ok(own)
}

fn fault(error: KeyError) -> String {
    match error {
        KeyError::KeyDoesNotExist => {
            "which is not there: `rerail secrets set` puts it in, again after each start of the machine".to_owned()
        }
        KeyError::KeyExpired => "which has expired: `rerail secrets set` puts it in again".to_owned(),
        KeyError::KeyRevoked | KeyError::KeyRejected => {
            "which was revoked: `rerail secrets set` puts it in again".to_owned()
        }
        KeyError::AccessDenied => "which this user may not use".to_owned(),
        KeyError::QuotaExceeded => "which doesn't fit into the user's quota of keys: see /proc/key-users".to_owned(),
        KeyError::PermissionDenied | KeyError::OperationNotSupported | KeyError::Unknown(NO_SUCH_CALL) => {
            "and this system lets no program use it, as containers often do: use `from: file`, `from: systemd` or \
             `from: command`"
                .to_owned()
        }
        other => format!("and the kernel says {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that is taken out again whatever becomes of the test.
    struct Probe(String);

    impl Probe {
        /// `None` where the system forbids keyrings, which is said: many containers do, and nothing can be started
        /// that changes it.
        fn new(name: &str) -> Option<Probe> {
            match user_keys() {
                Ok(_) => Some(Probe(format!("rerail-test-{name}-{}", std::process::id()))),
                Err(error) => {
                    eprintln!("NOT TESTED: no kernel keyring here ({error})");
                    None
                }
            }
        }

        fn key(&self) -> linux_keyutils::Key {
            user_keys().and_then(|keys| keys.search(&self.0)).unwrap()
        }
    }

    impl Drop for Probe {
        fn drop(&mut self) {
            if let Ok(key) = user_keys().and_then(|keys| keys.search(&self.0)) {
                key.invalidate().ok();
            }
        }
    }

    #[test]
    fn a_key_is_written_replaced_and_read_by_any_thread() {
        let Some(probe) = Probe::new("replaced") else { return };
        assert_eq!(holds(&probe.0), Ok(false));
        let missing = read(&probe.0).unwrap_err();
        assert!(missing.contains("not there") && missing.contains("rerail secrets set"), "{missing}");
        for value in ["tok-fake-one-example", "tok-fake-two-example"] {
            replace(&probe.0, value.as_bytes()).unwrap();
            let name = probe.0.clone();
            // A thread that has never asked, as those that steps run on.
            let read = std::thread::spawn(move || read(&name)).join().unwrap();
            assert_eq!(read, Ok(value.as_bytes().to_vec()));
            assert_eq!(holds(&probe.0), Ok(true));
        }
    }

    #[test]
    fn a_key_holds_what_the_kernel_takes_and_no_byte_more() {
        let Some(probe) = Probe::new("long") else { return };
        // Root's quota is large; others have 20000 bytes, and that is told as such.
        match replace(&probe.0, &vec![b'k'; KEY_BYTES_MAX]) {
            Ok(()) => assert_eq!(read(&probe.0).map(|value| value.len()), Ok(KEY_BYTES_MAX)),
            Err(fault) => assert!(fault.contains("quota"), "{fault}"),
        }
        let fault = replace(&probe.0, &vec![b'k'; KEY_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(fault, "which holds at most 32767 bytes, got 32768");
        // What the kernel refuses by itself.
        assert!(replace(&probe.0, b"").unwrap_err().contains("the kernel says"));
    }

    #[test]
    fn a_key_that_was_revoked_is_told_and_can_be_put_in_again() {
        let Some(probe) = Probe::new("revoked") else { return };
        replace(&probe.0, b"tok-fake-old-example").unwrap();
        probe.key().revoke().unwrap();
        let fault = read(&probe.0).unwrap_err();
        assert!(fault.contains("revoked") || fault.contains("not there"), "{fault}");
        assert_eq!(holds(&probe.0), Ok(false));
        replace(&probe.0, b"tok-fake-new-example").unwrap();
        assert_eq!(read(&probe.0), Ok(b"tok-fake-new-example".to_vec()));
    }

    #[test]
    fn each_refusal_of_the_system_names_a_way_out() {
        for error in [KeyError::PermissionDenied, KeyError::OperationNotSupported, KeyError::Unknown(NO_SUCH_CALL)] {
            assert!(fault(error).contains("from: file"), "{error}");
        }
    }
}
