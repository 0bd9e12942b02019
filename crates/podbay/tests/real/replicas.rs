//! From one server with a file to several on PostgreSQL, while a pod runs.

use crate::harness::{Real, engine_wanted, postgres, until};
use crate::openssh::{active, key_added, order, ssh};
use std::time::Duration;

#[tokio::test]
async fn an_installation_moves_to_postgresql_and_gets_a_second_server_while_a_pod_runs() {
    let Some(database) = postgres("moves").filter(|_| engine_wanted()) else { return };
    let mut real = Real::start();
    let identity = key_added(&real, "owner").await;
    let pod = real.client().pod_create(&order("moves")).await.unwrap().id;
    let connection = active(&real.client(), &pod).await;
    assert!(ssh(&identity, &connection, "echo kept > /root/file").status.success());
    let container = real.container_ids().await;

    let refused = real.tool(&["db", "copy", "--to", &database]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another podbay serves"), "{refused:?}");
    real.stop();
    let copied = real.tool(&["db", "copy", "--to", &database]);
    let said = String::from_utf8_lossy(&copied.stdout).into_owned();
    assert!(copied.status.success() && said.contains("pods                           1 rows"), "{copied:?}");
    real.move_to(database);

    // Two servers of this folder, and none of another one.
    real.add();
    let elsewhere = real.program(&real.folder().join("elsewhere")).output().unwrap();
    let said = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert!(!elsewhere.status.success() && said.contains("with another data folder"), "{said}");
    let status = real.tool(&["db", "status"]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(said.matches(" s left").count(), 2, "{said}");

    let second = real.client_of(1);
    assert_eq!(active(&second, &pod).await, connection);
    assert_eq!(ssh(&identity, &connection, "cat /root/file").stdout, b"kept\n");
    assert_eq!(real.container_ids().await, container, "it is the same container");
    // The first one has the pod; what the second one is asked for it does, or the second one itself.
    second.pod_delete(&pod).await.unwrap();
    until("the pod is gone", Duration::from_secs(20), async || {
        real.containers().await.is_empty().then_some(())
    })
    .await;
    let other = second.pod_create(&order("after")).await.unwrap().id;
    active(&real.client(), &other).await;
    // It ends as an owner would end it: the other one need not wait for its lease.
    real.stop_nth(1);
    real.client().pod_delete(&other).await.unwrap();
    until("the pod is gone", Duration::from_secs(10), async || {
        real.containers().await.is_empty().then_some(())
    })
    .await;
}
