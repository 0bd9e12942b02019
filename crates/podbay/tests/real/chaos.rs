//! Random operations while the server is killed and the engine's service dies, again and again. Then all is
//! deleted, and nothing may be left of it on this machine: no container, volume, mount, control group, network,
//! port or process; and the sum of the bills is the sum of the seconds times the price.
//!
//! `PODBAY_CHAOS_OPERATIONS` says how many (`cargo xtask chaos`: 1,000), `PODBAY_CRASH_SEED` which, and
//! `PODBAY_CHAOS_ENGINE` whether the engine's service dies, too: not in every run, because it takes minutes until
//! one of its deaths comes at a bad moment.

use crate::crash::Moments;
use crate::harness::{Real, engine_wanted, postgres, until};
use crate::openssh::order;
use podbay_api::client::{Client, HistoryQuery};
use podbay_api::disks::CreateDisk;
use podbay_core::published::PodStatus;
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const OPERATIONS: u32 = 60;
/// Between two kills of the server, and of the engine's service.
const KILL_EVERY: u32 = 12;
const ENGINE_EVERY: u32 = 35;
/// Live pods at most; one more order is a delete instead.
const LIVE_MAX: usize = 8;
/// Ports of this test alone, so that what is left of them can be told from others': below those that servers take
/// unless they are told otherwise.
const PORTS: std::ops::RangeInclusive<u16> = 19_000..=19_099;

/// Servers that share a database, and between two times that one of them stands still.
const SERVERS: u32 = 3;
const PAUSE_EVERY: u32 = 60;
/// What is left of one test must not be taken for the other's.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the server says of a container that the engine has forgotten. Until its last kill, it is counted.
const FORGOTTEN: &str = "clearing away what Podman has forgotten";

fn operations() -> u32 {
    let given = std::env::var_os("PODBAY_CHAOS_OPERATIONS");
    given.map_or(OPERATIONS, |text| text.to_str().unwrap().parse().unwrap())
}

/// What was made, and what an engine calls it.
#[derive(Default)]
struct Made {
    live: Vec<String>,
    disks: Vec<String>,
    /// Every container that was ever seen.
    containers: BTreeSet<String>,
    /// Network namespaces that nobody was in before.
    namespaces: BTreeSet<String>,
}

/// One operation; what a server that is being killed does not answer is left to the rows.
async fn operate(client: &Client, moments: &mut Moments, made: &mut Made, number: u32) {
    match moments.below(20) {
        0..=9 if made.live.len() < LIVE_MAX => {
            let mut order = order(&format!("chaos {number}"));
            if !made.disks.is_empty() && moments.below(4) == 0 {
                order.disks = Some(vec![made.disks[moments.below(made.disks.len() as u32) as usize].clone()]);
            }
            if let Ok(pod) = client.pod_create(&order).await {
                made.live.push(pod.id);
            }
        }
        0..=14 => {
            if !made.live.is_empty() {
                let nth = moments.below(made.live.len() as u32) as usize;
                if client.pod_delete(&made.live[nth]).await.is_ok() {
                    made.live.remove(nth);
                }
            }
        }
        15..=16 => {
            let order = json!({ "disk": { "size": 1 }, "provider": { "type": "primecompute" } });
            if let Ok(disk) = client.disk_create(&CreateDisk::parse(&order).unwrap()).await {
                made.disks.push(disk.id);
            }
        }
        17 => {
            if let Some(id) = made.disks.first().cloned()
                && client.disk_delete(&id).await.is_ok()
            {
                made.disks.remove(0);
            }
        }
        _ => {
            let _ = client.pods(0, 100).await;
        }
    }
}

fn ports() -> String {
    format!("[ports]\nfirst = {}\nlast = {}\n", PORTS.start(), PORTS.end())
}

