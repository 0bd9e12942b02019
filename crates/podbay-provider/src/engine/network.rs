//! What Podman can leave of a container's network.
//!
//! A service that is killed while it makes a network, or ends one, knows nothing of it afterwards: a network
//! namespace with an address, and rules that forward the container's ports to that address. The first rule of a
//! port wins, so whoever is given the port next would not be reached through it. Hence, when a container is
//! removed, and before a start that need not be its first, the rules are looked through; and beside every list the
//! namespaces.
//!
//! **Invariant.** Only rules of a container of ours are touched, and only while it does not run or is gone: those
//! that name its id, which is never given twice, and those of its ports if no rule says that somebody else has them. A
//! namespace is removed if it has a name that only Podman gives, and nobody was in it at two looks a minute apart:
//! Podman takes seconds from the making of one to the first process in it.

use super::io::{Kind, Link};
use super::limits::{NETWORK_DESERTED_AFTER, NETWORK_MAX, RULES_WAIT_SECONDS};
use super::service::SYSTEM_PATH;
use crate::Answer;
use podbay_core::pod::CallError;
use rustix::process::geteuid;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The programs that Podman's network helper calls, one for each version of IP.
const RULES: [&str; 2] = ["iptables", "ip6tables"];
/// The chain in which a published port leads to the chain of its network, and how such a chain is called.
const PUBLISHED: &str = "NETAVARK-HOSTPORT-DNAT";
const OF_NETWORK: &str = "NETAVARK-DN-";
/// Where namespaces have names, and how Podman's begin.
const NAMESPACES: &str = "/run/netns";
const NAMESPACE: &str = "netns-";

/// The number of the kernel's first namespace of processes, in which all of them are seen (`PROC_PID_INIT_INO`).
const ALL_PROCESSES: u64 = 0xEFFF_FFFC;

/// A published port: its protocol, and its number on the host, in the words of a rule.
pub(super) type Port = (String, String);

/// A namespace that nobody was in, by its number, and since when.
#[derive(Debug, Default)]
pub(super) struct Deserted(Mutex<HashMap<(String, u64), Instant>>);

/// Clears away the rules of a container of ours that does not run, or is gone.
pub(super) async fn clear(link: &Link, id: &str, ports: &[Port]) -> Answer<()> {
    if !is_ours_to_see(link) {
        return Ok(());
    }
    for program in RULES {
        let rules = look(program, id, ports).await;
        if rules.is_empty() {
            continue;
        }
        tracing::warn!(id, rules = rules.len(), "clearing away what Podman has left of a network");
        for rule in &rules {
            let mut words = vec!["-w", RULES_WAIT_SECONDS, "-t", "nat", "-D"];
            words.extend(rule.iter().map(String::as_str));
            if let Err(error) = run(program, &words).await {
                // Somebody else may have been first.
                tracing::debug!(%error, "a rule that is to go");
            }
        }
        if !look(program, id, ports).await.is_empty() {
            return Err(CallError::Unknown(format!("{program} does not let go of the ports of a container")));
        }
    }
    Ok(())
}

/// The rules that are left of a container. Where nobody can be asked there are none, or none that can be removed.
async fn look(program: &str, id: &str, ports: &[Port]) -> Vec<Vec<String>> {
    match run(program, &["-w", RULES_WAIT_SECONDS, "-t", "nat", "-S"]).await {
        Ok(text) => left(&text, id, ports),
        Err(error) => {
            tracing::debug!(%error, "looking for what Podman has left of a network");
            Vec::new()
        }
    }
}

/// A Podman of another user's has its networks where only that user sees them.
fn is_ours_to_see(link: &Link) -> bool {
    link.kind == Kind::Podman && geteuid().is_root()
}

impl Deserted {
    /// Removes the namespaces that nobody is in for long enough.
    pub async fn clear(&self, link: &Link) {
        if !is_ours_to_see(link) {
            return;
        }
        let empty = tokio::task::spawn_blocking(empty_namespaces).await.unwrap_or_default();
        for name in self.due(empty, Instant::now()) {
            tracing::warn!(name, "removing a network namespace of Podman's that nobody is in");
            if let Err(error) = run("ip", &["netns", "delete", &name]).await {
                tracing::warn!(name, %error, "a network namespace stays");
            }
        }
    }

