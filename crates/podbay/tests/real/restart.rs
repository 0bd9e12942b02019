//! A machine that ends by itself is started again where that was ordered, and the owner can read it.

use crate::harness::{Real, engine_wanted, until};
use crate::openssh::{active, key_pair, order, ssh};
use podbay_api::ssh_keys::AddSshKey;
use podbay_core::published::PodStatus;
use std::process::Command;
use std::time::Duration;

#[tokio::test]
async fn a_machine_whose_main_process_was_killed_runs_again() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start();
    let client = real.client();
    let identity = key_pair(real.folder(), "owner");
    let public_key = std::fs::read_to_string(identity.with_extension("pub")).unwrap();
    client.ssh_key_add(&AddSshKey { name: "owner".into(), public_key }).await.unwrap();
    let mut wanted = order("restart");
    wanted.pod.auto_restart = Some(true);
    let pod = client.pod_create(&wanted).await.unwrap().id;
    let connection = active(&client, &pod).await;
    assert!(ssh(&identity, &connection, "echo kept > /root/file").status.success());

    let process = real.containers().await[0]["State"]["Pid"].to_string();
    assert!(Command::new("kill").args(["-KILL", &process]).status().unwrap().success());
    let event = until("the event of the restart", Duration::from_secs(60), async || {
        let events = client.pod_events(&pod, 0, 100).await.unwrap();
        events.into_iter().find(|event| event.kind == "machine.restarted")
    })
    .await;
    assert!(event.text.contains("restart 1 of 5"), "{}", event.text);
    let said = until("the pod is ACTIVE and lets in", Duration::from_secs(60), async || {
        let row = client.pod_statuses(&[&pod]).await.unwrap().remove(0);
        assert!(!row.status.is(PodStatus::Error), "{row:?}");
        let connection = row.ssh_connection.as_ref().and_then(|all| all.first())?;
        let said = ssh(&identity, connection, "cat /root/file");
        (row.status.is(PodStatus::Active) && said.status.success()).then_some(said.stdout)
    })
    .await;
    assert_eq!(said, b"kept\n", "a restart keeps the machine's files");
    client.pod_delete(&pod).await.unwrap();
}
