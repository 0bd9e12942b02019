//! kill -9 of the server at twenty moments of creates and of deletes: afterwards nothing is left
//! without its pod, and no pod without its container.

use crate::harness::{Real, engine_wanted, until};
use crate::life::order;
use podbay_core::published::PodStatus;
use std::collections::BTreeSet;
use std::time::Duration;

const ROUNDS: u32 = 20;

/// Lets the server work for a moment that differs from round to round, and kills it. The moment is
/// counted in answers of the server, so that it falls anywhere between the first row and SSH.
async fn kill_within(real: &mut Real, answers: u32) {
    let client = real.client();
    for _ in 0..answers {
        client.pods(0, 10).await.unwrap();
    }
    real.kill();
    real.up();
}

/// Spreads 0..`most` over the rounds without a pattern that a fixed step would have.
fn moment(round: u32, most: u32) -> u32 {
    (round.wrapping_mul(2_654_435_761) >> 8) % most
}

#[tokio::test]
async fn a_killed_server_loses_and_leaks_nothing() {
    if !engine_wanted() {
        return;
    }
    let mut real = Real::start();
    let mut ids = BTreeSet::new();
    for round in 0..ROUNDS {
        let id = real.client().pod_create(&order(&format!("crash {round}"))).await.unwrap().id;
        ids.insert(id);
        kill_within(&mut real, moment(round, 200)).await;
    }
    let client = real.client();
    until("every pod that was accepted is ACTIVE", Duration::from_secs(120), async || {
        let pods = client.pods_all().await.unwrap();
        let listed: BTreeSet<String> = pods.iter().map(|pod| pod.id.clone()).collect();
        assert_eq!(listed, ids, "an accepted create is never lost, and makes one pod");
        pods.iter().all(|pod| pod.status.is(PodStatus::Active)).then_some(())
    })
    .await;
    let owners: Vec<String> = real
        .containers()
        .await
        .iter()
        .map(|container| container["Config"]["Labels"]["podbay.pod"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(owners.len(), ids.len(), "one container each");
    assert_eq!(owners.into_iter().collect::<BTreeSet<_>>(), ids);
    assert_eq!(real.rows().await.usage_open_count().await.unwrap(), ids.len() as u64);

    for (round, id) in (0..).zip(&ids) {
        let client = real.client();
        let deleting = client.pod_delete(id);
        // The answer may be lost with the server; the delete may not.
        let _ = tokio::time::timeout(Duration::from_millis(u64::from(moment(round, 40))), deleting).await;
        kill_within(&mut real, moment(round + 7, 60)).await;
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
    assert_eq!(real.containers().await, Vec::<serde_json::Value>::new());
    let mut rows = real.rows().await;
    assert_eq!(rows.usage_open_count().await.unwrap(), 0, "nothing is billed any more");
    let host = podbay_core::HostId::from_stored("local".into());
    assert_eq!(rows.port_list(&host).await.unwrap(), []);
    let history = client.pod_history(&podbay_api::client::HistoryQuery::default()).await.unwrap();
    assert_eq!(history.total_count, ids.len() as u64);
}
