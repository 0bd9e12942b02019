//! The group commit: isolation of jobs, and what is acknowledged.

use crate::harness::{at, both, pod_id};
use podbay_core::PodId;
use podbay_store::{Settings, Store, StoreError};

#[tokio::test]
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

#[tokio::test]
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

#[tokio::test]
async fn the_version_moves_before_a_write_is_answered() {
    for db in both().await {
        let before = db.store.version();
        db.write(|tx| Box::pin(async move { tx.event_insert(None, at(1), "x", "").await })).await.unwrap();
        assert!(db.store.version() > before, "{}", db.kind);
        assert_eq!(db.store.is_single_writer(), db.kind == "sqlite");
    }
}

#[tokio::test]
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
