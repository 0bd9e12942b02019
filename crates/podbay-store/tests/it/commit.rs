//! The group commit: isolation of jobs, and what is acknowledged.

use crate::harness::{at, both, pod_id};
use podbay_core::PodId;
use podbay_store::{Settings, Store, StoreError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failing_job_among_many_undoes_only_itself() {
    for db in both().await {
        let mut jobs = tokio::task::JoinSet::new();
        for number in 0..200u128 {
            let store = db.store.clone();
            jobs.spawn(async move {
                let job = store.write(move |tx| {
                    Box::pin(async move {
                        tx.event_insert(Some(&pod_id(number)), at(1), "kept", "").await?;
                        if number % 3 == 0 { Err(StoreError::Other("no".into())) } else { Ok(number) }
                    })
                });
                (number, job.await)
            });
        }
        while let Some(job) = jobs.join_next().await {
            let (number, result) = job.unwrap();
            assert_eq!(result.is_ok(), number % 3 != 0, "{}: {result:?}", db.kind);
            let events = db.reader().await.event_list(&pod_id(number), 0, 9).await.unwrap();
            assert_eq!(events.len(), usize::from(number % 3 != 0), "{}: {number}", db.kind);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_panics_is_undone_and_the_writer_lives_on() {
    for db in both().await {
        let store = db.store.clone();
        let panicking = tokio::spawn(async move {
            store
                .write::<(), StoreError, _>(|tx| {
                    Box::pin(async move {
                        tx.event_insert(Some(&pod_id(1)), at(1), "lost", "").await?;
                        panic!("on purpose");
                    })
                })
                .await
        });
        assert!(panicking.await.unwrap_err().is_panic());
        db.write(|tx| Box::pin(async move { tx.event_insert(Some(&pod_id(2)), at(1), "kept", "").await }))
            .await
            .unwrap();
        let mut tx = db.reader().await;
        assert_eq!(tx.event_list(&pod_id(1), 0, 9).await.unwrap(), [], "{}", db.kind);
        assert_eq!(tx.event_list(&pod_id(2), 0, 9).await.unwrap().len(), 1, "{}", db.kind);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_panics_or_is_given_up_holds_nobody_up() {
    for db in both().await {
        for _ in 0..20 {
            let store = db.store.clone();
            let panics = tokio::spawn(async move {
                let read = store.snapshot(|tx| {
                    Box::pin(async move {
                        match tx.user_list().await?.len() {
                            0 => panic!("on purpose"),
                            some => Ok::<_, StoreError>(some),
                        }
                    })
                });
                read.await
            });
            assert!(panics.await.unwrap_err().is_panic(), "{}", db.kind);
            let store = db.store.clone();
            let waits = tokio::spawn(async move {
                store.snapshot(|tx| Box::pin(async move { tx.user_list().await })).await
            });
            waits.abort();
            let _ = waits.await;
        }
        let read = db.store.snapshot(|tx| Box::pin(async move { tx.event_list(&pod_id(1), 0, 1).await }));
        assert_eq!(read.await.unwrap(), [], "{}", db.kind);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_version_moves_before_a_write_is_answered() {
    for db in both().await {
        let before = db.store.version();
        db.write(|tx| Box::pin(async move { tx.event_insert(None, at(1), "x", "").await })).await.unwrap();
        assert!(db.store.version() > before, "{}", db.kind);
        assert_eq!(db.store.is_single_writer(), db.kind == "sqlite");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_the_process_forgot_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::at(folder.path().join("p.db").display().to_string());
    let store = Store::open(&settings).await.unwrap();
    let written =
        store.write(|tx| Box::pin(async move { tx.event_insert(None::<&PodId>, at(1), "x", "").await }));
    written.await.unwrap();
    // Not closed: as after a kill.
    std::mem::forget(store);
    let again = Store::open(&settings).await.unwrap();
    assert_eq!(
        again
            .reader()
            .await
            .unwrap()
            .event_list(&PodId::from_stored(String::new()), 0, 9)
            .await
            .unwrap()
            .len(),
        1
    );
    again.close().await;
    let late = again.write(|tx| Box::pin(async move { tx.event_insert(None, at(1), "x", "").await }));
    assert!(matches!(late.await, Err(StoreError::Unavailable(_))));
}

/// Nothing longer is waited for in the tests below.
const WRITES_MAX: i64 = 4_000;
const MIB: u64 = 1024 * 1024;

/// One event of 100 kB: 25 pages and more.
async fn write_much(store: &Store, number: i64) {
    let job = store.write(move |tx| {
        Box::pin(
            async move { tx.event_insert(Some(&pod_id(7)), at(number), "much", &"x".repeat(100_000)).await },
        )
    });
    job.await.unwrap();
}

fn log_size(folder: &std::path::Path) -> u64 {
    folder.join("podbay.db-wal").metadata().map_or(0, |file| file.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_write_ahead_log_stays_small_while_much_is_written() {
    let [db, ..] = &both().await[..] else { panic!("no SQLite") };
    for number in 0..1_000 {
        write_much(&db.store, number).await;
        let size = log_size(db.folder());
        assert!(size < 80 * MIB, "{size} bytes after {number} writes");
    }
    // As after a kill: the file and its log, as they are, opened by another process.
    let copy = tempfile::tempdir().unwrap();
    for name in ["podbay.db-wal", "podbay.db"] {
        std::fs::copy(db.folder().join(name), copy.path().join(name)).unwrap();
    }
    db.store.close().await;
    assert_eq!(log_size(db.folder()), 0, "a file that was closed is whole by itself");
    for folder in [db.folder(), copy.path()] {
        let again = Store::open(&Settings::at(folder.join("podbay.db").display().to_string())).await.unwrap();
        let events = again.reader().await.unwrap().event_list(&pod_id(7), 0, 2_000).await.unwrap();
        assert_eq!(events.len(), 1_000, "{}", folder.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_that_a_slow_reader_has_held_back_is_given_up_when_it_ends() {
    let [db, ..] = &both().await[..] else { panic!("no SQLite") };
    write_much(&db.store, 0).await;
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let store = db.store.clone();
    let slow = tokio::spawn(async move {
        let read = store.snapshot(|tx| {
            Box::pin(async move {
                let before = tx.event_list(&pod_id(7), 0, 2_000).await?.len();
                begin.send(()).unwrap();
                ended.await.unwrap();
                Ok::<_, StoreError>((before, tx.event_list(&pod_id(7), 0, 2_000).await?.len()))
            })
        });
        read.await.unwrap()
    });
    begun.await.unwrap();
    let mut number = 1;
    while log_size(db.folder()) < 80 * MIB {
        assert!(number < WRITES_MAX, "a reader is in the way of writes");
        write_much(&db.store, number).await;
        number += 1;
    }
    end.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), (1, 1), "a snapshot does not move");
    while log_size(db.folder()) > 64 * MIB {
        assert!(number < WRITES_MAX, "the log stays as large as it was");
        write_much(&db.store, number).await;
        number += 1;
    }
    let events = db.reader().await.event_list(&pod_id(7), 0, 8_000).await.unwrap();
    assert_eq!(events.len() as i64, number);
}