#[tokio::test]
async fn nothing_is_left_of_a_thousand_operations_and_a_dozen_crashes() {
    if !engine_wanted() {
        return;
    }
    let _turn = TURN.lock().await;
    let mut moments = Moments::new();
    let mut real = Real::start_with(&ports());
    let mut made = Made { namespaces: namespaces(), ..Made::default() };
    let (mut kills, mut engines, mut said) = (0, 0, String::new());
    let engine_dies = std::env::var_os("PODBAY_CHAOS_ENGINE").is_some();
    for number in 1..=operations() {
        operate(&real.client(), &mut moments, &mut made, number).await;
        if number % KILL_EVERY == 0 {
            made.containers.extend(ids(&real).await);
            said += &real.kill();
            real.up();
            kills += 1;
        }
        if engine_dies && number % ENGINE_EVERY == 0 && real.kill_service() {
            engines += 1;
        }
    }
    eprintln!("{} operations, {kills} kills, {engines} ends of the engine", operations());
    eprintln!("cleared away after the engine: {}", said.matches(FORGOTTEN).count());
    nothing_is_left(&real, made).await;
}

#[tokio::test]
async fn nothing_is_left_of_three_servers_of_which_one_is_killed_at_a_time() {
    let Some(database) = postgres("chaos").filter(|_| engine_wanted()) else { return };
    let _turn = TURN.lock().await;
    let mut moments = Moments::new();
    let mut real = Real::start_all(SERVERS as usize, Some(database), &ports());
    let mut made = Made { namespaces: namespaces(), ..Made::default() };
    let (mut kills, mut pauses) = (0, 0);
    for number in 1..=operations() {
        let nth = moments.below(SERVERS) as usize;
        operate(&real.client_of(nth), &mut moments, &mut made, number).await;
        if number % KILL_EVERY == 0 {
            made.containers.extend(ids(&real).await);
            let nth = moments.below(SERVERS) as usize;
            real.kill_nth(nth);
            // The others work on meanwhile.
            operate(&real.client_of((nth + 1) % SERVERS as usize), &mut moments, &mut made, number).await;
            real.up_nth(nth);
            kills += 1;
        }
        if number % PAUSE_EVERY == PAUSE_EVERY / 2 {
            pause(&real, &mut moments, &mut made, number).await;
            pauses += 1;
        }
    }
    eprintln!("{} operations, {SERVERS} servers, {kills} kills, {pauses} that stood still", operations());
    nothing_is_left(&real, made).await;
}

/// One of the servers stands still, in the middle of whatever it does, until the others have found its lease to
/// be over and have worked on what it had; then it goes on where it was.
async fn pause(real: &Real, moments: &mut Moments, made: &mut Made, number: u32) {
    let nth = moments.below(SERVERS) as usize;
    let ids = async || {
        let servers = real.rows().await.server_list().await.unwrap();
        servers.into_iter().map(|server| server.id).collect::<BTreeSet<_>>()
    };
    real.signal(nth, "-STOP");
    let before = ids().await;
    until("the lease of the one that stands still is over", Duration::from_secs(60), async || {
        (!before.is_subset(&ids().await)).then_some(())
    })
    .await;
    for other in (0..SERVERS as usize).filter(|other| *other != nth) {
        operate(&real.client_of(other), moments, made, number).await;
    }
    real.signal(nth, "-CONT");
}

/// All is deleted, and nothing of it is left anywhere.
async fn nothing_is_left(real: &Real, mut made: Made) {
    let client = real.client();
    until("every pod is ACTIVE or says why not", Duration::from_secs(180), async || {
        let pods = client.pods_all().await.unwrap();
        let is_done = |status: &podbay_api::Term<PodStatus>| {
            status.is(PodStatus::Active) || status.is(PodStatus::Error)
        };
        pods.iter().all(|pod| is_done(&pod.status)).then_some(())
    })
    .await;
    made.containers.extend(ids(real).await);
    clear(&client).await;
    eprintln!("{} containers", made.containers.len());

    assert_eq!(real.containers().await, Vec::<serde_json::Value>::new());
    assert_eq!(real.volumes().await, Vec::<serde_json::Value>::new());
    let mut rows = real.rows().await;
    assert_eq!(rows.usage_open_count().await.unwrap(), 0, "nothing is billed any more");
    let mut left = Vec::new();
    // A network that nobody is in is looked at for a minute.
    until("nothing of a container is left on the machine", Duration::from_secs(120), async || {
        let mut found = traces(&made.containers);
        found.extend(namespaces().difference(&made.namespaces).map(|name| format!("network {name}")));
        if found != left {
            eprintln!("left: {found:?}");
            left = found;
        }
        left.is_empty().then_some(())
    })
    .await;
    bills(real, &client).await;
    let audit = client.audit().await.unwrap();
    assert_eq!((audit.trouble, audit.findings), (None, Vec::new()));
}

