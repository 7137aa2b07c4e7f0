//! `egress` of a project and of a target's policy: whether steps may connect to addresses that are not public.
//!
//! Plain data: which address a name leads to, and whether it may be connected to, is asked in `steps/egress.rs` at the moment
//! of connecting. What a project refuses no target lets through.

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

/// What may be connected to beyond public addresses. By default everything that is not refused always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Whether addresses are refused that are not public.
    pub deny_private: bool,
    /// Those that are let through all the same.
    pub allow: Vec<Network>,
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
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// Why a text can't be a network; `None` if it can.
fn network_fault(text: &str) -> Option<String> {
    text.parse::<Network>().err()
}

/// Reads `egress`.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Egress {
    let Some(fields) = reader.fields(node, &EGRESS) else { return Egress::default() };
    let deny = reader.required(&fields, "deny_private").and_then(|node| reader.boolean(node, "`deny_private`"));
    let allow = fields.get("allow").map(|node| reader.names(node, "`allow`", network_fault)).unwrap_or_default();
    Egress {
        deny_private: deny.unwrap_or(false),
        allow: allow.into_iter().filter_map(|network| network.value.parse().ok()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
