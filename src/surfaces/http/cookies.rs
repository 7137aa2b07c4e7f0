//! The cookie of a session: its name says under which promises a browser keeps it.

use axum::http::{HeaderMap, header};

use crate::surfaces::http::problem::Problem;
use crate::surfaces::web::sessions;

/// Behind TLS: a browser takes it from there alone, for this host alone, and no other host can plant it.
const SECURE: &str = "__Host-rerail";
/// Without TLS, on this machine: `__Host-` names can't be had there.
const LOCAL: &str = "rerail-local";
/// Bytes of a secret that could be one of ours.
const SECRET_BYTES_MAX: usize = 128;

fn name(declared: bool) -> &'static str {
    if declared { SECURE } else { LOCAL }
}

/// The secret that a browser sends along; the other name counts for nothing.
///
/// # Errors
/// 400 if it is there twice: one of them was planted.
pub fn read(headers: &HeaderMap, declared: bool) -> Result<Option<String>, Problem> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().unwrap_or_default().split(';') {
            let Some((known, value)) = pair.trim().split_once('=') else { continue };
            if known != name(declared) {
                continue;
            }
            if found.replace(value.to_owned()).is_some() {
                return Err(Problem::new(400, format!("the cookie `{known}` is there twice")));
            }
        }
    }
    let fits = |secret: &String| {
        (1..=SECRET_BYTES_MAX).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic())
    };
    Ok(found.filter(fits))
}

/// Keeps a secret for as long as a session lasts.
pub fn set(secret: &str, declared: bool) -> String {
    let lasts = sessions::LASTS.as_secs();
    format!("{}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts}{}", name(declared), secure(declared))
}

/// Forgets it.
pub fn clear(declared: bool) -> String {
    format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{}", name(declared), secure(declared))
}

fn secure(declared: bool) -> &'static str {
    if declared { "; Secure" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(texts: &[&str], declared: bool) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(header::COOKIE, text.parse().unwrap());
        }
        read(&headers, declared)
    }

    #[test]
    fn only_the_cookie_of_its_own_kind_of_host_counts_and_only_once() {
        assert_eq!(sent(&["a=b; rerail-local=x; c=d"], false).unwrap().as_deref(), Some("x"));
        assert_eq!(sent(&["__Host-rerail=y; rerail-local=x"], true).unwrap().as_deref(), Some("y"));
        assert_eq!(sent(&["rerail-local=x"], true).unwrap(), None, "planted where TLS is");
        assert_eq!(sent(&["__Host-rerail=y"], false).unwrap(), None);
        assert!(sent(&["rerail-local=x; rerail-local=y"], false).is_err());
        assert!(sent(&["rerail-local=x", "rerail-local=y"], false).is_err());
        let long = format!("rerail-local={}", "x".repeat(SECRET_BYTES_MAX + 1));
        for nothing in ["", "rerail-local", "rerail-local=", "rerail-local=a b", &long] {
            assert_eq!(sent(&[nothing], false).unwrap(), None, "{nothing}");
        }
    }

    #[test]
    fn behind_tls_it_keeps_every_promise_of_its_name() {
        let kept = set("s", true);
        for word in ["__Host-rerail=s;", "Path=/;", "HttpOnly;", "SameSite=Strict;", "Max-Age=43200;", "Secure"] {
            assert!(kept.contains(word), "{kept}");
        }
        assert!(!kept.contains("Domain"));
        let local = set("s", false);
        assert!(local.contains("HttpOnly; SameSite=Strict") && !local.contains("Secure") && !local.contains("__Host-"));
        assert!(clear(true).contains("Max-Age=0") && clear(true).contains("Secure"));
    }
}
