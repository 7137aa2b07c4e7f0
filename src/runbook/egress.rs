//! `egress` of a project and of a target's policy: whether steps may connect to addresses that are not public.
//!
//! Plain data: which address a name leads to, and whether it may be connected to, is asked in `steps/egress.rs` at the moment
//! of connecting. What a project refuses no target lets through. What nobody has written depends on who drives the run: a
//! person at a terminal looks at private networks, a server that others can ask had better not be a way into them.

use std::fmt;
// Addresses as data: whoever connects to one is elsewhere.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::runbook::node::Node;
use crate::runbook::reader::{Keys, Reader};

pub(super) const EGRESS: Keys = Keys {
    what: "egress rule",
    known: &["deny_private", "allow"],
    later: &[],
    foreign: &[
        ("public_only", "write `deny_private: true`"),
        ("allow_hosts", "names of hosts stand in `allow_hosts` of a target; here stand addresses"),
    ],
};

/// What may be connected to beyond public addresses. By default whatever is not refused always, but nothing where a server
/// drives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Whether addresses are refused that are not public; if nobody says, servers refuse them and terminals don't.
    pub deny_private: Option<bool>,
    /// Those that are let through all the same.
    pub allow: Vec<Network>,
}

/// Who drives a run at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrivenBy {
    /// A process of the person who asked for it.
    #[default]
    Terminal,
    /// `rerail serve`, for whoever it lets in.
    Server,
}

impl Egress {
    /// Whether addresses that are not public are refused to runs driven so.
    pub fn refuses_private(&self, by: DrivenBy) -> bool {
        self.deny_private.unwrap_or(by == DrivenBy::Server)
    }

    /// What is connected to beyond nothing at all, for people: `public addresses and 10.1.0.0/16`.
    pub fn reaches(&self, by: DrivenBy) -> String {
        if !self.refuses_private(by) {
            return "any address".to_owned();
        }
        let allow: Vec<String> = self.allow.iter().map(ToString::to_string).collect();
        match allow.split_last() {
            None => "public addresses alone".to_owned(),
            Some((last, [])) => format!("public addresses and {last}"),
            Some((last, rest)) => format!("public addresses, {} and {last}", rest.join(", ")),
        }
    }
}

/// `10.1.0.0/16`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    /// Bits that are the same for all of it.
    bits: u8,
}

impl Network {
    /// Whether an address belongs to it; one of IPv4 inside IPv6 (`::ffff:…`) is that of IPv4.
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => head4(base, self.bits) == head4(address, self.bits),
            (IpAddr::V6(base), IpAddr::V6(address)) => head6(base, self.bits) == head6(address, self.bits),
            _ => false,
        }
    }
}

fn head4(address: Ipv4Addr, bits: u8) -> u32 {
    address.to_bits().checked_shr(32 - u32::from(bits)).unwrap_or(0)
}

fn head6(address: Ipv6Addr, bits: u8) -> u128 {
    address.to_bits().checked_shr(128 - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let (base, bits) = match text.split_once('/') {
            None => (text, None),
            Some((base, bits)) => (base, Some(bits)),
        };
        let fault = || "must be an address or a network, such as 10.1.2.3, 10.1.0.0/16 or fd12:3456::/32".to_owned();
        let base: IpAddr = base.parse().map_err(|_| fault())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(fault)?,
        };
        let network = Network { base, bits };
        let rest = match base {
            IpAddr::V4(base) => bits < 32 && base.to_bits() << bits != 0,
            IpAddr::V6(base) => bits < 128 && base.to_bits() << bits != 0,
        };
        match rest {
            true => Err(format!("has bits behind its first {bits}: a network begins where these end")),
            false => Ok(network),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.base.is_ipv4() { 32 } else { 128 };
        match self.bits == all {
            true => self.base.fmt(f),
            false => write!(f, "{}/{}", self.base, self.bits),
        }
    }
}

/// Why a text can't be a network; `None` if it can.
fn network_fault(text: &str) -> Option<String> {
    text.parse::<Network>().err()
}

/// Reads `egress`.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Egress {
    let Some(fields) = reader.fields(node, &EGRESS) else { return Egress::default() };
    let deny = fields.get("deny_private").and_then(|node| reader.boolean(node, "`deny_private`"));
    let allow = fields.get("allow").map(|node| reader.names(node, "`allow`", network_fault)).unwrap_or_default();
    Egress { deny_private: deny, allow: allow.into_iter().filter_map(|network| network.value.parse().ok()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_written_is_refused_in_servers_and_open_in_terminals() {
        let rule = |deny_private, allow: &[&str]| Egress {
            deny_private,
            allow: allow.iter().map(|network| network.parse().unwrap()).collect(),
        };
        for (rule, terminal, server) in [
            (rule(None, &[]), "any address", "public addresses alone"),
            (rule(None, &["10.1.0.0/16"]), "any address", "public addresses and 10.1.0.0/16"),
            (rule(Some(false), &["10.1.0.0/16"]), "any address", "any address"),
            (rule(Some(true), &[]), "public addresses alone", "public addresses alone"),
            (
                rule(Some(true), &["10.1.2.3", "::1/128", "fd12::/16"]),
                "public addresses, 10.1.2.3, ::1 and fd12::/16",
                "public addresses, 10.1.2.3, ::1 and fd12::/16",
            ),
        ] {
            assert_eq!(
                (rule.reaches(DrivenBy::Terminal).as_str(), rule.reaches(DrivenBy::Server).as_str()),
                (terminal, server)
            );
        }
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.3", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd12:3456::/32", "fd12:3456:ffff::1", "fd12:3457::1"),
            ("::/0", "ffff::", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.has(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.has(outside.parse().unwrap()), "{network} {outside}");
        }
        for wrong in [
            "",
            "10.1",
            "10.1.0.0/33",
            "10.1.0.0/-1",
            "10.1.0.1/16",
            "fd12::1/32",
            "db.example.com",
            "::/129",
            "10.0.0.0/",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