/// Deletes everything, and waits for it.
async fn clear(client: &Client) {
    until("every pod is gone", Duration::from_secs(180), async || {
        let pods = client.pods_all().await.unwrap();
        for pod in &pods {
            let _ = client.pod_delete(&pod.id).await;
        }
        pods.is_empty().then_some(())
    })
    .await;
    until("every disk is gone", Duration::from_secs(180), async || {
        let disks = client.disks_all().await.unwrap();
        for disk in &disks {
            let _ = client.disk_delete(&disk.id).await;
        }
        disks.is_empty().then_some(())
    })
    .await;
}

async fn ids(real: &Real) -> BTreeSet<String> {
    real.container_ids().await.into_iter().collect()
}

/// Where this machine still shows one of these containers, or holds a port of theirs.
fn traces(containers: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut search = |what: &str, text: &str| {
        for id in containers.iter().filter(|id| text.contains(id.as_str())) {
            found.push(format!("{what}: {id}"));
        }
    };
    search("mount", &std::fs::read_to_string("/proc/mounts").unwrap());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Ok(words) = std::fs::read(entry.path().join("cmdline")) {
            search("process", &String::from_utf8_lossy(&words));
        }
    }
    let groups = std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", "*libpod*"]).output();
    search("control group", &String::from_utf8_lossy(&groups.unwrap().stdout));
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        // The second column is the local address; 0A is the state of a listener.
        let listening = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        for words in listening.filter(|words| words.get(3) == Some(&"0A")) {
            let port = words[1].rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok());
            found.extend(port.filter(|port| PORTS.contains(port)).map(|port| format!("port {port}")));
        }
    }
    let rules = std::process::Command::new("iptables").args(["-w", "-t", "nat", "-S"]).output().unwrap();
    // Others than root may not ask, and have no networks here.
    assert!(rules.status.success() || std::fs::metadata("/proc/self").unwrap().uid() != 0, "{rules:?}");
    for rule in String::from_utf8_lossy(&rules.stdout).lines() {
        let port = rule.split_whitespace().skip_while(|word| *word != "--dport").nth(1);
        let is_ours = port.and_then(|port| port.parse().ok()).is_some_and(|port| PORTS.contains(&port));
        found.extend(is_ours.then(|| format!("rule {rule}")));
    }
    found
}

/// Network namespaces that have a name of Podman's and nobody in them.
fn namespaces() -> BTreeSet<String> {
    let inode = |path: std::path::PathBuf| std::fs::metadata(path).map(|found| found.ino()).ok();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let used: BTreeSet<u64> = processes.filter_map(|entry| inode(entry.path().join("ns/net"))).collect();
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let empty = names.filter(|entry| inode(entry.path()).is_some_and(|inode| !used.contains(&inode)));
    let names = empty.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with("netns-")).collect()
}

/// What each pod is billed is its price for the time from ACTIVE to its delete, by its own events.
async fn bills(real: &Real, client: &Client) {
    let mut rows = real.rows().await;
    let (mut billed, mut due, mut offset) = (0.0, 0.0, 0);
    loop {
        let page = client.pod_history(&HistoryQuery { offset, ..HistoryQuery::default() }).await.unwrap();
        if page.data.is_empty() {
            break;
        }
        offset += page.data.len() as u64;
        for pod in page.data {
            billed += pod.total_billed_price;
            let id = podbay_core::PodId::parse(&pod.id).unwrap();
            let price = rows.pod_get(&id).await.unwrap().unwrap().spec.price.dollars();
            let events = rows.event_list(&id, 0, 1000).await.unwrap();
            let at = |kind: &str| events.iter().find(|event| event.kind == kind).map(|event| event.at);
            let end = at("pod.failed").or_else(|| at("pod.delete_requested"));
            if let (Some(from), Some(to)) = (at("pod.active"), end) {
                due += price * to.since(from).as_secs_f64() / 3600.0;
            }
        }
    }
    // Each bill is rounded once, to a millionth.
    let rounding = 1e-6 * offset as f64;
    assert!((billed - due).abs() <= rounding, "{billed} dollars are billed, and {due} are due");
    assert!(billed > 0.0, "something ran");
}
