//! A database that is corrupt, read-only, full, or newer than the program.

use crate::harness::{at, both, facts, host, pod, pod_id, user_named};
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
    for (column, value) in [
        ("desired", "'maybe'"),
        ("progress", "4000"),
        ("attempt", "-1"),
        ("machine", "'x'"),
        ("failure", "'{}'"),
    ] {
        sqlite(&path, &format!("UPDATE pods SET {column} = {value}"));
        let error = db.reader().await.pod_get(&pod_id(1)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("corrupt row: pods.{column} of {}", pod_id(1)));
        sqlite(
            &path,
            "UPDATE pods SET desired = 'gone', progress = 0, attempt = 1, failure = NULL, machine = '\"absent\"'",
        );
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
async fn a_job_that_swallows_an_error_is_not_told_of_success() {
    for db in both().await {
        let path = db.folder().join("full.db");
        let full = Settings { pages_max: Some(100), ..Settings::at(path.display().to_string()) };
        let store = if db.kind == "sqlite" { Store::open(&full).await.unwrap() } else { db.store.clone() };
        let too_much = if db.kind == "sqlite" { 4_000_000 } else { 1 };
        let job = store.write(move |tx| {
            Box::pin(async move {
                let text = "x".repeat(too_much);
                // Full in one database, twice the same name in the other.
                for _ in 0..2 {
                    let _ = tx.event_insert(Some(&pod_id(1)), at(1), "big", &text).await;
                    let _ = tx.user_insert(&user_named("twin")).await;
                }
                tx.event_insert(Some(&pod_id(2)), at(1), "after", "").await.map(|()| 7).or(Ok(7))
            })
        });
        let answer: Result<i32, StoreError> = job.await;
        assert!(answer.is_err(), "{}: {answer:?}", db.kind);
        let mut tx = store.reader().await.unwrap();
        for pod in [1, 2] {
            assert_eq!(tx.event_list(&pod_id(pod), 0, 9).await.unwrap(), [], "{}", db.kind);
        }
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_job_that_filled_it_and_not_those_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    let settings = Settings { pages_max: Some(100), ..Settings::at(path.display().to_string()) };
    let store = Store::open(&settings).await.unwrap();
    let mut jobs = tokio::task::JoinSet::new();
    for number in 0..20u128 {
        let store = store.clone();
        jobs.spawn(async move {
            let text = "x".repeat(if number == 10 { 4_000_000 } else { 10 });
            let job = store.write(move |tx| {
                Box::pin(async move { tx.event_insert(Some(&pod_id(number)), at(1), "x", &text).await })
            });
            (number, job.await)
        });
    }
    while let Some(job) = jobs.join_next().await {
        let (number, result) = job.unwrap();
        let there = store.reader().await.unwrap().event_list(&pod_id(number), 0, 9).await.unwrap().len();
        match result {
            Ok(()) => assert_eq!(there, 1, "{number} was acknowledged"),
            Err(StoreError::DiskFull(_)) => assert_eq!(there, 0, "{number} was refused"),
            Err(error) => panic!("{number}: {error:?}"),
        }
        assert!(number < 11 || there == 1, "{number} came after the full one and had room");
    }
}

#[tokio::test]
async fn the_file_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    let store = open(&path).await.unwrap();
    store.write(|tx| Box::pin(async move { tx.event_insert(None, at(1), "x", "").await })).await.unwrap();
    for name in ["p.db", "p.db-wal", "p.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_podbay_is_used_until_it_says_that_this_one_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.db");
    open(&path).await.unwrap().close().await;
    sqlite(&path, "INSERT INTO _sqlx_migrations VALUES (9999, 'future', CURRENT_TIMESTAMP, TRUE, x'00', 0)");
    let store = open(&path).await.unwrap();
    let schema = store.reader().await.unwrap().schema().await.unwrap();
    assert_eq!((schema.applied, schema.pending()), (9999, 0));
    store.close().await;
    sqlite(&path, "UPDATE schema_floor SET migration = 9999");
    let Err(error) = open(&path).await else { panic!("a newer database was taken") };
    assert!(error.to_string().contains("written by a newer podbay"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told() {
    let Err(error) = open(Path::new("/nowhere/at/all.db")).await else { panic!("opened") };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