    /// Those of `empty` that were empty at all looks of the last minute.
    fn due(&self, empty: HashSet<(String, u64)>, now: Instant) -> Vec<String> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|found, _| empty.contains(found));
        for found in empty {
            since.entry(found).or_insert(now);
        }
        let is_due = |at: &Instant| now.duration_since(*at) >= NETWORK_DESERTED_AFTER;
        since.iter().filter(|(_, at)| is_due(at)).map(|((name, _), _)| name.clone()).collect()
    }
}

/// Network namespaces with a name of Podman's that no process is in.
fn empty_namespaces() -> HashSet<(String, u64)> {
    let number = |path: PathBuf| fs::metadata(path).map(|found| found.ino()).ok();
    // To one who sees only some processes every namespace of the others would look empty.
    if number("/proc/self/ns/pid".into()) != Some(ALL_PROCESSES) {
        return HashSet::new();
    }
    let names = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    let named =
        names.filter_map(|entry| Some((entry.file_name().into_string().ok()?, number(entry.path())?)));
    let mut found: HashSet<_> = named.filter(|(name, _)| name.starts_with(NAMESPACE)).collect();
    // After the names: what is made and entered in between counts as used.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let used: HashSet<u64> = processes.filter_map(|entry| number(entry.path().join("ns/net"))).collect();
    found.retain(|(_, number)| !used.contains(number));
    found
}

/// The rules of a container, in the words of `iptables -S`, those that name it last: the others are known by them.
fn left(text: &str, id: &str, ports: &[Port]) -> Vec<Vec<String>> {
    let rules: Vec<Vec<String>> = text.lines().filter_map(|line| words(line.strip_prefix("-A ")?)).collect();
    let port = |rule: &[String]| Some((value(rule, "-p")?.to_owned(), value(rule, "--dport")?.to_owned()));
    let is_in = |rule: &[String], chain: &str| rule.first().is_some_and(|first| first.starts_with(chain));
    let published = rules.iter().filter(|rule| is_in(rule, PUBLISHED));
    let names_us = |rule: &&Vec<String>| {
        !id.is_empty() && value(rule, "--comment").is_some_and(|text| text.ends_with(&format!("id: {id}")))
    };
    let (named, others): (Vec<_>, Vec<_>) = published.partition(names_us);
    let others: HashSet<Port> = others.into_iter().filter_map(|rule| port(rule)).collect();
    let ours: HashSet<Port> =
        named.iter().filter_map(|rule| port(rule)).chain(ports.iter().cloned()).collect();
    let is_ours = |rule: &&Vec<String>| {
        is_in(rule, OF_NETWORK)
            && port(rule).is_some_and(|port| ours.contains(&port) && !others.contains(&port))
    };
    rules.iter().filter(is_ours).chain(named.iter().copied()).cloned().collect()
}

/// The words of a rule; what is in quotation marks is one. `None` if it cannot be told.
fn words(line: &str) -> Option<Vec<String>> {
    if line.contains('\\') {
        return None;
    }
    let mut words: Vec<String> = Vec::new();
    for (nth, part) in line.split('"').enumerate() {
        if nth % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    Some(words)
}

fn value<'a>(rule: &'a [String], flag: &str) -> Option<&'a str> {
    rule.iter().skip_while(|word| *word != flag).nth(1).map(String::as_str)
}

