//! Where a step may connect to: rules about host names and about the addresses behind them.
//!
//! Names are checked before anything is resolved, addresses when they are about to be connected to, so
//! that neither a spelling nor a name server can lead around the rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

use crate::engine::outcome::{Failure, FailureKind};
use crate::runbook::egress::{DrivenBy, Egress as Rule, Network};

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
    /// Who refuses addresses that are not public, and what they let through: all of these have to.
    refusals: Vec<(By, Vec<Network>)>,
}

/// Who refuses an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The server that drives, because nobody has written anything.
    Server,
    Project,
    Target,
}

impl Egress {
    /// Narrowed to `allow_hosts`, unless that is empty.
    pub(super) fn new(allow_hosts: Vec<String>) -> Egress {
        Egress { allow_hosts, refusals: Vec::new() }
    }

    /// The same under what project and target say for runs that are driven so.
    pub(super) fn under(self, project: &Rule, target: Option<&Rule>, driven_by: DrivenBy) -> Egress {
        let unsaid = project.deny_private.is_none();
        let rules = [(if unsaid { By::Server } else { By::Project }, Some(project)), (By::Target, target)];
        let refusals = rules.into_iter().filter_map(|(by, rule)| Some((by, rule?)));
        let refusals = refusals.filter(|(_, rule)| rule.refuses_private(driven_by));
        Egress { refusals: refusals.map(|(by, rule)| (by, rule.allow.clone())).collect(), ..self }
    }

    /// Checks an address that `host` stands for. Asked of the address that is connected to, each time anew.
    pub(super) fn check_address(&self, address: IpAddr, host: &str) -> Result<(), Failure> {
        let shown = address.to_string();
        let subject = if shown == host { shown } else { format!("{host} leads to {shown}, which") };
        if let Some(what) = forbidden(address) {
            return Err(policy(format!("{subject} is {what}, never connected to")));
        }
        let refuses = |allow: &[Network]| !allow.iter().any(|network| network.has(address));
        let by = self.refusals.iter().find(|(_, allow)| refuses(allow)).map(|(by, _)| by);
        let Some(by) = by.filter(|_| !is_public(address)) else { return Ok(()) };
        // As it would be written down: what stands for an address of IPv4 is listed as that.
        let listed = address.to_canonical();
        let why = match by {
            By::Server => format!(
                "and runs of a server connect to no other; if this one is meant, list it in rerail.yaml: \
                 `egress: {{ allow: [\"{listed}\"] }}`"
            ),
            By::Project => {
                format!("and `egress` in rerail.yaml refuses these; if this one is meant, list {listed} in its `allow`")
            }
            By::Target => {
                format!(
                    "and `policy.egress` of the target refuses these; if this one is meant, list {listed} in its `allow`"
                )
            }
        };
        Err(policy(format!("{subject} is not a public address, {why}")))
    }

    /// Checks a host before it is resolved.
    pub(super) fn check_host(&self, host: &Host) -> Result<(), Failure> {
        let shown = host_text(host);
        if !self.allow_hosts.is_empty() && !self.allow_hosts.iter().any(|pattern| host_matches(pattern, &shown)) {
            let allowed = self.allow_hosts.join(", ");
            return Err(policy(format!("{shown} is not among the hosts of this target (allow_hosts: {allowed})")));
        }
        match host {
            Host::Ipv4(address) => self.check_address(IpAddr::V4(*address), &shown),
            Host::Ipv6(address) => self.check_address(IpAddr::V6(*address), &shown),
            Host::Domain(_) => Ok(()),
        }
    }
}

