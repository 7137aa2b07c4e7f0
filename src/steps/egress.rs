//! Where a step may connect to: rules about host names and about the addresses behind them.
//!
//! Names are checked before anything is resolved, addresses when they are about to be connected to, so
//! that neither a spelling nor a name server can lead around the rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

use crate::engine::outcome::{Failure, FailureKind};

/// Addresses of cloud metadata services outside the link-local range: they hand credentials of the
/// machine to whoever asks.
const METADATA: [IpAddr; 5] = [
    // Alibaba Cloud
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // Oracle Cloud, classic
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    // Azure wire server
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // AWS over IPv6
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    // Google Cloud over IPv6
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// What a target allows beyond the rules that always hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Egress {
    /// Host patterns; empty = every host.
    allow_hosts: Vec<String>,
}

impl Egress {
    /// Narrowed to `allow_hosts`, unless that is empty.
    pub(super) fn new(allow_hosts: Vec<String>) -> Egress {
        Egress { allow_hosts }
    }

    /// Checks a host before it is resolved.
    pub(super) fn check_host(&self, host: &Host) -> Result<(), Failure> {
        let shown = host_text(host);
        if !self.allow_hosts.is_empty() && !self.allow_hosts.iter().any(|pattern| host_matches(pattern, &shown)) {
            let allowed = self.allow_hosts.join(", ");
            return Err(policy(format!("{shown} is not among the hosts of this target (allow_hosts: {allowed})")));
        }
        match host {
            Host::Ipv4(address) => check_address(IpAddr::V4(*address), &shown),
            Host::Ipv6(address) => check_address(IpAddr::V6(*address), &shown),
            Host::Domain(_) => Ok(()),
        }
    }
}

/// Checks an address that `host` stands for.
pub(super) fn check_address(address: IpAddr, host: &str) -> Result<(), Failure> {
    let Some(what) = forbidden(address) else { return Ok(()) };
    let shown = address.to_string();
    let subject = if shown == host { shown } else { format!("{host} leads to {shown}, which") };
    Err(policy(format!("{subject} is {what}, never connected to")))
}

fn forbidden(address: IpAddr) -> Option<&'static str> {
    if METADATA.contains(&address) {
        return Some("a metadata address");
    }
    match address {
        IpAddr::V4(v4) => v4.is_link_local().then_some("a link-local address"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V6(v6) => embedded(v6).and_then(|v4| forbidden(IpAddr::V4(v4))),
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, translated (NAT64) or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let halves = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(halves(high, low)),
        [0x64, 0xff9b, .., high, low] => Some(halves(high, low)),
        [0x2002, high, low, ..] => Some(halves(high, low)),
        _ => None,
    }
}

/// Reads a host in any spelling: name, IPv4 in all its forms, IPv6 with or without brackets.
pub(super) fn read_host(text: &str) -> Result<Host, Failure> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Host::Ipv6(address));
    }
    Host::parse(text).map_err(|problem| {
        Failure::new(FailureKind::Argument, format!("expected a host name or an address, got {text:?}: {problem}"))
    })
}

/// A host as rules and messages write it: lower-case, no final dot, no brackets.
pub(super) fn host_text(host: &Host) -> String {
    match host {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

/// Whether `host` (as [`host_text`] writes it) fits `api.example.com` or, below it at any depth,
/// `*.example.com`.
pub(super) fn host_matches(pattern: &str, host: &str) -> bool {
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern).to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            host.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.')).is_some_and(|below| !below.is_empty())
        }
        None => pattern == host,
    }
}

fn policy(message: String) -> Failure {
    Failure::new(FailureKind::Policy, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_a_metadata_or_link_local_address_passes() {
        let egress = Egress::default();
        for host in [
            "169.254.169.254",
            "169.254.0.1",
            "2852039166",
            "0xa9fea9fe",
            "0xa9.254.169.254",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "169.254.169.254.",
            "１６９.２５４.１６９.２５４",
            "169。254。169。254",
            "[::ffff:169.254.169.254]",
            "::ffff:169.254.169.254",
            "[::ffff:a9fe:a9fe]",
            "[::a9fe:a9fe]",
            "[::ffff:0:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[2002:a9fe:a9fe::1]",
            "fe80::1",
            "[FE80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[fd00:0ec2:0:0:0:0:0:254]",
            "[fd20:ce::254]",
            "100.100.100.200",
            "[::ffff:100.100.100.200]",
            "1684301000",
            "192.0.0.192",
            "168.63.129.16",
        ] {
            let read = read_host(host).unwrap();
            let refused = egress.check_host(&read).unwrap_err();
            assert_eq!(refused.kind, FailureKind::Policy, "{host}: {}", refused.message);
        }
        for host in ["fe80::1%eth0", "[fe80::1%25eth0]", "a b", "", "1.2.3.4.5", "300.1.1.1"] {
            assert_eq!(read_host(host).unwrap_err().kind, FailureKind::Argument, "{host}");
        }
        for host in ["127.0.0.1", "::1", "10.0.0.8", "0", "localhost.", "example.com", "[2001:db8::1]", "2130706433"] {
            assert!(egress.check_host(&read_host(host).unwrap()).is_ok(), "{host}");
        }
    }

    #[test]
    fn allow_hosts_compares_whole_names() {
        let egress = Egress::new(vec!["api.example.com".into(), "*.Example.org.".into(), "10.0.0.8".into()]);
        for (host, allowed) in [
            ("api.example.com", true),
            ("API.EXAMPLE.COM.", true),
            ("a.b.example.org", true),
            ("10.0.0.8", true),
            ("0x0a.8", true),
            ("example.org", false),
            ("evilexample.org", false),
            ("api.example.com.evil.net", false),
            ("xapi.example.com", false),
            ("10.0.0.80", false),
        ] {
            assert_eq!(egress.check_host(&read_host(host).unwrap()).is_ok(), allowed, "{host}");
        }
    }
}
