//! Disks, what they are attached to, and what they hold.

use crate::harness::{Db, at, both, host, pod_id, size, user};
use podbay_core::disk::{Attachment, Desired, Disk, VolumeFact};
use podbay_core::place::CpuSize;
use podbay_core::pod::{Failure, FailureCode, Resource};
use podbay_core::usage::UsageState;
use podbay_core::{DiskId, Micros, TeamId};
use podbay_store::StoreError;

fn id(number: u128) -> DiskId {
    DiskId::from_bits(0xd15c_0000 + number)
}

fn disk(number: u128, owner: u128, created: i64) -> Disk {
    Disk {
        id: id(number),
        user_id: user(owner),
        team_id: None,
        host_id: host(),
        name: format!("disk {number}"),
        size_gb: 10,
        price_gb: Micros(100),
        desired: Desired::Present,
        generation: 1,
        volume: Resource::Absent,
        failure: None,
        ready_at: None,
        setbacks: 0,
        next_at: at(created),
        version: 1,
        created_at: at(created),
        updated_at: at(created),
        terminated_at: None,
    }
}

async fn insert(db: &Db, disks: Vec<Disk>) {
    db.furnish().await;
    let job = db.write(move |tx| {
        Box::pin(async move {
            for disk in &disks {
                tx.disk_insert(disk).await?;
            }
            Ok(())
        })
    });
    job.await.unwrap();
}

