//! Where a question about an image may lead: a caller names the registry, and the registry names the
//! host that gives tokens, so both are asked only on the public internet, by TLS, on its usual port.
//! What else may be asked is the owner's to say.
//!
//! Names are judged by the addresses that they resolve to, and the connection goes to the very
//! addresses that were judged (see [`Resolve`]): a name that resolves differently a moment later
//! leads nowhere.

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

const PORT_HTTPS: u16 = 443;
const PORT_HTTP: u16 = 80;

/// Addresses that are not the public internet: what is special by assignment, and the one public
/// address under which a cloud serves secrets to its machines.
const SPECIAL_V4: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// Of IPv6 only this is public…
const PUBLIC_V6: &str = "2000::/3";
/// …but for tunnels that lead to any IPv4 address, and what is special by assignment.
const SPECIAL_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// Something that the owner allows beside the public internet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Addresses.
    Net(IpNet),
    /// A host, whatever its address, on one port.
    Site { host: String, port: u16, plain: bool },
}

/// What may be asked.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    rules: Vec<Rule>,
}

/// Somewhere that must not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Forbidden(pub String);

impl Guard {
    /// A guard that lets these pass beside the public internet, each `host`, `host:port`, the same
    /// behind `http://` for a registry without TLS, or a range of addresses as in `10.0.0.0/8`.
    ///
    /// # Errors
    /// The first that is none of these.
    pub fn new<'a>(allow: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let rules = allow.into_iter().map(rule).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Where the API of a registry is.
    ///
    /// # Errors
    /// The registry is no host.
    pub fn base(&self, registry: &str) -> Result<Url, Forbidden> {
        // The one whose name differs from its host's.
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}/v2/"))
                .map_err(|_| Forbidden(format!("{registry} is not the name of a registry")))
        };
        let plain = url("http")?;
        let is_plain = self.sites(&plain).any(|(_, rule_plain)| rule_plain);
        if is_plain { Ok(plain) } else { url("https") }
    }

    /// Whether an address may be asked, as far as it tells by itself; what its name resolves to is
    /// judged when it is resolved.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, url: &Url) -> Result<(), Forbidden> {
        let (host, port) = (host(url), url.port_or_known_default().unwrap_or_default());
        let shown = format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default());
        let why = |text: &str| Err(Forbidden(format!("{shown} is not asked: {text}")));
        if self.is_named(&host) {
            let fits = self.sites(url).any(|(_, plain)| plain == (url.scheme() == "http"));
            return if fits { Ok(()) } else { why("the owner allows this host on another port or scheme") };
        }
        if url.scheme() != "https" || port != PORT_HTTPS {
            return why("only TLS on port 443 is; the server's owner can allow others with `registry_allow`");
        }
        match host.parse() {
            Ok(address) => self.admit_address(&host, address),
            Err(_) => Ok(()),
        }
    }

    /// Whether an image of that registry may be named at all: not one whose name is by itself an
    /// address that must not be asked. The engine that fetches images knows nothing of this guard.
    ///
    /// # Errors
    /// Why not.
    pub fn admit_name(&self, registry: &str) -> Result<(), Forbidden> {
        let url = self.base(registry)?;
        let host = host(&url);
        if self.is_named(&host) {
            return self.admit(&url);
        }
        match host.parse() {
            Ok(address) => self.admit_address(&host, address),
            Err(_) if host == "localhost" || host.ends_with(".localhost") => {
                self.admit_address(&host, IpAddr::V6(Ipv6Addr::LOCALHOST))
            }
            Err(_) => Ok(()),
        }
    }

    fn admit_address(&self, host: &str, address: IpAddr) -> Result<(), Forbidden> {
        let address = address.to_canonical();
        let in_net = |rule: &Rule| matches!(rule, Rule::Net(net) if net.contains(&address));
        if is_public(address) || self.is_named(host) || self.rules.iter().any(in_net) {
            return Ok(());
        }
        Err(Forbidden(format!(
            "{host} is not asked: its address {address} is not on the public internet; the server's owner can \
             allow it with `registry_allow`"
        )))
    }

    fn is_named(&self, name: &str) -> bool {
        self.rules.iter().any(|rule| matches!(rule, Rule::Site { host, .. } if host == name))
    }

    /// Port and scheme of the rules for host and port of an address.
    fn sites(&self, url: &Url) -> impl Iterator<Item = (u16, bool)> {
        let (wanted, port) = (host(url), url.port_or_known_default().unwrap_or_default());
        self.rules.iter().filter_map(move |rule| match rule {
            Rule::Site { host, port: allowed, plain } if *host == wanted && *allowed == port => {
                Some((*allowed, *plain))
            }
            _ => None,
        })
    }
}

/// Host of an address, an IPv6 one without its brackets. Addresses in odd spellings (decimal, octal)
/// have been put right by the parser.
fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_owned()
}

