//! Pods and their usage.

use crate::harness::{Db, at, both, host, pod, pod_id, user};
use podbay_core::pod::{Desired, Failure, FailureCode, MachineFact, MachinePhase, Pod, Resource};
use podbay_core::usage::{UsageState, total};
use podbay_core::{Micros, PodId};
use podbay_store::{HistorySort, PodMark};

async fn insert(db: &Db, pods: Vec<Pod>) {
    db.write(move |tx| {
        Box::pin(async move {
            for pod in &pods {
                tx.pod_insert(pod).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

async fn update(db: &Db, pod: &Pod, expected: i64) -> bool {
    let pod = pod.clone();
    db.write(move |tx| Box::pin(async move { tx.pod_update(&pod, expected).await })).await.unwrap()
}

async fn get(db: &Db, id: &PodId) -> Pod {
    db.reader().await.pod_get(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_pod_is_read_as_it_was_written() {
    for db in both().await {
        db.furnish().await;
        let mut full = pod(1, 1, 10);
        full.machine = Resource::Present(MachineFact {
            handle: "h".into(),
            phase: MachinePhase::Exited { code: 137, oom: true, at: Some(at(5)), started_at: Some(at(4)) },
            seen_at: at(6),
        });
        full.attempt_failed = Some(Failure { code: FailureCode::PortTaken, text: "üm".into(), at: at(7) });
        full.ready_at = Some(at(8));
        insert(&db, vec![full.clone()]).await;
        assert_eq!(get(&db, &full.id).await, full, "{}", db.kind);
        assert_eq!(db.reader().await.pod_get(&pod_id(2)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_reconciler_and_the_user_write_past_each_other() {
    for db in both().await {
        db.furnish().await;
        insert(&db, vec![pod(1, 1, 10)]).await;
        let mut seen = get(&db, &pod_id(1)).await;
        let gone =
            |now| db.write(move |tx| Box::pin(async move { tx.pod_set_gone(&pod_id(1), at(now)).await }));
        assert!(gone(20).await.unwrap() && !gone(21).await.unwrap(), "{}: once", db.kind);
        seen.attempt = 2;
        seen.machine = Resource::Unknown { since: at(30) };
        assert!(update(&db, &seen, 1).await, "{}: the delete does not disturb the reconciler", db.kind);
        assert!(!update(&db, &seen, 1).await, "{}: an old version loses", db.kind);
        let now = get(&db, &pod_id(1)).await;
        assert_eq!(
            (now.desired, now.generation, now.attempt, now.version),
            (Desired::Gone, 2, 2, 2),
            "{}",
            db.kind
        );
        assert_eq!(now.machine, Resource::Unknown { since: at(30) });
    }
}

#[tokio::test]
async fn what_follows_from_an_old_wish_is_not_written() {
    for db in both().await {
        db.furnish().await;
        insert(&db, vec![pod(1, 1, 10)]).await;
        let as_wanted = |pod: &Pod, expected| {
            let pod = pod.clone();
            db.write(move |tx| Box::pin(async move { tx.pod_update_as_wanted(&pod, expected).await }))
        };
        let mut seen = get(&db, &pod_id(1)).await;
        seen.machine = Resource::Unknown { since: at(30) };
        assert!(as_wanted(&seen, 1).await.unwrap(), "{}", db.kind);
        assert!(!as_wanted(&seen, 1).await.unwrap(), "{}: an old version", db.kind);
        let gone = db.write(|tx| Box::pin(async move { tx.pod_set_gone(&pod_id(1), at(40)).await }));
        assert!(gone.await.unwrap());
        let deleted = get(&db, &pod_id(1)).await;
        seen.attempt = 2;
        assert!(!as_wanted(&seen, 2).await.unwrap(), "{}: the version fits, the wish does not", db.kind);
        assert_eq!(get(&db, &pod_id(1)).await, deleted, "{}: nothing is written", db.kind);
        let ended = Pod { terminated_at: Some(at(50)), ..deleted };
        assert!(!as_wanted(&ended, 1).await.unwrap(), "{}", db.kind);
        assert_eq!(get(&db, &pod_id(1)).await.terminated_at, None, "{}: nor has it ended", db.kind);
        assert!(as_wanted(&ended, 2).await.unwrap());
        assert_eq!(get(&db, &pod_id(1)).await, Pod { version: 3, ..ended }, "{}", db.kind);
    }
}

#[tokio::test]
async fn books_are_read_on_from_what_was_read_before() {
    for db in both().await {
        db.furnish().await;
        insert(&db, (1..=4).map(|number| pod(number, 1, 10)).collect()).await;
        let before = db.reader().await.books().await.unwrap();
        let updated = Pod { attempt: 2, ..get(&db, &pod_id(1)).await };
        assert!(update(&db, &updated, 1).await);
        let ended = Pod { terminated_at: Some(at(20)), ..get(&db, &pod_id(2)).await };
        assert!(update(&db, &ended, 1).await);
        let wished = db.write(|tx| Box::pin(async move { tx.pod_set_gone(&pod_id(3), at(40)).await }));
        assert!(wished.await.unwrap());
        insert(&db, vec![pod(5, 1, 10)]).await;
        let mut tx = db.reader().await;
        let (after, whole) = (tx.books_after(before).await.unwrap(), tx.books().await.unwrap());
        assert_eq!(after.pods, whole.pods, "{}", db.kind);
        assert_eq!(
            after.pods.iter().map(|pod| &pod.id).collect::<Vec<_>>(),
            [1, 3, 4, 5].map(pod_id).each_ref()
        );
        assert_eq!((after.pods[0].attempt, after.pods[1].generation), (2, 2), "{}", db.kind);
    }
}

#[tokio::test]
async fn progress_only_grows_within_an_attempt() {
    for db in both().await {
        db.furnish().await;
        insert(&db, vec![pod(1, 1, 10)]).await;
        let progress = |attempt, percent| {
            db.write(move |tx| {
                Box::pin(async move { tx.pod_progress(&pod_id(1), attempt, percent, at(1)).await })
            })
        };
        assert!(progress(1, 40).await.unwrap());
        assert!(!progress(1, 30).await.unwrap() && !progress(2, 90).await.unwrap(), "{}", db.kind);
        let mut pod = get(&db, &pod_id(1)).await;
        pod.progress = 10;
        assert!(update(&db, &pod, 1).await);
        assert_eq!(get(&db, &pod_id(1)).await.progress, 40, "{}: written beside meanwhile", db.kind);
        pod.attempt = 2;
        pod.progress = 0;
        assert!(update(&db, &pod, 2).await);
        assert_eq!(get(&db, &pod_id(1)).await.progress, 0, "{}: a new attempt begins anew", db.kind);
    }
}

#[tokio::test]
async fn lists_are_of_one_user_and_stable() {
    for db in both().await {
        db.furnish().await;
        // Pairs share a time, so that the id decides.
        let mut pods: Vec<Pod> = (1..=40).map(|number| pod(number, 1, (number / 2) as i64)).collect();
        pods.push(pod(99, 2, 5));
        for pod in pods.iter_mut().take(10) {
            pod.terminated_at = Some(at(1000 - pod.created_at.as_millis()));
        }
        insert(&db, pods.clone()).await;
        let mut tx = db.reader().await;
        let live = tx.pod_list_live(&user(1), 0, 100).await.unwrap();
        assert_eq!((live.total, live.items.len()), (30, 30), "{}", db.kind);
        assert_eq!(live.items[0].id, pod_id(40));
        let mut paged = Vec::new();
        for offset in (0..35).step_by(7) {
            paged.extend(tx.pod_list_live(&user(1), offset, 7).await.unwrap().items);
        }
        assert_eq!(paged, live.items);
        let marked = |pod: &Pod| (pod.id.clone(), PodMark::of(pod));
        let marks: Vec<_> = live.items.iter().map(marked).collect();
        assert_eq!(tx.pod_marks(&user(1)).await.unwrap(), marks, "{}", db.kind);
        assert_eq!(tx.pod_list_on_host(&host()).await.unwrap().len(), 31);
        assert_eq!(tx.pod_live_ids().await.unwrap().len(), 31);

        let ids: Vec<PodId> = [40, 40, 5, 99, 12, 1000, 11].into_iter().chain(13..=38).map(pod_id).collect();
        let found: Vec<PodId> =
            tx.pod_list_by_ids(&user(1), &ids).await.unwrap().into_iter().map(|pod| pod.id).collect();
        let expected: Vec<PodId> = [40, 12, 11].into_iter().chain(13..=38).map(pod_id).collect();
        assert_eq!(found, expected, "{}: live ones of the user, in the asked order, once", db.kind);
        let marks = tx.pod_marks_by_ids(&user(1), &ids).await.unwrap();
        assert_eq!(marks.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected, "{}", db.kind);

        // The lists of ids that a statement is kept for, and their edges.
        for count in [0, 1, 2, 16, 17, 128, 129] {
            let ids: Vec<PodId> =
                (41 - count..=40).rev().map(|number| pod_id(number.max(0) as u128)).collect();
            let found = tx.pod_list_by_ids(&user(1), &ids).await.unwrap();
            assert_eq!(found.len() as i64, count.min(30), "{}: {count} ids", db.kind);
        }

        let ended = async |tx: &mut podbay_store::Tx, sort, descending| {
            let page = tx.pod_list_history(&user(1), sort, descending, 0, 3).await.unwrap();
            assert_eq!(page.total, 10);
            page.items.into_iter().map(|pod| pod.id).collect::<Vec<_>>()
        };
        assert_eq!(
            ended(&mut tx, HistorySort::TerminatedAt, true).await,
            [1, 3, 2].map(pod_id),
            "{}",
            db.kind
        );
        assert_eq!(ended(&mut tx, HistorySort::TerminatedAt, false).await, [10, 8, 9].map(pod_id));
        assert_eq!(ended(&mut tx, HistorySort::CreatedAt, true).await, [10, 9, 8].map(pod_id));
        assert_eq!(ended(&mut tx, HistorySort::CreatedAt, false).await, [1, 2, 3].map(pod_id));
    }
}

#[tokio::test]
async fn at_most_one_interval_is_open_and_it_closes_once() {
    for db in both().await {
        db.furnish().await;
        let open = |when| {
            db.write(move |tx| {
                Box::pin(async move {
                    tx.usage_open(&pod_id(1), UsageState::Running, Micros(3_600_000), at(when)).await
                })
            })
        };
        let close =
            |when| db.write(move |tx| Box::pin(async move { tx.usage_close(&pod_id(1), at(when)).await }));
        assert!(!close(1).await.unwrap(), "{}", db.kind);
        open(1000).await.unwrap();
        open(2000).await.unwrap();
        assert_eq!(db.reader().await.usage_open_count().await.unwrap(), 1);
        assert!(close(4000).await.unwrap() && !close(9000).await.unwrap());
        open(5000).await.unwrap();
        assert!(close(1).await.unwrap(), "{}: a clock that jumped back closes at the start", db.kind);
        let intervals = db.reader().await.usage_list(&pod_id(1)).await.unwrap();
        assert_eq!(total(&intervals, at(99_999)).billed, Micros(3000), "{}: three seconds", db.kind);
        assert_eq!(intervals.len(), 2);
        let cut =
            |when| db.write(move |tx| Box::pin(async move { tx.usage_cut(&pod_id(1), at(when)).await }));
        assert!(!cut(5000).await.unwrap() && !cut(9000).await.unwrap(), "{}: not made longer", db.kind);
        open(6000).await.unwrap();
        assert!(!cut(6500).await.unwrap(), "{}: it is open", db.kind);
        close(8000).await.unwrap();
        assert!(cut(7000).await.unwrap() && !cut(7000).await.unwrap());
        let intervals = db.reader().await.usage_list(&pod_id(1)).await.unwrap();
        assert_eq!(total(&intervals, at(99_999)).billed, Micros(4000), "{}: four seconds", db.kind);
        assert!(cut(1).await.unwrap(), "{}: not before its start", db.kind);
        let intervals = db.reader().await.usage_list(&pod_id(1)).await.unwrap();
        assert_eq!(total(&intervals, at(99_999)).billed, Micros(3000), "{}: three again", db.kind);
        assert!(db.reader().await.usage_of(&[pod_id(7)]).await.unwrap().is_empty());
        let twice = db.reader().await.usage_of(&[pod_id(1), pod_id(1)]).await.unwrap();
        assert_eq!(twice[&pod_id(1)].len(), db.reader().await.usage_list(&pod_id(1)).await.unwrap().len());
    }
}
