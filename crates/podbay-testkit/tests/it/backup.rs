//! Backups, and what becomes of pods that are younger than the backup that is restored.

use podbay_core::limits;
use podbay_server::cli;
use podbay_server::tasks::audit::audit;
use podbay_testkit::{Client, TestServer};

async fn order(server: &TestServer, ada: &Client) -> String {
    let id = ada.post("/api/v1/pods", &TestServer::order()).await.ok()["id"].as_str().unwrap().to_owned();
    server.settle().await;
    id
}

/// A server whose data folder has all that a backup takes.
async fn server() -> TestServer {
    let server = TestServer::new().await;
    let (id, now) = (podbay_testkit::server::install_id(), server.clock.now());
    let named = server.app.store.write(move |tx| Box::pin(async move { tx.install_id(&id, now).await }));
    named.await.unwrap();
    std::fs::write(server.folder().join("host-keys.secret"), [7; 32]).unwrap();
    std::fs::write(server.folder().join("vault.secret"), [8; 32]).unwrap();
    server
}

#[tokio::test]
async fn an_older_backup_reaps_nothing_that_it_was_never_told_of() {
    if !podbay_testkit::database::is_file() {
        return;
    }
    let mut server = server().await;
    let ada = server.user("ada").await;
    let (kept, deleted) = (order(&server, &ada).await, order(&server, &ada).await);
    server.sweep().await;
    let room = tempfile::tempdir().unwrap();
    let copy = room.path().join("backup");
    // The server runs meanwhile.
    cli::backup(&copy, Some(server.folder().to_owned()), None).await.unwrap();
    server.clock.advance(std::time::Duration::from_secs(600));
    let younger = order(&server, &ada).await;
    let machine = server.row(&younger).await.machine_name();
    ada.delete(&format!("/api/v1/pods/{deleted}")).await.ok();
    server.settle().await;

    let restored = tempfile::tempdir().unwrap();
    cli::restore(&copy, Some(restored.path().join("data")), None).await.unwrap();
    server.move_to(restored.path().join("data")).await;
    server.settle().await;
    server.clock.advance(limits::ORPHAN_GRACE * 2);
    for _ in 0..2 {
        let found = server.sweep().await;
        assert_eq!((found.strays, found.removed), (vec![machine.clone()], Vec::new()));
    }
    assert!(server.world.machine(&machine).is_some_and(|machine| machine.is_running()), "it was reaped");
    audit(&server.app).await.unwrap();
    let found = audit(&server.app).await.unwrap().findings;
    let found: Vec<_> = found.iter().map(|found| (found.invariant, found.of.as_str())).collect();
    assert_eq!(found, [("P4", machine.as_str())]);

    let ada = server.user("ada").await;
    assert_eq!(ada.get(&format!("/api/v1/pods/{kept}")).await.ok()["status"], "ACTIVE");
    let lost = ada.get(&format!("/api/v1/pods/{deleted}")).await.ok();
    assert_eq!(lost["status"], "ERROR", "it was deleted after the backup: {lost}");
    ada.delete(&format!("/api/v1/pods/{deleted}")).await.ok();
    server.settle().await;
    let history = ada.get("/api/v1/pods/history").await.ok();
    assert_eq!(history["total_count"], 1);
}

#[tokio::test]
async fn what_is_in_the_way_of_a_backup_or_a_restore_is_said() {
    if !podbay_testkit::database::is_file() {
        return;
    }
    let server = server().await;
    let (data, room) = (server.folder().to_owned(), tempfile::tempdir().unwrap());
    let (copy, empty) = (room.path().join("backup"), room.path().join("empty"));
    cli::backup(&copy, Some(data.clone()), None).await.unwrap();
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
    };
    assert_eq!((mode(&copy), mode(&copy.join("vault.secret"))), (0o700, 0o600));
    let refused = |done: anyhow::Result<String>| format!("{:#}", done.unwrap_err());
    assert_eq!(
        refused(cli::backup(&copy, Some(data.clone()), None).await),
        format!("{} is not empty: name a new folder", copy.display())
    );
    assert_eq!(
        refused(cli::backup(&empty, Some(empty.clone()), None).await),
        format!("there is no database {}: is --data-dir right?", empty.join("podbay.db").display())
    );
    assert_eq!(
        refused(cli::restore(&copy, Some(data.clone()), None).await),
        format!(
            "{} is there already: move it away first, with its -wal and -shm files",
            data.join("podbay.db").display()
        )
    );
    assert_eq!(
        refused(cli::restore(&empty, Some(room.path().join("fresh")), None).await),
        format!("{} is not there: this is no backup, or not a whole one", empty.join("podbay.db").display())
    );
    let plain = room.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    for name in ["podbay.db", "host-keys.secret", "vault.secret"] {
        std::fs::write(plain.join(name), b"no database at all, but a text that is long enough").unwrap();
    }
    std::fs::create_dir(room.path().join("fresh")).unwrap();
    std::fs::write(room.path().join("fresh/vault.secret"), [9; 32]).unwrap();
    let text = refused(cli::restore(&plain, Some(room.path().join("fresh")), None).await);
    assert!(text.starts_with(&format!("{} cannot be restored", plain.display())), "{text}");
    assert!(!room.path().join("fresh/podbay.db").exists());
    let kept = std::fs::read(room.path().join("fresh/vault.secret")).unwrap();
    assert_eq!(kept, [9; 32], "what was there before is not lost to a backup that is none");
}
