//! Names to addresses without libc: `getaddrinfo` of a static glibc loads the image's NSS modules.
//!
//! `/etc/hosts` first, then DNS as `/etc/resolv.conf` says; both read at every question, as they
//! change when a pod joins a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

/// A server that does not answer is not waited for longer than this.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
const NAME_SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;

/// The addresses of `host`, best first; empty when it has none.
pub(crate) async fn resolve(host: &str) -> Vec<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return vec![address];
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut found = in_hosts(&hosts, host);
    if found.is_empty() && is_localhost(host) {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if found.is_empty() {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        found = ask(host, &text).await;
    }
    // Most services in a container listen on IPv4 only, and a refused attempt costs a round trip.
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

/// What `resolv.conf` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Servers {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    dots: Option<usize>,
}

fn parse_servers(text: &str) -> Servers {
    let mut parsed = Servers::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                // An address may carry a scope (`fe80::1%eth0`), which the resolver has no place for.
                parsed.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
            }
            Some("search" | "domain") => parsed.search = words.map(str::to_owned).collect(),
            Some("options") => {
                let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                parsed.dots = dots.or(parsed.dots);
            }
            _ => {}
        }
    }
    parsed.servers.truncate(NAME_SERVERS_MAX);
    parsed.search.truncate(SEARCH_MAX);
    parsed
}

async fn ask(host: &str, text: &str) -> Vec<IpAddr> {
    let parsed = parse_servers(text);
    if parsed.servers.is_empty() {
        return Vec::new();
    }
    let servers = parsed.servers.iter().map(|address| NameServerConfig::udp_and_tcp(*address)).collect();
    let search = parsed.search.iter().filter_map(|name| Name::from_utf8(name).ok()).collect();
    let config = ResolverConfig::from_parts(None, search, servers);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.timeout = QUESTION_TIMEOUT;
    options.cache_size = 0;
    if let Some(dots) = parsed.dots {
        options.ndots = dots;
    }
    let Ok(resolver) = builder.build() else { return Vec::new() };
    match resolver.lookup_ip(host).await {
        Ok(found) => found.iter().collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file() {
        let text = "127.0.0.1 localhost\n# 9.9.9.9 db\n10.0.0.5\tdb db.internal # the database\n::1 db\nnonsense db\n";
        let expected: Vec<IpAddr> = vec!["10.0.0.5".parse().unwrap(), "::1".parse().unwrap()];
        assert_eq!(in_hosts(text, "DB"), expected);
        assert_eq!(in_hosts(text, "db.internal.").len(), 1);
        assert!(in_hosts(text, "the").is_empty());
    }

    #[test]
    fn resolver_file() {
        let text = "search a.example b.example\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\noptions ndots:5 edns0\n";
        let parsed = parse_servers(text);
        assert_eq!(parsed.servers, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(parsed.search, ["a.example", "b.example"]);
        assert_eq!(parsed.dots, Some(5));
    }

    #[test]
    fn localhost_needs_no_file() {
        assert!(is_localhost("LocalHost."));
        assert!(is_localhost("x.localhost"));
        assert!(!is_localhost("localhost.example"));
    }
}