async fn get(db: &Db, number: u128) -> Disk {
    db.reader().await.disk_get(&id(number)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_disk_is_read_as_it_was_written() {
    for db in both().await {
        let full = Disk {
            team_id: Some(TeamId::from_bits(5)),
            volume: Resource::Present(VolumeFact { name: "v".into(), held_gb: Some(10) }),
            failure: Some(Failure { code: FailureCode::DiskLost, text: "weg: ü".into(), at: at(4) }),
            ready_at: Some(at(3)),
            setbacks: 2,
            terminated_at: Some(at(9)),
            ..disk(1, 1, 1)
        };
        insert(&db, vec![full.clone()]).await;
        assert_eq!(get(&db, 1).await, full, "{}", db.kind);
        assert_eq!(db.reader().await.disk_get(&id(2)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn lists_show_what_lives_newest_first_and_each_user_their_own() {
    for db in both().await {
        let gone = Disk { terminated_at: Some(at(9)), ..disk(4, 1, 4) };
        insert(&db, vec![disk(1, 1, 1), disk(2, 1, 2), disk(3, 2, 3), gone]).await;
        let mut tx = db.reader().await;
        let page = tx.disk_list_live(&user(1), 0, 1).await.unwrap();
        assert_eq!((page.total, page.items[0].id.clone()), (2, id(2)), "{}", db.kind);
        let page = tx.disk_list_live(&user(1), 1, 10).await.unwrap();
        assert_eq!(page.items.iter().map(|disk| disk.id.clone()).collect::<Vec<_>>(), [id(1)]);
        assert_eq!(tx.disk_live_ids().await.unwrap(), [id(1), id(2), id(3)]);
        assert_eq!(tx.disk_list_on_host(&host()).await.unwrap().len(), 3);
        assert_eq!(
            tx.disk_sizes(&[id(1), id(9)]).await.unwrap().into_iter().collect::<Vec<_>>(),
            [(id(1), 10)]
        );
    }
}

#[tokio::test]
async fn the_reconciler_and_the_user_write_past_each_other() {
    for db in both().await {
        insert(&db, vec![disk(1, 1, 1)]).await;
        let seen = get(&db, 1).await;
        let set = db.write(|tx| Box::pin(async move { tx.disk_set(&id(1), "other", 20, at(5)).await }));
        set.await.unwrap();
        let update = |disk: Disk, version| {
            db.write(move |tx| Box::pin(async move { tx.disk_update(&disk, version).await }))
        };
        let as_wanted = |disk: Disk, version| {
            db.write(move |tx| Box::pin(async move { tx.disk_update_as_wanted(&disk, version).await }))
        };
        let learned = Disk { ready_at: Some(at(6)), ..seen };
        assert!(!as_wanted(learned.clone(), 1).await.unwrap(), "{}: what was wanted then", db.kind);
        assert_eq!(get(&db, 1).await.ready_at, None, "{}", db.kind);
        assert!(update(learned.clone(), 1).await.unwrap(), "{}: a rename does not disturb it", db.kind);
        assert!(!update(learned, 1).await.unwrap(), "{}: an old version", db.kind);
        let now = get(&db, 1).await;
        assert_eq!((now.name.as_str(), now.size_gb, now.generation, now.version), ("other", 20, 2, 2));
        let gone =
            |millis| db.write(move |tx| Box::pin(async move { tx.disk_set_gone(&id(1), at(millis)).await }));
        assert!(gone(7).await.unwrap() && !gone(8).await.unwrap(), "{}: once", db.kind);
        let now = get(&db, 1).await;
        assert_eq!((now.desired, now.generation, now.next_at), (Desired::Gone, 3, at(7)));
        let ended = Disk { terminated_at: Some(at(9)), ..now };
        assert!(as_wanted(ended.clone(), 2).await.unwrap());
        assert_eq!(get(&db, 1).await, Disk { version: 3, ..ended }, "{}", db.kind);
    }
}

#[tokio::test]
async fn a_disk_and_a_pod_share_one_host_and_one_book() {
    for db in both().await {
        insert(&db, vec![disk(1, 1, 1)]).await;
        let room = |gb| CpuSize { vcpus: 0, memory_gb: 0, disk_gb: gb };
        let take = |gb| {
            db.write(move |tx| {
                Box::pin(async move { tx.placement_take(&host(), &id(1), &room(gb), None, at(1)).await })
            })
        };
        let grow =
            |gb| db.write(move |tx| Box::pin(async move { tx.placement_grow(&id(1), gb, at(2)).await }));
        assert!(!grow(1).await.unwrap(), "{}: what holds nothing cannot grow", db.kind);
        assert_eq!(take(101).await.unwrap(), None, "{}: the host has 100", db.kind);
        assert!(take(60).await.unwrap().is_some());
        let pod = db.write(|tx| {
            Box::pin(async move { tx.placement_take(&host(), &pod_id(1), &size(), None, at(1)).await })
        });
        assert!(pod.await.unwrap().is_some());
        assert!(!grow(31).await.unwrap(), "{}: 30 are free", db.kind);
        assert!(grow(30).await.unwrap());
        let free = db.reader().await.host_free(&host()).await.unwrap().unwrap();
        assert_eq!((free.disk_gb, free.vcpus), (0, 6), "{}", db.kind);
        let release = || db.write(|tx| Box::pin(async move { tx.placement_release(&id(1), at(3)).await }));
        assert!(release().await.unwrap() && !release().await.unwrap(), "{}: once", db.kind);
        let free = db.reader().await.host_free(&host()).await.unwrap().unwrap();
        assert_eq!((free.disk_gb, free.vcpus), (90, 6), "{}: the pod's is still held", db.kind);

        let book = db.write(|tx| {
            Box::pin(async move {
                tx.usage_open(&id(1), UsageState::Running, Micros(1_000), at(1)).await?;
                tx.usage_open(&id(1), UsageState::Running, Micros(9), at(2)).await?;
                tx.usage_close(&id(1), at(3)).await?;
                tx.disk_event_insert(&id(1), at(3), "disk.active", "").await?;
                tx.event_insert(Some(&pod_id(1)), at(3), "pod.active", "").await
            })
        });
        book.await.unwrap();
        let intervals = db.reader().await.usage_list(&id(1)).await.unwrap();
        assert_eq!(intervals.len(), 1, "{}: one at a time", db.kind);
        assert_eq!((intervals[0].price, intervals[0].ended_at), (Micros(1_000), Some(at(3))));
        let events = db.reader().await.event_list(&id(1), 0, 10).await.unwrap();
        assert_eq!(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["disk.active"]);
    }
}

#[tokio::test]
async fn attachments_are_kept_in_order_and_end_with_their_pod() {
    for db in both().await {
        insert(&db, vec![disk(1, 1, 1), disk(2, 1, 2)]).await;
        let attach = |number: u128, pod: u128, place: usize| {
            let mount_path = format!("/workspace-{place}");
            let attachment = Attachment { disk_id: id(number), pod_id: pod_id(pod), mount_path };
            db.write(move |tx| Box::pin(async move { tx.attachment_insert(&attachment, place).await }))
        };
        attach(2, 1, 0).await.unwrap();
        attach(1, 1, 1).await.unwrap();
        attach(1, 2, 0).await.unwrap();
        assert!(matches!(attach(1, 1, 2).await, Err(StoreError::Conflict(_))), "{}: once each", db.kind);
        assert!(matches!(attach(9, 1, 2).await, Err(StoreError::Conflict(_))), "{}: no such disk", db.kind);
        let pods: Vec<_> = (0..40).map(pod_id).collect();
        let found = db.reader().await.attachments_of_pods(&pods).await.unwrap();
        let short: Vec<_> = found.iter().map(|one| (one.pod_id.clone(), one.disk_id.clone())).collect();
        assert_eq!(short, [(pod_id(1), id(2)), (pod_id(1), id(1)), (pod_id(2), id(1))], "{}", db.kind);
        assert_eq!(found[1].mount_path, "/workspace-1");
        db.write(|tx| Box::pin(async move { tx.attachment_release(&pod_id(1)).await })).await.unwrap();
        let left = db.reader().await.attachments_of_disks(&[id(1), id(2)]).await.unwrap();
        assert_eq!(left.iter().map(|one| one.pod_id.clone()).collect::<Vec<_>>(), [pod_id(2)]);
        assert!(db.reader().await.attachments_of_disks(&[]).await.unwrap().is_empty());
    }
}