fn rule(text: &str) -> Result<Rule, String> {
    if let Ok(net) = text.parse() {
        return Ok(Rule::Net(net));
    }
    let (plain, site) = match text.strip_prefix("http://") {
        Some(site) => (true, site),
        None => (false, text),
    };
    let wrong = || format!("{text:?} is none of host, host:port, http://host:port and a range as 10.0.0.0/8");
    let scheme = if plain { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{site}/")).map_err(|_| wrong())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if site.contains(['/', '@']) || !is_bare {
        return Err(wrong());
    }
    let default = if plain { PORT_HTTP } else { PORT_HTTPS };
    Ok(Rule::Site { host: host(&url), port: url.port().unwrap_or(default), plain })
}

/// Whether an address is one of the public internet. IPv4 in IPv6 clothes is judged as IPv4.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let within = |net: &&str| net.parse::<IpNet>().is_ok_and(|net| net.contains(&address));
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(within),
        IpAddr::V6(_) => within(&PUBLIC_V6) && !SPECIAL_V6.iter().any(within),
    }
}

/// Resolves names, and gives no address that must not be asked.
pub(super) struct Checked(pub(super) Arc<Guard>);

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checked")
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let name = name.as_str().trim_end_matches('.');
            let found: Vec<_> = tokio::net::lookup_host((name, 0)).await?.collect();
            // One forbidden address condemns the name: who mixes them wants something.
            found.iter().try_for_each(|address| guard.admit_address(name, address.ip()))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public =
            ["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"];
        for text in public {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        let special = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.9.9.9 \
                       168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 \
                       192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.1.1.1 240.0.0.1 \
                       255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 \
                       ::10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:db8::1 \
                       2002:7f00:1:: \
                       2002:a00:1::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1";
        for text in special.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    fn admits(guard: &Guard, url: &str) -> bool {
        guard.admit(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn without_rules_only_tls_on_its_port_is_asked() {
        let guard = Guard::default();
        assert!(admits(&guard, "https://registry.example.org/v2/"));
        assert!(admits(&guard, "https://1.1.1.1/v2/"));
        for url in [
            "http://registry.example.org/",
            "https://registry.example.org:5000/",
            "https://registry.example.org:22/",
            "http://127.0.0.1/",
            "https://127.0.0.1/",
            "https://127.0.0.1./",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.1.2.3/",
            "ftp://registry.example.org/",
        ] {
            assert!(!admits(&guard, url), "{url}");
        }
    }

    #[test]
    fn the_owner_allows_hosts_ports_and_ranges_and_nothing_beside() {
        let guard = Guard::new(["lab", "registry.lab:5000", "http://plain.lab:5001", "10.1.0.0/16"]).unwrap();
        for url in [
            "https://lab/",
            "https://registry.lab:5000/",
            "http://plain.lab:5001/",
            "https://10.1.2.3/",
            "https://registry.example.org/",
        ] {
            assert!(admits(&guard, url), "{url}");
        }
        for url in [
            "http://lab/",
            "https://lab:5000/",
            "https://registry.lab/",
            "http://registry.lab:5000/",
            "https://plain.lab:5001/",
            "http://plain.lab/",
            "https://10.2.0.1/",
            "https://10.1.2.3:5000/",
        ] {
            assert!(!admits(&guard, url), "{url}");
        }
        assert_eq!(guard.base("plain.lab:5001").unwrap().as_str(), "http://plain.lab:5001/v2/");
        assert_eq!(guard.base("registry.lab:5000").unwrap().as_str(), "https://registry.lab:5000/v2/");
        assert_eq!(guard.base("docker.io").unwrap().as_str(), "https://registry-1.docker.io/v2/");
        for wrong in ["", "a b", "https://x/y", "http://", "ftp://x", "me@x", "x/y", "10.0.0.0/99"] {
            assert!(Guard::new([wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_registry_whose_name_is_a_forbidden_address_cannot_be_named() {
        let guard = Guard::new(["http://127.0.0.1:5000"]).unwrap();
        for registry in ["docker.io", "ghcr.io", "registry.example.org:5000", "127.0.0.1:5000"] {
            assert_eq!(guard.admit_name(registry), Ok(()), "{registry}");
        }
        for registry in
            ["127.0.0.2", "10.0.0.1:5000", "localhost:5000", "a.localhost", "0x7f.1", "169.254.169.254"]
        {
            assert!(guard.admit_name(registry).is_err(), "{registry}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_resolved() {
        let resolve = |guard: Guard| Checked(Arc::new(guard)).resolve("localhost".parse().unwrap());
        let Err(error) = resolve(Guard::default()).await else { panic!("localhost was resolved") };
        assert!(
            error.downcast_ref::<Forbidden>().unwrap().0.contains("not on the public internet"),
            "{error}"
        );
        assert!(resolve(Guard::new(["localhost:1"]).unwrap()).await.unwrap().count() > 0);
    }
}
