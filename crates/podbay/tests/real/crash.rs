//! kill -9 of the server at twenty random moments of creates and of deletes, of pods and of their
//! disks: afterwards nothing is left without its row, and no row without what it stands for.

use crate::harness::{Real, engine_wanted, until};
use crate::openssh::order;
use podbay_api::disks::CreateDisk;
use podbay_core::published::PodStatus;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

const ROUNDS: u32 = 20;
/// One pod in so many has a disk.
const DISKS_EVERY: u32 = 3;

/// The moments of one run.
pub struct Moments(u64);

impl Moments {
    /// Other ones at each run; `PODBAY_CRASH_SEED` repeats those of a run that failed.
    pub fn new() -> Self {
        let given = std::env::var_os("PODBAY_CRASH_SEED").map(|text| text.to_str().unwrap().parse().unwrap());
        #[expect(clippy::disallowed_methods, reason = "new moments at each run; a failure names its seed")]
        let now =
            || u64::from(std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
        let seed = given.unwrap_or_else(now);
        // Shown when the test fails.
        eprintln!("PODBAY_CRASH_SEED={seed} tries the same moments again");
        Self(seed)
    }

    /// The next number below `most` (SplitMix64).
    pub fn below(&mut self, most: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) % u64::from(most)).unwrap()
    }
}

/// Lets the server work for a moment, and kills it. The moment is counted in answers of the
/// server, so that it falls anywhere between the first row and SSH.
async fn kill_within(real: &mut Real, answers: u32) {
    let client = real.client();
    for _ in 0..answers {
        client.pods(0, 10).await.unwrap();
    }
    real.kill();
    real.up();
}

/// Orders a disk, kills the server meanwhile, and waits for the disk; its id.
async fn disk(real: &mut Real, moments: &mut Moments) -> String {
    let order = json!({ "disk": { "size": 1 }, "provider": { "type": "primecompute" } });
    let order = CreateDisk::parse(&order).unwrap();
    let id = real.client().disk_create(&order).await.unwrap().id;
    kill_within(real, moments.below(40)).await;
    let client = real.client();
    until("the disk is ACTIVE", Duration::from_secs(60), async || {
        client.disk(&id).await.unwrap().status.is(PodStatus::Active).then_some(())
    })
    .await;
    id
}

/// What the engine has and what the rows say, pods and disks each.
async fn nothing_stands_alone(real: &Real, pods: &BTreeSet<String>, disks: &BTreeSet<String>) {
    let owners = |found: Vec<serde_json::Value>, label: &str| -> BTreeSet<String> {
        let owner = |one: &serde_json::Value| one.pointer(label).unwrap().as_str().unwrap().to_owned();
        let owners: BTreeSet<String> = found.iter().map(owner).collect();
        assert_eq!(owners.len(), found.len(), "one each: {found:?}");
        owners
    };
    assert_eq!(owners(real.containers().await, "/Config/Labels/podbay.pod"), *pods);
    assert_eq!(owners(real.volumes().await, "/Labels/podbay.disk"), *disks);
    let client = real.client();
    let listed: BTreeSet<String> =
        client.disks_all().await.unwrap().into_iter().map(|disk| disk.id).collect();
    assert_eq!(listed, *disks);
    let mut rows = real.rows().await;
    let open = pods.len() + disks.len();
    assert_eq!(rows.usage_open_count().await.unwrap(), open as u64, "each is billed, and nothing else");
    let host = podbay_core::HostId::from_stored("local".into());
    assert_eq!(rows.port_list(&host).await.unwrap().len(), pods.len(), "one port each, for SSH");
}

#[tokio::test]
async fn a_killed_server_loses_and_leaks_nothing() {
    if !engine_wanted() {
        return;
    }
    let mut moments = Moments::new();
    let mut real = Real::start();
    let (mut ids, mut disks) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let mut order = order(&format!("crash {round}"));
        if round % DISKS_EVERY == 0 {
            let disk = disk(&mut real, &mut moments).await;
            order.disks = Some(vec![disk.clone()]);
            disks.insert(disk);
        }
        let id = real.client().pod_create(&order).await.unwrap().id;
        ids.insert(id);
        kill_within(&mut real, moments.below(200)).await;
    }
    let client = real.client();
    until("every pod that was accepted is ACTIVE", Duration::from_secs(120), async || {
        let pods = client.pods_all().await.unwrap();
        let listed: BTreeSet<String> = pods.iter().map(|pod| pod.id.clone()).collect();
        assert_eq!(listed, ids, "an accepted create is never lost, and makes one pod");
        pods.iter().all(|pod| pod.status.is(PodStatus::Active)).then_some(())
    })
    .await;
    nothing_stands_alone(&real, &ids, &disks).await;

    for id in &ids {
        let client = real.client();
        let deleting = client.pod_delete(id);
        // The answer may be lost with the server; the delete may not.
        let _ = tokio::time::timeout(Duration::from_millis(moments.below(40).into()), deleting).await;
        kill_within(&mut real, moments.below(60)).await;
    }
    let client = real.client();
    for id in &ids {
        // Those whose delete was lost before it was accepted are deleted again.
        let _ = client.pod_delete(id).await;
    }
    until("every pod is gone", Duration::from_secs(120), async || {
        client.pods_all().await.unwrap().is_empty().then_some(())
    })
    .await;
    let none = BTreeSet::new();
    // Disks outlive their pods.
    nothing_stands_alone(&real, &none, &disks).await;
    let history = client.pod_history(&podbay_api::client::HistoryQuery::default()).await.unwrap();
    assert_eq!(history.total_count, ids.len() as u64);

    for id in &disks {
        let client = real.client();
        let deleting = client.disk_delete(id);
        let _ = tokio::time::timeout(Duration::from_millis(moments.below(40).into()), deleting).await;
        kill_within(&mut real, moments.below(20)).await;
    }
    let client = real.client();
    for id in &disks {
        let _ = client.disk_delete(id).await;
    }
    until("every disk is gone", Duration::from_secs(120), async || {
        client.disks_all().await.unwrap().is_empty().then_some(())
    })
    .await;
    nothing_stands_alone(&real, &none, &none).await;
}
