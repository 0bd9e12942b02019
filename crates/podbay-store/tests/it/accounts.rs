//! Installation, users, API keys, SSH keys, events.

use crate::harness::{at, both, pod_id, user};
use podbay_core::permission::Scopes;
use podbay_core::{ApiKeyId, InstallId, SshKeyId};
use podbay_store::{ApiKeyRecord, SshKeyRecord, StoreError};

#[tokio::test]
async fn an_installation_has_one_id_for_ever() {
    for db in both().await {
        for fresh in [1, 2] {
            let id = db
                .write(move |tx| {
                    Box::pin(async move { tx.install_id(&InstallId::from_bits(fresh), at(0)).await })
                })
                .await;
            assert_eq!(id.unwrap(), InstallId::from_bits(1), "{}", db.kind);
        }
    }
}

#[tokio::test]
async fn users_are_found_and_their_names_are_unique() {
    for db in both().await {
        db.furnish().await;
        let mut tx = db.reader().await;
        let ada = tx.user_get(&user(1)).await.unwrap().unwrap();
        assert_eq!(tx.user_find_by_name("user 1").await.unwrap(), Some(ada.clone()));
        assert_eq!(tx.user_list().await.unwrap().len(), 2);
        let mut names = tx.user_names().await.unwrap();
        names.sort_unstable();
        assert_eq!(names, ["user 1", "user 2"], "{}", db.kind);
        assert_eq!(tx.user_get(&user(9)).await.unwrap(), None);
        let twin = podbay_store::User { id: user(3), ..ada };
        let refused = db.write(move |tx| Box::pin(async move { tx.user_insert(&twin).await })).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{}: {refused:?}", db.kind);
    }
}

#[tokio::test]
async fn api_keys_are_kept_revoked_once_and_touched_by_the_minute() {
    for db in both().await {
        db.furnish().await;
        let key = ApiKeyRecord {
            id: ApiKeyId::from_bits(5),
            user_id: user(1),
            name: "k".into(),
            secret_sha256: [0xAB; 32],
            scopes: Scopes::FULL,
            expires_at: Some(at(99)),
            revoked_at: None,
            last_used_at: None,
            created_at: at(1),
        };
        let (stored, id) = (key.clone(), key.id.clone());
        db.write(move |tx| Box::pin(async move { tx.api_key_insert(&stored).await })).await.unwrap();
        assert_eq!(db.reader().await.api_key_get(&id).await.unwrap(), Some(key.clone()));
        for (now, expected) in [(100_000, 100_000), (150_000, 100_000), (160_000, 160_000)] {
            let id = id.clone();
            db.write(move |tx| Box::pin(async move { tx.api_key_touch(&id, at(now)).await })).await.unwrap();
            let read = db.reader().await.api_key_get(&key.id).await.unwrap().unwrap();
            assert_eq!(read.last_used_at, Some(at(expected)), "{}", db.kind);
        }
        for (owner, expected) in [(2, false), (1, true), (1, false)] {
            let id = id.clone();
            let revoked = db
                .write(move |tx| Box::pin(async move { tx.api_key_revoke(&user(owner), &id, at(7)).await }));
            assert_eq!(revoked.await.unwrap(), expected, "{}", db.kind);
        }
        assert_eq!(db.reader().await.api_key_list(&user(1)).await.unwrap()[0].revoked_at, Some(at(7)));
        assert_eq!(db.reader().await.api_key_list(&user(2)).await.unwrap(), []);
    }
}

fn ssh_key(number: u128, owner: u128) -> SshKeyRecord {
    SshKeyRecord {
        id: SshKeyId::from_bits(number),
        user_id: user(owner),
        name: format!("key {number}"),
        public_key: format!("ssh-ed25519 {number}"),
        fingerprint: format!("SHA256:{number}"),
        is_primary: number == 1,
        created_at: at(number as i64),
        updated_at: at(number as i64),
    }
}

#[tokio::test]
async fn an_account_has_exactly_one_primary_ssh_key() {
    for db in both().await {
        db.furnish().await;
        db.write(|tx| {
            Box::pin(async move {
                for number in 1..=3 {
                    tx.ssh_key_insert(&ssh_key(number, 1)).await?;
                }
                // The same key in another account is another key.
                tx.ssh_key_insert(&SshKeyRecord { id: SshKeyId::from_bits(9), ..ssh_key(1, 2) }).await
            })
        })
        .await
        .unwrap();
        let twin = SshKeyRecord { id: SshKeyId::from_bits(10), ..ssh_key(1, 1) };
        let refused = db.write(move |tx| Box::pin(async move { tx.ssh_key_insert(&twin).await })).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{}", db.kind);

        let primaries = async || {
            let keys = db.reader().await.ssh_key_all(&user(1)).await.unwrap();
            keys.into_iter().filter(|key| key.is_primary).map(|key| key.name).collect::<Vec<_>>()
        };
        assert_eq!(primaries().await, ["key 1"]);
        let set = |number| {
            db.write(move |tx| {
                Box::pin(async move {
                    tx.ssh_key_set_primary(&user(1), &SshKeyId::from_bits(number), at(5)).await
                })
            })
        };
        assert!(set(3).await.unwrap() && !set(9).await.unwrap(), "{}: only one's own", db.kind);
        assert_eq!(primaries().await, ["key 3"]);
        let second = SshKeyRecord { id: SshKeyId::from_bits(11), is_primary: true, ..ssh_key(1, 7) };
        let refused = db.write(move |tx| Box::pin(async move { tx.ssh_key_insert(&second).await })).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{}: one primary key", db.kind);
        let delete = |owner, number| {
            db.write(move |tx| {
                Box::pin(async move { tx.ssh_key_delete(&user(owner), &SshKeyId::from_bits(number)).await })
            })
        };
        assert!(!delete(2, 3).await.unwrap() && delete(1, 3).await.unwrap() && !delete(1, 3).await.unwrap());
        assert_eq!(primaries().await, ["key 1"], "{}: the oldest one left", db.kind);
        let page = db.reader().await.ssh_key_list(&user(1), 1, 5).await.unwrap();
        assert_eq!((page.total, page.items.len(), page.items[0].name.as_str()), (2, 1, "key 2"));
        assert!(db.reader().await.ssh_key_get(&user(2), &SshKeyId::from_bits(1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn events_are_numbered_within_their_pod() {
    for db in both().await {
        db.write(|tx| {
            Box::pin(async move {
                for (number, kind) in [(1, "a"), (2, "b"), (1, "c")] {
                    tx.event_insert(Some(&pod_id(number)), at(3), kind, "text").await?;
                }
                tx.event_insert(None, at(3), "d", "of nobody").await
            })
        })
        .await
        .unwrap();
        let mut tx = db.reader().await;
        let events = tx.event_list(&pod_id(1), 0, 10).await.unwrap();
        let short: Vec<_> = events.iter().map(|event| (event.seq, event.kind.as_str())).collect();
        assert_eq!(short, [(1, "a"), (2, "c")], "{}", db.kind);
        assert_eq!(tx.event_list(&pod_id(1), 1, 10).await.unwrap().len(), 1);
        assert_eq!(tx.event_list(&pod_id(1), 0, 1).await.unwrap().len(), 1);
    }
}
