//! Where a MongoDB is: a `mongodb://` or `mongodb+srv://` address taken apart. It may name several servers, which no
//! parser of URLs takes; its text is never shown, because a password stands in it.

use url::Host;

use crate::engine::outcome::Failure;
use crate::steps::args::invalid;
use crate::steps::egress::read_host;

/// The port MongoDB listens on.
const PORT: u16 = 27017;
/// Servers of an address: replica sets have at most 50 members.
const SERVERS_MAX: usize = 50;

/// An address taken apart. User and password are left out: nobody logs in.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::steps) struct Address {
    pub servers: Vec<(Host, u16)>,
    /// The one server is the name of a cluster, whose servers a name server knows.
    pub srv: bool,
    pub tls: bool,
}

/// Takes an address apart; gives its hosts as well, which must be allowed.
///
/// # Errors
/// What makes it unusable, without any of its text.
pub(in crate::steps) fn read(text: &str) -> Result<(Address, Vec<Host>), Failure> {
    let problem = |why: &str| invalid("url", why);
    let text = text.trim();
    let (srv, rest) = match (text.strip_prefix("mongodb+srv://"), text.strip_prefix("mongodb://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(problem("expected mongodb://HOST or mongodb+srv://HOST")),
    };
    let (authority, options) = match rest.find(['/', '?']) {
        Some(at) => (&rest[..at], rest[at..].split_once('?').map_or("", |(_, options)| options)),
        None => (rest, ""),
    };
    // A password has its `@` escaped; one that hasn't is the last one's.
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let mut servers = Vec::new();
    for server in hosts.split(',') {
        let at = server.rfind(':').filter(|at| !server[*at..].contains(']'));
        let (host, port) = match at {
            None => (server, PORT),
            Some(_) if srv => return Err(problem("has a port, and with +srv a name server says which")),
            Some(at) => match server[at + 1..].parse() {
                Ok(port @ 1..) => (&server[..at], port),
                _ => return Err(problem("has a port that is none, expected 1 to 65535")),
            },
        };
        if host.is_empty() {
            return Err(problem("names no host"));
        }
        servers.push((read_host(host).map_err(|_| problem("names a host that can't be one"))?, port));
    }
    if servers.len() > SERVERS_MAX {
        return Err(problem(&format!("names {} servers, at most {SERVERS_MAX} are asked", servers.len())));
    }
    if srv && (servers.len() != 1 || !matches!(servers[0].0, Host::Domain(_))) {
        return Err(problem("with +srv it names one host, by name"));
    }
    let hosts = servers.iter().map(|(host, _)| host.clone()).collect();
    Ok((Address { servers, srv, tls: tls(options).unwrap_or(srv) }, hosts))
}

/// What the options say of TLS.
fn tls(options: &str) -> Option<bool> {
    options.split(['&', ';']).rev().find_map(|option| match option.split_once('=')? {
        (name, value) if name.eq_ignore_ascii_case("tls") || name.eq_ignore_ascii_case("ssl") => {
            Some(value.eq_ignore_ascii_case("true"))
        }
        _ => None,
    })
}

/// Whether a server may be one of the cluster `name`: in the domain that is left of it without its first label.
pub(in crate::steps) fn is_beside(server: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let domain = name.split_once('.').map_or("", |(_, domain)| domain);
    let below = server.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    domain.contains('.') && below.is_some_and(|below| !below.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str, port: u16) -> (Host, u16) {
        (Host::Domain(name.to_owned()), port)
    }

    #[test]
    fn addresses_are_taken_apart() {
        let read = |text: &str| read(text).unwrap().0;
        let one = read("mongodb://db.example.com");
        assert_eq!(one, Address { servers: vec![domain("db.example.com", PORT)], srv: false, tls: false });
        let many = read("mongodb://us%40er:p%2Fw@a.example.com:27018,B.example.com/shop?replicaSet=rs0&tls=true");
        assert_eq!(many.servers, [domain("a.example.com", 27018), domain("b.example.com", PORT)]);
        assert!(many.tls && !many.srv);
        let cluster = read("mongodb+srv://user:pw@cluster0.abc12.example.net/?retryWrites=true");
        assert_eq!(
            cluster,
            Address { servers: vec![domain("cluster0.abc12.example.net", PORT)], srv: true, tls: true }
        );
        assert!(!read("mongodb+srv://cluster0.abc12.example.net?tls=false").tls);
        assert!(read("mongodb://db.example.com/?SSL=TRUE").tls);
        let six = read("mongodb://[::1]:27019,[::1]");
        assert_eq!(six.servers.iter().map(|(_, port)| *port).collect::<Vec<_>>(), [27019, PORT]);
        // The last `@` ends the login, however many a careless password has.
        assert_eq!(read("mongodb://u:p@x@db.example.com").servers, [domain("db.example.com", PORT)]);
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_text() {
        let many = format!("mongodb://{}", vec!["hunter2-example"; SERVERS_MAX + 1].join(","));
        for (text, why) in [
            ("https://hunter2.example.com", "expected mongodb://HOST"),
            ("hunter2", "expected mongodb://HOST"),
            ("mongodb://user:hunter2@", "names no host"),
            ("mongodb://hunter2,,x", "names no host"),
            ("mongodb://hunter2:0", "expected 1 to 65535"),
            ("mongodb://hunter2:70000", "expected 1 to 65535"),
            ("mongodb://hunter2 with spaces", "can't be one"),
            ("mongodb+srv://hunter2.example.com:27017", "a name server says which"),
            ("mongodb+srv://hunter2.example.com,b.example.com", "names one host"),
            ("mongodb+srv://192.0.2.7", "names one host"),
            (many.as_str(), "at most 50"),
        ] {
            let message = read(text).unwrap_err().message;
            assert!(message.contains(why) && !message.contains("hunter2"), "{text}: {message}");
        }
    }

    #[test]
    fn a_cluster_has_servers_in_its_own_domain_only() {
        assert!(is_beside("shard-00-00.abc12.example.net", "cluster0.abc12.example.net"));
        for other in ["abc12.example.net", "evil.example.com", "xabc12.example.net", ""] {
            assert!(!is_beside(other, "cluster0.abc12.example.net"), "{other}");
        }
        assert!(!is_beside("anything.net", "example.net"), "a whole top-level domain is nobody's own");
    }
}
