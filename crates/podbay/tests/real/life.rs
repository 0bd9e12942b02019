//! One pod's life with OpenSSH's own programs, and what the engine is left with.

use crate::harness::{Real, engine_wanted, until};
use crate::openssh::{Login, active, add, key_added, key_pair, order, ssh};
use podbay_core::published::PodStatus;
use std::time::Duration;

#[tokio::test]
async fn a_pod_from_order_to_history() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start();
    let client = real.client();
    let first = key_added(&real, "first").await;
    let id = client.pod_create(&order("life")).await.unwrap().id;
    let connection = active(&client, &id).await;
    let login = Login::new(&first, &connection);

    let said = login.ssh("echo out; echo err >&2; exit 7");
    assert_eq!((said.status.code(), &*said.stdout, &*said.stderr), (Some(7), &b"out\n"[..], &b"err\n"[..]));
    let said =
        login.ssh("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null");
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), (2u64 << 30).to_string(), "the offer's 2 GB");

    // A key that is added reaches the running pod, and one that is deleted leaves it, within a second.
    let second = key_pair(real.folder(), "second");
    assert_eq!(ssh(&second, &connection, "true").status.code(), Some(255), "not yet a key of the account");
    let key = add(&client, "second", &second).await;
    until("the new key works", Duration::from_secs(1), async || {
        ssh(&second, &connection, "true").status.success().then_some(())
    })
    .await;
    client.ssh_key_delete(&key).await.unwrap();
    until("the deleted key is refused", Duration::from_secs(1), async || {
        (!ssh(&second, &connection, "true").status.success()).then_some(())
    })
    .await;

    login.copies(real.folder(), "/tmp/there");

    assert_eq!(real.containers().await.len(), 1);
    assert!(client.pod_delete(&id).await.unwrap().status.is(PodStatus::Terminated), "gone within the call");
    assert_eq!(real.containers().await.len(), 0);
    let history = client.pod_history(&podbay_api::client::HistoryQuery::default()).await.unwrap();
    assert_eq!((history.total_count, history.data[0].id.as_str()), (1, id.as_str()));
    assert!(history.data[0].total_billed_price > 0.0);
}

#[tokio::test]
async fn an_image_that_is_not_there_ends_in_error_with_the_reason() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start_with("[images]\nubuntu_22_cuda_12 = \"localhost/podbay/no-such-image:latest\"\n");
    let client = real.client();
    let id = client.pod_create(&order("no image")).await.unwrap().id;
    let failure = until("the pod is in ERROR", Duration::from_secs(20), async || {
        let row = client.pod_statuses(&[&id]).await.unwrap().remove(0);
        row.status.is(PodStatus::Error).then_some(row.installation_failure).flatten()
    })
    .await;
    assert!(failure.contains("no-such-image"), "{failure}");
    client.pod_delete(&id).await.unwrap();
    until("the pod is gone", Duration::from_secs(10), async || {
        client.pods_all().await.unwrap().is_empty().then_some(())
    })
    .await;
}
