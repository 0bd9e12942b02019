//! Under which address pods are reached.

use super::Config;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::LazyLock;

/// The address that the kernel sends from. Found out once, since every pod that is shown needs it: a machine
/// whose address changes while the server runs has to name `public_address`.
static OUTGOING: LazyLock<Option<IpAddr>> = LazyLock::new(|| {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Connecting a UDP socket sends nothing.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
});

impl Config {
    /// The address that pods are advertised under.
    #[must_use]
    pub fn advertised(&self) -> IpAddr {
        self.public_address.unwrap_or_else(|| {
            let ip = self.listen.ip();
            if ip.is_unspecified() { OUTGOING.unwrap_or(ip) } else { ip }
        })
    }
}
