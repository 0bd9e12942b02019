//! A database that is corrupt, read-only, full, or newer than the program.

use crate::harness::{at, both, facts, host, pod, pod_id};
use podbay_store::{Settings, Store, StoreError};
use std::path::Path;
use std::process::Command;

fn sqlite(path: &Path, sql: &str) {
    let output = Command::new("sqlite3").arg(path).arg(sql).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(&Settings::at(path.display().to_string())).await
}

#[tokio::test]
async fn a_corrupt_row_is_named_by_table_column_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    let store = open(&path).await.unwrap();
    store.write(|tx| Box::pin(async move { tx.host_put(&host(), &facts(), at(0)).await })).await.unwrap();
    for (column, value) in [("facts", "'{'"), ("facts", "'[]'")] {
        sqlite(&path, &format!("UPDATE hosts SET {column} = {value}"));
        let error = store.reader().await.unwrap().host_get(&host()).await.unwrap_err();
        assert_eq!(error.to_string(), "corrupt row: hosts.facts of local");
        assert!(!error.retryable());
    }
}

#[tokio::test]
async fn a_corrupt_pod_does_not_become_a_default() {
    let db = both().await.remove(0);
    db.furnish().await;
    let job = db.write(|tx| Box::pin(async move { tx.pod_insert(&pod(1, 1, 1)).await }));
    job.await.unwrap();
    let path = db.folder().join("podbay.db");
    for (column, value) in
        [("desired", "'maybe'"), ("progress", "4000"), ("attempt", "-1"), ("machine", "'x'")]
    {
        sqlite(&path, &format!("UPDATE pods SET {column} = {value}"));
        let error = db.reader().await.pod_get(&pod_id(1)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("corrupt row: pods.{column} of {}", pod_id(1)));
        sqlite(&path, "UPDATE pods SET desired = 'gone', progress = 0, attempt = 1, machine = '\"absent\"'");
        assert!(db.reader().await.pod_get(&pod_id(1)).await.is_ok());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    let settings = Settings { pages_max: Some(100), ..Settings::at(path.display().to_string()) };
    let store = Store::open(&settings).await.unwrap();
    let write = |text: String| {
        store.write(move |tx| {
            Box::pin(async move { tx.event_insert(Some(&pod_id(1)), at(1), "x", &text).await })
        })
    };
    write("small".into()).await.unwrap();
    let error = write("x".repeat(4_000_000)).await.unwrap_err();
    assert!(matches!(error, StoreError::DiskFull(_)), "{error:?}");
    write("small again".into()).await.unwrap();
    assert_eq!(store.reader().await.unwrap().event_list(&pod_id(1), 0, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_database_of_a_newer_podbay_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    open(&path).await.unwrap().close().await;
    sqlite(&path, "INSERT INTO _sqlx_migrations VALUES (9999, 'future', CURRENT_TIMESTAMP, TRUE, x'00', 0)");
    let Err(error) = open(&path).await else { panic!("a newer database was taken") };
    assert!(error.to_string().contains("written by a newer podbay"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told() {
    let Err(error) = open(Path::new("/nowhere/at/all.db")).await else { panic!("opened") };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
