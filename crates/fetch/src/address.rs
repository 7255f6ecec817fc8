//! Which addresses a stranger may make us call.
//!
//! The tables follow IANA's registries of special-purpose addresses (RFC 6890 and its successors). IPv6 is judged the other way
//! round: only what is assigned as global unicast is public, so what will be given a special purpose tomorrow is refused
//! today.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotPublic {
    /// This machine.
    Loopback,
    /// A network of one's own: RFC 1918, unique local.
    Private,
    /// The same wire, and with it most clouds' metadata.
    LinkLocal,
    /// Shared between a provider and its customers (RFC 6598), and some clouds' metadata.
    CarrierShared,
    /// A cloud's metadata or host service on an address that looks public.
    Metadata,
    /// Many receivers.
    Multicast,
    /// No address, everybody, or kept for documents, tests, translation and the future.
    Reserved,
}

impl NotPublic {
    /// A short word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link_local",
            Self::CarrierShared => "carrier_shared",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        }
    }
}

/// First address, length of the prefix, what it is.
const SPECIAL_V4: [([u8; 4], u32, NotPublic); 18] = [
    ([0, 0, 0, 0], 8, NotPublic::Reserved),
    ([10, 0, 0, 0], 8, NotPublic::Private),
    ([100, 64, 0, 0], 10, NotPublic::CarrierShared),
    ([127, 0, 0, 0], 8, NotPublic::Loopback),
    // Azure's host service answers on what would be a public address.
    ([168, 63, 129, 16], 32, NotPublic::Metadata),
    ([169, 254, 0, 0], 16, NotPublic::LinkLocal),
    ([172, 16, 0, 0], 12, NotPublic::Private),
    ([192, 0, 0, 0], 24, NotPublic::Reserved),
    ([192, 0, 2, 0], 24, NotPublic::Reserved),
    ([192, 31, 196, 0], 24, NotPublic::Reserved),
    ([192, 52, 193, 0], 24, NotPublic::Reserved),
    ([192, 88, 99, 0], 24, NotPublic::Reserved),
    ([192, 168, 0, 0], 16, NotPublic::Private),
    ([198, 18, 0, 0], 15, NotPublic::Reserved),
    ([198, 51, 100, 0], 24, NotPublic::Reserved),
    ([203, 0, 113, 0], 24, NotPublic::Reserved),
    ([224, 0, 0, 0], 4, NotPublic::Multicast),
    ([240, 0, 0, 0], 4, NotPublic::Reserved),
];

/// What lies within global unicast, 2000::/3, and is nevertheless nobody's public address.
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments, among them Teredo, which wraps IPv4.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4, which wraps IPv4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Judges an address: public, or why not. `allowed` are networks that may be called all the same.
pub fn judge(address: IpAddr, allowed: &[IpNet]) -> Result<(), NotPublic> {
    let address = unwrapped(address);
    if allowed.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    match address {
        IpAddr::V4(address) => judge_v4(address),
        IpAddr::V6(address) => judge_v6(address),
    }
}

/// The IPv4 address that an IPv6 address only wraps (mapped, or translated by NAT64): that is where the call goes.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => address,
    }
}

fn judge_v4(address: Ipv4Addr) -> Result<(), NotPublic> {
    let within = |network: [u8; 4], prefix: u32| {
        let mask = u32::MAX << (32 - prefix);
        address.to_bits() & mask == u32::from_be_bytes(network)
    };
    let special = SPECIAL_V4.iter().find(|(network, prefix, _)| within(*network, *prefix));
    special.map_or(Ok(()), |(_, _, kind)| Err(*kind))
}