/// What a program says.
async fn run(program: &str, words: &[&str]) -> Answer<String> {
    let mut command = tokio::process::Command::new(program);
    // As Podman's service finds it.
    command
        .env("PATH", SYSTEM_PATH)
        .args(words)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = |why: String| CallError::Unknown(format!("{program} {}: {why}", words.join(" ")));
    match tokio::time::timeout(NETWORK_MAX, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => Err(failed(super::errors::trim(&String::from_utf8_lossy(&output.stderr)))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no end".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RULES: &str = "-P PREROUTING ACCEPT
-N NETAVARK-DN-1D8721804F16F
-A PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
-A NETAVARK-DN-1D8721804F16F -s 10.88.0.0/16 -p tcp -m tcp --dport 20001 -j NETAVARK-HOSTPORT-SETMARK
-A NETAVARK-DN-1D8721804F16F -p tcp -m tcp --dport 20001 -j DNAT --to-destination 10.88.0.5:22
-A NETAVARK-DN-1D8721804F16F -p udp -m udp --dport 20001 -j DNAT --to-destination 10.88.0.6:53
-A NETAVARK-DN-1D8721804F16F -p tcp -m tcp --dport 20002 -j DNAT --to-destination 10.88.0.6:22
-A NETAVARK-HOSTPORT-DNAT -p tcp -m tcp --dport 20001 -m comment --comment \"dnat name: podman id: aa\" \
-j NETAVARK-DN-1D8721804F16F
-A NETAVARK-HOSTPORT-DNAT -p udp -m udp --dport 20001 -m comment --comment \"dnat name: podman id: bb\" \
-j NETAVARK-DN-1D8721804F16F
-A NETAVARK-HOSTPORT-MASQ -m comment --comment \"netavark portfw masq mark\" -j MASQUERADE
-A MY-OWN -p tcp -m tcp --dport 20002 -j DNAT --to-destination 10.0.0.1:22
";

    fn port(protocol: &str, number: u16) -> Port {
        (protocol.to_owned(), number.to_string())
    }

    #[test]
    fn the_rules_of_one_container_are_told_from_those_of_others() {
        let of_aa = left(RULES, "aa", &[]);
        assert_eq!(of_aa.len(), 3, "{of_aa:?}");
        assert!(of_aa.iter().all(|rule| value(rule, "-p") == Some("tcp")));
        assert!(of_aa.iter().all(|rule| value(rule, "--dport") == Some("20001")));
        assert_eq!(of_aa[2][0], PUBLISHED, "what the others are known by goes last");
        assert_eq!(value(&of_aa[2], "--comment"), Some("dnat name: podman id: aa"));
        assert_eq!(left(RULES, "bb", &[]).len(), 2);
    }

    #[test]
    fn rules_without_a_name_are_known_by_the_port_if_it_is_nobody_elses() {
        let alone = left(RULES, "cc", &[port("tcp", 20_002)]);
        assert_eq!(alone.len(), 1);
        assert_eq!(value(&alone[0], "--to-destination"), Some("10.88.0.6:22"));
        assert_eq!(left(RULES, "", &[port("tcp", 20_002)]), alone, "half removed, it has no id any more");
        assert_eq!(left(RULES, "cc", &[port("tcp", 20_001)]), [[""; 0]; 0], "that of aa");
        assert_eq!(left(RULES, "cc", &[port("udp", 20_002)]), [[""; 0]; 0]);
    }

    #[test]
    fn nobody_elses_rules_are_taken_for_ours() {
        for id in ["", "a", "cc", "netavark portfw masq mark"] {
            assert_eq!(left(RULES, id, &[]), [[""; 0]; 0], "{id}");
        }
        let odd = RULES.replace("id: aa\"", "id: \\\"aa\"");
        assert_eq!(left(&odd, "aa", &[]), [[""; 0]; 0], "what cannot be read is left alone");
        assert_eq!(left("", "aa", &[port("tcp", 20_001)]), [[""; 0]; 0]);
    }

    #[test]
    fn a_namespace_is_deserted_if_nobody_was_in_it_for_a_while() {
        let (deserted, begin) = (Deserted::default(), Instant::now());
        let look = |names: &[(&str, u64)], seconds| {
            let empty = names.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
            deserted.due(empty, begin + Duration::from_secs(seconds))
        };
        let minute = NETWORK_DESERTED_AFTER.as_secs();
        assert_eq!(look(&[("a", 1), ("b", 2), ("c", 3)], 0), [""; 0]);
        // Somebody is in `b` for a moment, and another one of the name of `c` is there.
        assert_eq!(look(&[("a", 1), ("c", 4)], minute - 1), [""; 0]);
        assert_eq!(look(&[("a", 1), ("b", 2), ("c", 4)], minute), ["a"]);
    }
}
