//! One pod's life with OpenSSH's own programs, and what the engine is left with.

use crate::harness::{Real, engine_wanted, until};
use podbay_api::client::Client;
use podbay_api::pods::CreatePod;
use podbay_api::ssh_keys::AddSshKey;
use podbay_core::published::{InstallationStatus, PodStatus};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// An order of the smallest size.
pub fn order(name: &str) -> CreatePod {
    CreatePod::parse(&json!({
        "pod": { "name": name, "cloudId": "cpu-1x2", "gpuType": "CPU_NODE", "socket": "PCIe", "gpuCount": 1 },
        "provider": { "type": "primecompute" },
    }))
    .unwrap()
}

/// Waits for ACTIVE, checking on the way that the progress only grows and that the connection
/// appears with it. The connection.
async fn active(client: &Client, id: &str) -> String {
    let mut progress = 0;
    until("the pod is ACTIVE", Duration::from_secs(60), async || {
        let row = client.pod_statuses(&[id]).await.unwrap().remove(0);
        assert!(!row.status.is(PodStatus::Error), "{row:?}");
        assert!(row.installation_progress.unwrap() >= progress, "the progress went back: {row:?}");
        progress = row.installation_progress.unwrap();
        let is_active = row.status.is(PodStatus::Active);
        assert_eq!(is_active, row.ssh_connection.is_some() && row.ip.is_some(), "{row:?}");
        if !is_active {
            return None;
        }
        assert_eq!(
            (progress, row.installation_status.unwrap().is(InstallationStatus::Finished)),
            (100, true)
        );
        row.ssh_connection.unwrap().first().map(str::to_owned)
    })
    .await
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Flags that keep ssh from asking, and from using the tester's own keys.
fn flags(identity: &Path) -> Vec<String> {
    let mut flags: Vec<String> = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "LogLevel=ERROR",
        "BatchMode=yes",
    ]
    .iter()
    .flat_map(|option| ["-o".to_owned(), (*option).to_owned()])
    .collect();
    flags.extend(["-i".to_owned(), identity.display().to_string()]);
    flags
}

fn key_pair(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let made = run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    path
}

fn ssh(identity: &Path, connection: &str, command: &str) -> Output {
    let (target, port) = connection.split_once(" -p ").unwrap();
    let mut arguments = flags(identity);
    arguments.extend(["-p", port, target, command].map(str::to_owned));
    run("ssh", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_pod_from_order_to_history() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start();
    let client = real.client();
    let first = key_pair(real.folder(), "first");
    let public = std::fs::read_to_string(first.with_extension("pub")).unwrap();
    client.ssh_key_add(&AddSshKey { name: "first".into(), public_key: public }).await.unwrap();
    let id = client.pod_create(&order("life")).await.unwrap().id;
    let connection = active(&client, &id).await;

    let said = ssh(&first, &connection, "echo out; echo err >&2; exit 7");
    assert_eq!((said.status.code(), &*said.stdout, &*said.stderr), (Some(7), &b"out\n"[..], &b"err\n"[..]));
    let said = ssh(
        &first,
        &connection,
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), (2u64 << 30).to_string(), "the offer's 2 GB");

    // A key that is added reaches the running pod, and one that is deleted leaves it, within a second.
    let second = key_pair(real.folder(), "second");
    assert_eq!(ssh(&second, &connection, "true").status.code(), Some(255), "not yet a key of the account");
    let public = std::fs::read_to_string(second.with_extension("pub")).unwrap();
    let key = client.ssh_key_add(&AddSshKey { name: "second".into(), public_key: public }).await.unwrap();
    until("the new key works", Duration::from_secs(1), async || {
        ssh(&second, &connection, "true").status.success().then_some(())
    })
    .await;
    client.ssh_key_delete(&key.id).await.unwrap();
    until("the deleted key is refused", Duration::from_secs(1), async || {
        (!ssh(&second, &connection, "true").status.success()).then_some(())
    })
    .await;

    // A file in and out, unchanged.
    let (target, port) = connection.split_once(" -p ").unwrap();
    let (here, back) = (real.folder().join("here"), real.folder().join("back"));
    let bytes: Vec<u8> =
        (0..3_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(&here, &bytes).unwrap();
    for (from, to) in [
        (here.display().to_string(), format!("{target}:/tmp/there")),
        (format!("{target}:/tmp/there"), back.display().to_string()),
    ] {
        let mut arguments = flags(&first);
        arguments.extend(["-P".into(), port.into(), from, to]);
        let copied = run("scp", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    }
    assert!(std::fs::read(&back).unwrap() == bytes, "the copy differs");

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
