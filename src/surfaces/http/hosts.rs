//! Under which names the server may be called, so that no page in somebody's browser can reach it under a name of its
//! own, and no other page may call it at all.

use axum::http::{HeaderMap, header};

use crate::surfaces::http::problem::Problem;

/// Names that always mean this machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names of this server.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Without a port, in lower case.
    names: Vec<String>,
    /// What links to its pages begin with.
    url: Option<String>,
}

impl Hosts {
    /// Those of this machine, and others that were declared.
    pub fn new(declared: &[String]) -> Hosts {
        let local = LOCAL.iter().map(|name| (*name).to_owned());
        let names = local.chain(declared.iter().map(|name| name.to_ascii_lowercase())).collect();
        Hosts { names, url: None }
    }

    /// The same, called at this address.
    pub fn called(self, url: Option<String>) -> Hosts {
        Hosts { url, ..self }
    }

    /// What links to its pages begin with, if it can be reached by an address.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Refuses a request that was sent to another name, or by a page of another origin.
    ///
    /// # Errors
    /// 403, with what is wrong.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>();
        match text(header::HOST).as_slice() {
            [host] if self.knows(host) => {}
            [host] => {
                let said = format!("this server is not `{host}`");
                return Err(Problem::new(403, said).hint("names are declared where it is started: --host NAME"));
            }
            _ => return Err(Problem::new(403, "a request needs one `host` header")),
        }
        for origin in text(header::ORIGIN) {
            let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if !rest.is_some_and(|host| self.knows(host)) {
                return Err(Problem::new(403, format!("pages of `{origin}` may not call this server")));
            }
        }
        for site in text(header::HeaderName::from_static("sec-fetch-site")) {
            if site != "same-origin" && site != "none" {
                return Err(Problem::new(403, format!("a browser says that this request is `{site}`")));
            }
        }
        Ok(())
    }

    /// Whether a request was sent to a name that was declared, and not to one of this machine.
    pub fn is_declared(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let local = Hosts::new(&[]);
        self.knows(host) && !local.knows(host)
    }

    /// Whether `host`, with or without a port, is a name of this server. Only what is written exactly so is one.
    fn knows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let digits = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        let name = match host.rsplit_once(':') {
            Some((name, port)) if digits(port) => name,
            _ => &host,
        };
        self.names.iter().any(|known| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Hosts::new(&["Ops.example.com".to_owned()]).admit(&map).is_ok()
    }

    #[test]
    fn only_its_own_names_reach_it() {
        for host in ["localhost", "LOCALHOST:8420", "127.0.0.1:1", "[::1]:8420", "[::1]", "ops.example.com"] {
            assert!(admitted(&[("host", host)]), "{host}");
        }
        for host in [
            "evil.example.com",
            "localhost.",
            "0.0.0.0:80",
            "127.0.0.2",
            "localhost:80:80",
            "localhost:",
            "",
            "[::1",
            "a@localhost",
        ] {
            assert!(!admitted(&[("host", host)]), "{host}");
        }
        assert!(!admitted(&[]) && !admitted(&[("host", "localhost"), ("host", "localhost")]));
    }

    #[test]
    fn only_its_own_pages_may_call_it() {
        let with = |name, value| admitted(&[("host", "localhost"), (name, value)]);
        assert!(with("origin", "http://localhost:8420") && with("origin", "https://ops.example.com"));
        for origin in ["null", "https://evil.example.com", "http://localhost.evil.example.com", "file://localhost", ""]
        {
            assert!(!with("origin", origin), "{origin}");
        }
        assert!(with("sec-fetch-site", "same-origin") && with("sec-fetch-site", "none"));
        assert!(
            !with("sec-fetch-site", "cross-site")
                && !with("sec-fetch-site", "same-site")
                && !with("sec-fetch-site", "x")
        );
    }
}