fn judge_v6(address: Ipv6Addr) -> Result<(), NotPublic> {
    if address.is_loopback() {
        return Err(NotPublic::Loopback);
    }
    if address.is_multicast() {
        return Err(NotPublic::Multicast);
    }
    if address.is_unicast_link_local() {
        return Err(NotPublic::LinkLocal);
    }
    if address.is_unique_local() {
        return Err(NotPublic::Private);
    }
    let within = |network: Ipv6Addr, prefix: u32| {
        let mask = u128::MAX << (128 - prefix);
        address.to_bits() & mask == network.to_bits()
    };
    let is_global = within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
    if !is_global || SPECIAL_V6.iter().any(|(network, prefix)| within(*network, *prefix)) {
        return Err(NotPublic::Reserved);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judged(text: &str) -> Result<(), NotPublic> {
        judge(text.parse().unwrap(), &[])
    }

    #[test]
    fn addresses_that_are_not_public_are_refused_by_their_kind() {
        let table = [
            ("0.0.0.0", NotPublic::Reserved),
            ("10.255.255.255", NotPublic::Private),
            ("100.64.0.1", NotPublic::CarrierShared),
            ("100.100.100.200", NotPublic::CarrierShared),
            ("127.0.0.1", NotPublic::Loopback),
            ("127.255.255.254", NotPublic::Loopback),
            ("168.63.129.16", NotPublic::Metadata),
            ("169.254.169.254", NotPublic::LinkLocal),
            ("172.16.0.1", NotPublic::Private),
            ("172.31.255.255", NotPublic::Private),
            ("192.0.0.192", NotPublic::Reserved),
            ("192.168.1.1", NotPublic::Private),
            ("198.19.255.255", NotPublic::Reserved),
            ("203.0.113.7", NotPublic::Reserved),
            ("224.0.0.1", NotPublic::Multicast),
            ("255.255.255.255", NotPublic::Reserved),
            ("::", NotPublic::Reserved),
            ("::1", NotPublic::Loopback),
            ("::127.0.0.1", NotPublic::Reserved),
            ("::ffff:127.0.0.1", NotPublic::Loopback),
            ("::ffff:169.254.169.254", NotPublic::LinkLocal),
            ("64:ff9b::10.0.0.1", NotPublic::Private),
            ("64:ff9b:1::1", NotPublic::Reserved),
            ("100::1", NotPublic::Reserved),
            ("2001::1", NotPublic::Reserved),
            ("2001:db8::1", NotPublic::Reserved),
            ("2002:7f00:1::", NotPublic::Reserved),
            ("3fff::1", NotPublic::Reserved),
            ("5f00::1", NotPublic::Reserved),
            ("fc00::1", NotPublic::Private),
            ("fd00:ec2::254", NotPublic::Private),
            ("fe80::1", NotPublic::LinkLocal),
            ("fec0::1", NotPublic::Reserved),
            ("ff02::1", NotPublic::Multicast),
        ];
        for (text, kind) in table {
            assert_eq!(judged(text), Err(kind), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_public_also_beside_the_special_ones() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert_eq!(judged(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_also_when_it_is_wrapped_and_nothing_else_is() {
        let allowed = ["127.0.0.1/32".parse().unwrap()];
        let judged = |text: &str| judge(text.parse().unwrap(), &allowed);
        assert_eq!(judged("127.0.0.1"), Ok(()));
        assert_eq!(judged("::ffff:127.0.0.1"), Ok(()));
        assert_eq!(judged("127.0.0.2"), Err(NotPublic::Loopback));
        assert_eq!(judged("::1"), Err(NotPublic::Loopback));
    }

    proptest! {
        #[test]
        fn wrapping_an_address_changes_no_verdict(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = v4.octets();
            let low = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, low[0], low[1]);
            let plain = judge(IpAddr::V4(v4), &[]);
            prop_assert_eq!(judge(IpAddr::V6(v4.to_ipv6_mapped()), &[]), plain);
            prop_assert_eq!(judge(IpAddr::V6(nat64), &[]), plain);
        }

        #[test]
        fn whatever_the_standard_library_calls_special_is_refused(bits: u32, bits_v6: u128) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || judge(IpAddr::V4(v4), &[]).is_err());
            // Half of the time near the beginning, where the odd ones lie.
            for address in [Ipv6Addr::from_bits(bits_v6), Ipv6Addr::from_bits(bits_v6 >> 64)] {
                let is_global = address.segments()[0] & 0xe000 == 0x2000;
                let wraps = address.to_ipv4_mapped().is_some() || address.segments()[..2] == [0x64, 0xff9b];
                prop_assert!(is_global || wraps || judge(IpAddr::V6(address), &[]).is_err());
            }
        }
    }
}
