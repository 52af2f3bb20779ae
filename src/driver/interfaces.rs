//! The addresses of this machine, for peer connections to be reached at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// The addresses of all interfaces that are up, loopback and link-local ones excepted: the first reaches nobody else,
/// the second only with a scope that a candidate cannot carry.
pub fn addresses() -> Vec<IpAddr> {
    let mut list = ptr::null_mut();
    // SAFETY: `list` is an out-parameter; on success it is a list that is freed below.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Vec::new();
    }
    let mut addresses = Vec::new();
    let mut entry = list;
    while !entry.is_null() {
        // SAFETY: `entry` is not NULL and is a node of the list, which lives until it is freed below.
        let node = unsafe { &*entry };
        if node.ifa_flags & libc::IFF_UP as libc::c_uint != 0 {
            // SAFETY: the address of a node is NULL or a socket address of the family that it names.
            addresses.extend(unsafe { address(node.ifa_addr) });
        }
        entry = node.ifa_next;
    }
    // SAFETY: the list came from `getifaddrs` and is not used after this.
    unsafe { libc::freeifaddrs(list) };
    addresses.retain(|address| !is_useless(address));
    addresses
}

/// # Safety
/// `address` is NULL or points to a socket address that is as long as its family says.
unsafe fn address(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    match i32::from(unsafe { (*address).sa_family }) {
        libc::AF_INET => {
            // SAFETY: the family says that it is one.
            let address = unsafe { &*address.cast::<libc::sockaddr_in>() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is one.
            let address = unsafe { &*address.cast::<libc::sockaddr_in6>() };
            Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

fn is_useless(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}