/// Whether an address is one of the whole internet: everything that no registry has set apart. What leads to an address of
/// IPv4 counts as that one.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let set_apart = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                // Behind the translators of providers; between networks that are measured; protocols of their own.
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a, b, c) == (192, 0, 0)
                || (a, b, c) == (192, 88, 99);
            !set_apart
        }
        IpAddr::V6(v6) => match (embedded(v6), v6.segments()) {
            // For use inside of one network.
            (_, [0x64, 0xff9b, 1, ..]) => false,
            (Some(v4), _) => is_public(IpAddr::V4(v4)),
            // Tunnels through others, and examples.
            (None, [0x2001, 0 | 0xdb8, ..] | [0x3fff, ..]) => false,
            (None, [first, ..]) => (0x2000..0x4000).contains(&first),
        },
    }
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

    fn rule(deny_private: Option<bool>, allow: &[&str]) -> Rule {
        Rule { deny_private, allow: allow.iter().map(|network| network.parse().unwrap()).collect() }
    }

    #[test]
    fn a_server_refuses_what_a_terminal_connects_to_until_the_project_lists_it_or_lets_all_through() {
        let refused = |project: &Rule, target: Option<&Rule>, by: DrivenBy, host: &str| {
            let egress = Egress::default().under(project, target, by);
            egress.check_host(&read_host(host).unwrap()).err().map(|failure| failure.message)
        };
        let (unsaid, listed) = (rule(None, &[]), rule(None, &["10.1.0.0/16"]));
        assert_eq!(refused(&unsaid, None, DrivenBy::Terminal, "10.1.2.3"), None);
        assert_eq!(refused(&unsaid, None, DrivenBy::Server, "8.8.8.8"), None);
        assert_eq!(refused(&listed, None, DrivenBy::Server, "10.1.2.3"), None);
        assert_eq!(refused(&rule(Some(false), &[]), None, DrivenBy::Server, "10.1.2.3"), None);
        for project in [&unsaid, &listed] {
            let said = refused(project, None, DrivenBy::Server, "[::ffff:10.2.0.1]").unwrap();
            assert!(
                said.contains("runs of a server") && said.contains("`egress: { allow: [\"10.2.0.1\"] }`"),
                "{said}"
            );
        }
        // A target that says as much narrows what a server may; it opens nothing.
        let said = refused(&listed, Some(&unsaid), DrivenBy::Server, "10.1.2.3").unwrap();
        assert!(said.contains("`policy.egress` of the target"), "{said}");
        assert!(refused(&unsaid, Some(&listed), DrivenBy::Server, "10.1.2.3").is_some());
        assert!(refused(&unsaid, Some(&rule(Some(false), &[])), DrivenBy::Server, "10.1.2.3").is_some());
        assert_eq!(refused(&listed, Some(&unsaid), DrivenBy::Terminal, "10.1.2.3"), None);
        let said = refused(&rule(Some(true), &[]), None, DrivenBy::Server, "::1").unwrap();
        assert!(said.contains("`egress` in rerail.yaml") && said.contains("list ::1"), "{said}");
        let said = refused(&rule(Some(false), &[]), None, DrivenBy::Server, "169.254.169.254").unwrap();
        assert!(said.contains("never connected to"), "{said}");
    }

    #[test]
    fn where_private_addresses_are_refused_no_spelling_of_one_passes_but_what_is_allowed() {
        let rule = |allow: &[&str]| rule(Some(true), allow);
        let closed = Egress::default().under(&rule(&[]), None, DrivenBy::Terminal);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
            "[::1]",
            "::",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "10.0.0.8",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[2001::1]",
            "[100::1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::8.8.8.8]",
            "[2002:0a00:0001::1]",
            "[::ffff:0:10.0.0.1]",
            "１２７.0.0.1",
        ] {
            let refused = closed.check_host(&read_host(host).unwrap()).unwrap_err();
            assert!(refused.kind == FailureKind::Policy && refused.message.contains("not a public address"), "{host}");
            assert!(Egress::default().check_host(&read_host(host).unwrap()).is_ok(), "{host}: open unless asked for");
        }
        for host in
            ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "[2606:4700::1]", "[64:ff9b::8.8.8.8]"]
        {
            assert!(closed.check_host(&read_host(host).unwrap()).is_ok(), "{host}");
        }
        let some = rule(&["10.1.0.0/16", "127.0.0.1"]);
        let alone = Egress::default().under(&some, None, DrivenBy::Terminal);
        for (host, passes) in [
            ("10.1.2.3", true),
            ("[::ffff:10.1.2.3]", true),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.2.0.1", false),
        ] {
            assert_eq!(alone.check_host(&read_host(host).unwrap()).is_ok(), passes, "{host}");
        }
        // What the project refuses the target can't let through, and the other way round.
        let both = Egress::default().under(&some, Some(&rule(&["10.0.0.0/8"])), DrivenBy::Terminal);
        for (host, passes) in [("10.1.2.3", true), ("10.2.0.1", false), ("127.0.0.1", false)] {
            assert_eq!(both.check_host(&read_host(host).unwrap()).is_ok(), passes, "{host}");
        }
        // Never, whatever is allowed; and a rule that is off is none.
        let open = Egress::default().under(&rule(&["0.0.0.0/0", "::/0"]), None, DrivenBy::Server);
        assert!(open.check_host(&read_host("169.254.169.254").unwrap()).is_err());
        assert!(open.check_host(&read_host("10.0.0.1").unwrap()).is_ok());
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
