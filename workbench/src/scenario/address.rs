//! Addresses as a scenario writes them: networks, hosts in a network, MACs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::error::{Problem, quoted};

/// An address with a prefix length: a network, or a host in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// How many leading bits name the network.
    pub len: u8,
}

/// The two families, as `4` and `6` in a name mean them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bits in an address.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl Prefix {
    /// One address alone.
    pub fn host(address: IpAddr) -> Self {
        Self { address, len: Family::of(address).bits() }
    }

    /// The network that the address is in.
    pub fn network(self) -> Self {
        Self { address: from_bits(self.family(), bits(self.address) & self.mask()), len: self.len }
    }

    /// Whether the network holds this address.
    pub fn contains(self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && bits(address) & self.mask() == bits(self.network().address)
    }

    /// Whether two networks have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network().address) || other.contains(self.network().address)
    }

    /// The `n`-th address of the network, counted from its own.
    pub fn nth(self, n: u128) -> IpAddr {
        from_bits(self.family(), bits(self.network().address) + n)
    }

    /// Whether this is the network's own address (all host bits zero) or, in IPv4, its broadcast address (all one).
    pub fn is_reserved_in(self, network: Self) -> bool {
        let host_bits = bits(self.address) & !network.mask() & all_ones(self.family());
        host_bits == 0 || (self.family() == Family::V4 && host_bits == !network.mask() & all_ones(Family::V4))
    }

    /// The family.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    fn mask(self) -> u128 {
        let ones = all_ones(self.family());
        ones & !(ones.checked_shr(u32::from(self.len)).unwrap_or(0))
    }
}

fn all_ones(family: Family) -> u128 {
    u128::MAX >> (128 - u32::from(family.bits()))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn from_bits(family: Family, bits: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// An address without a prefix length.
pub(super) fn address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| {
        Problem::new(format!("{} is not an IP address", quoted(text))).help("as in \"10.9.0.1\" or \"fd09::1\"")
    })
}

/// An address that may have a prefix length.
pub(super) fn prefix_or_address(text: &str) -> Result<(IpAddr, Option<u8>), Problem> {
    let Some((before, len)) = text.split_once('/') else {
        return Ok((address(text)?, None));
    };
    let address = address(before)?;
    let bits = Family::of(address).bits();
    match len.parse::<u8>() {
        Ok(len) if len <= bits => Ok((address, Some(len))),
        _ => Err(Problem::new(format!("{} is not a prefix length", quoted(len))).help(format!(
            "{} has 0 to {bits}: {address}/{}",
            Family::of(address),
            bits * 3 / 4
        ))),
    }
}

/// A network: an address with a prefix length and nothing beyond it.
pub(super) fn network(text: &str) -> Result<Prefix, Problem> {
    let (address, len) = prefix_or_address(text)?;
    let Some(len) = len else {
        return Err(Problem::new(format!("{} is an address, not a network", quoted(text)))
            .help(format!("a network has a prefix length: \"{}\"", network_around(address))));
    };
    let prefix = Prefix { address, len };
    if prefix.network() != prefix {
        return Err(Problem::new(format!("{} has bits beyond its prefix", quoted(text)))
            .help(format!("the network is \"{}\"", prefix.network())));
    }
    Ok(prefix)
}

fn network_around(address: IpAddr) -> Prefix {
    let len = Family::of(address).bits() / 4 * 3;
    Prefix { address, len }.network()
}

/// A MAC that one interface can have: `02:09:00:00:00:01`.
pub(super) fn mac(text: &str) -> Result<[u8; 6], Problem> {
    let octets: Vec<Option<u8>> =
        text.split(':').map(|octet| (octet.len() == 2).then(|| u8::from_str_radix(octet, 16).ok()).flatten()).collect();
    let octets: Option<Vec<u8>> = octets.into_iter().collect();
    let Some(mac) = octets.and_then(|octets| <[u8; 6]>::try_from(octets).ok()) else {
        return Err(Problem::new(format!("{} is not a MAC", quoted(text))).help("as in \"02:09:00:00:00:01\""));
    };
    if mac[0] & 1 == 1 || mac == [0; 6] {
        return Err(Problem::new(format!("{} cannot be the MAC of one interface", quoted(text)))
            .help("the lowest bit of the first octet marks a group; one of your own starts with 02"));
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        let (address, len) = prefix_or_address(text).expect(text);
        Prefix { address, len: len.expect(text) }
    }

    #[test]
    fn networks_contain_and_overlap_as_their_bits_say() {
        assert!(prefix("10.9.0.0/24").contains("10.9.0.255".parse().expect("v4")));
        assert!(!prefix("10.9.0.0/24").contains("10.9.1.0".parse().expect("v4")));
        assert!(!prefix("10.9.0.0/24").contains("fd09::1".parse().expect("v6")));
        assert!(prefix("0.0.0.0/0").overlaps(prefix("10.9.0.0/24")));
        assert!(prefix("fd09::/64").overlaps(prefix("fd09::1/128")));
        assert!(!prefix("fd09::/64").overlaps(prefix("fd09:0:0:1::/64")));
    }

    #[test]
    fn the_first_and_the_last_address_of_an_ipv4_network_are_no_hosts() {
        let network = prefix("10.9.0.0/24");
        for (host, is_reserved) in [("10.9.0.0/24", true), ("10.9.0.255/24", true), ("10.9.0.1/24", false)] {
            assert_eq!(prefix(host).is_reserved_in(network), is_reserved, "{host}");
        }
        assert!(!prefix("fd09::ffff:ffff:ffff:ffff/64").is_reserved_in(prefix("fd09::/64")));
    }

    #[test]
    fn macs_of_groups_and_misspelt_ones_are_refused() {
        assert_eq!(mac("02:09:00:00:00:0a").expect("a MAC"), [2, 9, 0, 0, 0, 10]);
        for text in ["01:00:5e:00:00:01", "00:00:00:00:00:00", "02:09:00:00:00", "2:9:0:0:0:1", "02-09-00-00-00-01"] {
            mac(text).expect_err(text);
        }
    }
}
