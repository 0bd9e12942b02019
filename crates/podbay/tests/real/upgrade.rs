//! An upgrade in the middle of work: an earlier program takes orders and is killed while some of them are being
//! carried out, and this one goes on. No pod is lost, and no process of a user's is ended. The same the other way
//! round: this one is killed, and the earlier one goes on, on the schema that this one has migrated.
//!
//! `PODBAY_PREVIOUS` names the earlier program; `cargo xtask upgrade` builds that of the commit before.

use crate::crash::Moments;
use crate::harness::{PROGRAM, Real, engine_wanted, until};
use crate::openssh::{Login, active, key_added, order};
use podbay_core::PodId;
use podbay_core::published::PodStatus;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const ROUNDS: u32 = 3;
/// Orders that are under way when the program is replaced.
const ORDERS: u32 = 5;

/// What there was before the program was replaced.
struct Before {
    /// Every pod that was accepted.
    ids: BTreeSet<String>,
    /// One of them that was ACTIVE, with a process of its user's.
    first: String,
    login: Login,
    process: String,
    machine: Value,
}

/// A pod that is ACTIVE, and orders that are under way when the program is killed.
async fn work(real: &Real, moments: &mut Moments, key: &str) -> Before {
    let client = real.client();
    let identity = key_added(real, key).await;
    let first = client.pod_create(&order("before")).await.unwrap().id;
    let login = Login::new(&identity, &active(&client, &first).await);
    let process = login.run("sleep 100000 </dev/null >/dev/null 2>&1 & echo $!").trim().to_owned();
    let machine = machine_of(real, &first).await;
    let mut ids = BTreeSet::from([first.clone()]);
    for number in 0..ORDERS {
        ids.insert(client.pod_create(&order(&format!("under way {number}"))).await.unwrap().id);
    }
    for _ in 0..moments.below(100) {
        client.pods(0, 10).await.unwrap();
    }
    Before { ids, first, login, process, machine }
}

/// The program that runs now has lost nothing of it.
async fn went_on(real: &Real, before: &Before) {
    let client = real.client();
    until("every pod that was accepted is ACTIVE", Duration::from_secs(120), async || {
        let pods = client.pods_all().await.unwrap();
        let listed: BTreeSet<String> = pods.iter().map(|pod| pod.id.clone()).collect();
        assert_eq!(listed, before.ids);
        pods.iter().all(|pod| pod.status.is(PodStatus::Active)).then_some(())
    })
    .await;
    let (machine, was) = (machine_of(real, &before.first).await, &before.machine);
    assert_eq!((&machine["Pid"], &machine["StartedAt"]), (&was["Pid"], &was["StartedAt"]));
    assert_eq!(before.login.run(&format!("kill -0 {} && echo alive", before.process)).trim(), "alive");
    assert_eq!(real.containers().await.len(), before.ids.len());
    let mut rows = real.rows().await;
    let billed = rows.usage_list(&PodId::parse(&before.first).unwrap()).await.unwrap();
    assert!(matches!(billed[..], [one] if one.ended_at.is_none()), "one bill that goes on: {billed:?}");
    drop(rows);
    for id in &before.ids {
        client.pod_delete(id).await.unwrap();
    }
    until("every pod is gone", Duration::from_secs(120), async || {
        client.pods_all().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(real.containers().await, Vec::<Value>::new());
}

async fn machine_of(real: &Real, pod: &str) -> Value {
    let all = real.containers().await;
    let ours = all.into_iter().find(|machine| machine["Config"]["Labels"]["podbay.pod"] == *pod);
    ours.unwrap()["State"].take()
}

#[tokio::test]
async fn an_upgrade_and_its_way_back_lose_no_pod_and_end_no_process() {
    let Some(previous) = std::env::var_os("PODBAY_PREVIOUS").filter(|_| engine_wanted()) else {
        eprintln!("left out: PODBAY_PREVIOUS names no earlier program; `cargo xtask upgrade` does");
        return;
    };
    let mut moments = Moments::new();
    for _ in 0..ROUNDS {
        let mut real = Real::start_on(previous.as_ref());
        let before = work(&real, &mut moments, "there").await;
        real.kill();
        real.runs(PROGRAM);
        real.up();
        went_on(&real, &before).await;

        let before = work(&real, &mut moments, "back").await;
        real.kill();
        real.runs(&previous);
        real.up();
        went_on(&real, &before).await;
    }
}
