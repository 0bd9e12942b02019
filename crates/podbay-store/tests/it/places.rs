//! What pods hold of a host: never more than there is, never twice.

use crate::harness::{Db, at, both, facts, host, pod_id, size};
use podbay_core::place::CpuSize;
use podbay_core::pod::GpuSlot;
use podbay_core::published::{GpuType, Protocol};
use podbay_store::StoreError;
use std::collections::HashSet;

async fn take(
    db: &Db,
    number: u128,
    size: CpuSize,
    gpus: Option<(GpuType, u32)>,
) -> Result<Option<Vec<GpuSlot>>, StoreError> {
    db.write(move |tx| {
        Box::pin(async move { tx.placement_take(&host(), &pod_id(number), &size, gpus, at(1)).await })
    })
    .await
}

async fn release(db: &Db, number: u128) -> bool {
    db.write(move |tx| Box::pin(async move { tx.placement_release(&pod_id(number), at(2)).await }))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_host_is_given_out_until_it_is_full_and_no_further() {
    for db in both().await {
        db.furnish().await;
        let states = db.reader().await.host_states().await.unwrap();
        let known: Vec<_> = states.into_iter().map(|state| (state.id, state.facts)).collect();
        assert_eq!(known, [(host(), facts())]);
        for number in 1..=4 {
            assert!(take(&db, number, size(), None).await.unwrap().is_some(), "{}: {number}", db.kind);
        }
        assert_eq!(take(&db, 5, size(), None).await.unwrap(), None, "{}: all CPUs are given", db.kind);
        let free = db.reader().await.host_free(&host()).await.unwrap().unwrap();
        assert_eq!((free.vcpus, free.memory_gb, free.disk_gb), (0, 16, 60));
        assert!(release(&db, 1).await);
        assert!(!release(&db, 1).await, "{}: the second time nothing happens", db.kind);
        assert!(take(&db, 5, size(), None).await.unwrap().is_some());
        assert!(matches!(
            take(&db, 5, CpuSize { vcpus: 0, ..size() }, None).await,
            Err(StoreError::Conflict(_))
        ));
        assert_eq!(take(&db, 6, CpuSize { vcpus: 0, memory_gb: 0, disk_gb: 61 }, None).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_host_that_answers_ends_its_silence_and_keeps_when_all_was_seen() {
    for db in both().await {
        db.furnish().await;
        let answered = |millis, all_seen| {
            db.write(move |tx| {
                Box::pin(async move { tx.host_answered_put(&host(), at(millis), all_seen).await })
            })
        };
        assert_eq!(answered(10, true).await.unwrap(), None, "{}: it was not silent", db.kind);
        assert_eq!(answered(20, false).await.unwrap(), None);
        let mut tx = db.reader().await;
        assert_eq!(tx.host_seen(&host()).await.unwrap(), Some(at(10)), "{}", db.kind);
        assert_eq!(tx.host_answered(&host()).await.unwrap(), Some(at(20)), "{}", db.kind);
        drop(tx);
        let silent = db.write(|tx| Box::pin(async move { tx.host_silent_put(&host(), at(20)).await }));
        assert!(silent.await.unwrap());
        assert_eq!(answered(30, false).await.unwrap(), Some(at(20)), "{}: since then", db.kind);
        assert_eq!(answered(40, false).await.unwrap(), None, "{}: once", db.kind);
    }
}

#[tokio::test]
async fn a_gpu_has_one_owner_under_concurrent_takers() {
    for db in both().await {
        db.furnish().await;
        let small = CpuSize { vcpus: 1, memory_gb: 1, disk_gb: 1 };
        let mut takers = tokio::task::JoinSet::new();
        for number in 1..=8 {
            let store = db.store.clone();
            takers.spawn(async move {
                let job = store.write(move |tx| {
                    let gpus = Some((GpuType::H100, 1));
                    Box::pin(
                        async move { tx.placement_take(&host(), &pod_id(number), &small, gpus, at(1)).await },
                    )
                });
                job.await
            });
        }
        let mut given = Vec::new();
        while let Some(taken) = takers.join_next().await {
            match taken.unwrap() {
                Ok(Some(slots)) => given.extend(slots.into_iter().map(|slot| slot.uuid)),
                Ok(None) => {}
                Err(error) => panic!("{}: {error}", db.kind),
            }
        }
        assert!(!given.is_empty() && given.len() <= 2, "{}: {given:?}", db.kind);
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len(), "{}: {given:?}", db.kind);
        assert_eq!(given.len(), 2, "{}: nobody is refused while one is free", db.kind);
    }
}

#[tokio::test]
async fn a_gpu_that_vanished_is_given_to_nobody_and_keeps_its_owner() {
    for db in both().await {
        db.furnish().await;
        let slots = take(&db, 1, size(), Some((GpuType::H100, 1))).await.unwrap().unwrap();
        assert_eq!(slots[0].uuid, "GPU-0");
        let mut fewer = facts();
        fewer.gpus.clear();
        let smaller = podbay_core::place::HostFacts { vcpus: 1, ..fewer };
        db.write(move |tx| Box::pin(async move { tx.host_put(&host(), &smaller, at(3)).await }))
            .await
            .unwrap();
        let free = db.reader().await.host_free(&host()).await.unwrap().unwrap();
        assert_eq!(
            (free.vcpus, free.gpus.values().sum::<u32>()),
            (0, 0),
            "{}: less than is held is zero",
            db.kind
        );
        assert_eq!(
            take(&db, 2, CpuSize { vcpus: 0, ..size() }, Some((GpuType::H100, 1))).await.unwrap(),
            None
        );
        db.write(|tx| Box::pin(async move { tx.host_put(&host(), &facts(), at(4)).await })).await.unwrap();
        let slots = take(&db, 2, size(), Some((GpuType::H100, 1))).await.unwrap().unwrap();
        assert_eq!(slots[0].uuid, "GPU-1", "{}: the first is still held", db.kind);
        assert!(release(&db, 1).await);
        let free = db.reader().await.host_free(&host()).await.unwrap().unwrap();
        assert_eq!(free.gpus[&GpuType::H100], 1);
    }
}

#[tokio::test]
async fn a_port_is_taken_once_and_the_search_wraps() {
    for db in both().await {
        db.furnish().await;
        let port = |number: u128, protocol, start| {
            db.write(move |tx| {
                Box::pin(async move {
                    tx.port_take(&host(), &pod_id(number), 22, protocol, 100..=102, start).await
                })
            })
        };
        assert_eq!(port(1, Protocol::Tcp, 102).await.unwrap(), Some(102), "{}", db.kind);
        assert_eq!(port(2, Protocol::Tcp, 102).await.unwrap(), Some(100), "{}", db.kind);
        assert_eq!(port(2, Protocol::Udp, 102).await.unwrap(), Some(102), "{}: another protocol", db.kind);
        assert_eq!(port(3, Protocol::Tcp, 0).await.unwrap(), Some(101));
        assert_eq!(port(4, Protocol::Tcp, 0).await.unwrap(), None);
        release(&db, 2).await;
        let left: Vec<u16> =
            db.reader().await.port_list(&host()).await.unwrap().into_iter().map(|port| port.0).collect();
        assert_eq!(left, [101, 102]);
    }
}

#[tokio::test]
async fn what_is_free_is_always_what_there_is_less_what_is_held() {
    for db in both().await {
        db.furnish().await;
        let mut held: Vec<(u128, CpuSize)> = Vec::new();
        // A fixed sequence without a short period stands for chance.
        let mut state: u64 = 42;
        let mut draw = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        for number in 1..=150 {
            if draw(3) > 0 {
                let size =
                    CpuSize { vcpus: draw(4) as u32, memory_gb: draw(9) as u32, disk_gb: draw(30) as u32 };
                let gpus = (draw(4) == 0).then_some((GpuType::H100, 1));
                if take(&db, number, size, gpus).await.unwrap().is_some() {
                    held.push((number, size));
                }
            } else if !held.is_empty() {
                let (number, _) = held.swap_remove(draw(held.len() as u64) as usize);
                assert!(release(&db, number).await);
            }
            let free = db.reader().await.host_free(&host()).await.unwrap().unwrap();
            let sum = |part: fn(&CpuSize) -> u32| held.iter().map(|(_, size)| part(size)).sum::<u32>();
            assert_eq!(free.vcpus + sum(|size| size.vcpus), 8, "{}", db.kind);
            assert_eq!(free.memory_gb + sum(|size| size.memory_gb), 32, "{}", db.kind);
            assert_eq!(free.disk_gb + sum(|size| size.disk_gb), 100, "{}", db.kind);
        }
    }
}
