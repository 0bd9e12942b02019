//! Replies kept under a caller's key.

use crate::harness::{Db, at, both, user};
use podbay_store::KeptReply;

fn reply(body: &str) -> KeptReply {
    KeptReply {
        request_sha256: [0xCD; 32],
        status: 200,
        body: body.into(),
        sealed: Some(format!("sealed {body}")),
    }
}

async fn keep(db: &Db, owner: u128, name: &'static str, body: &'static str, now: i64) -> bool {
    db.write(move |tx| {
        Box::pin(async move {
            tx.idempotency_insert(user(owner).as_str(), name, &reply(body), at(now), at(now - 100)).await
        })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn one_reply_is_kept_under_a_key_of_a_user_until_it_is_old() {
    for db in both().await {
        db.furnish().await;
        assert!(keep(&db, 1, "a", "first", 1000).await);
        assert!(!keep(&db, 1, "a", "second", 1099).await, "{}", db.kind);
        assert!(keep(&db, 2, "a", "somebody else's", 1000).await);
        let mut tx = db.reader().await;
        assert_eq!(tx.idempotency_get(user(1).as_str(), "a", at(999)).await.unwrap(), Some(reply("first")));
        assert_eq!(tx.idempotency_get(user(1).as_str(), "a", at(1000)).await.unwrap(), None, "too old");
        assert_eq!(tx.idempotency_get(user(1).as_str(), "b", at(0)).await.unwrap(), None);
        assert_eq!(tx.idempotency_get("invitation:12", "a", at(0)).await.unwrap(), None);
        drop(tx);
        let keyless = db.write(|tx| {
            Box::pin(async move {
                tx.idempotency_insert("invitation:12", "a", &reply("nobody's"), at(1000), at(900)).await
            })
        });
        assert!(keyless.await.unwrap(), "{}: whose key it is need be no user", db.kind);
        assert!(keep(&db, 1, "a", "third", 1100).await, "an old one makes way");
        let kept = db.reader().await.idempotency_get(user(1).as_str(), "a", at(0)).await.unwrap();
        assert_eq!(kept, Some(reply("third")), "{}", db.kind);
    }
}

#[tokio::test]
async fn old_replies_are_forgotten_in_batches() {
    for db in both().await {
        db.furnish().await;
        for (name, now) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            assert!(keep(&db, 1, name, "x", now).await);
        }
        let mut counts = Vec::new();
        for _ in 0..3 {
            let expired = db.write(|tx| Box::pin(async move { tx.idempotency_expire(at(3), 2).await })).await;
            counts.push(expired.unwrap());
        }
        assert_eq!(counts, [2, 1, 0], "{}", db.kind);
        let mut tx = db.reader().await;
        assert_eq!(tx.idempotency_get(user(1).as_str(), "c", at(0)).await.unwrap(), None);
        assert_eq!(tx.idempotency_get(user(1).as_str(), "d", at(0)).await.unwrap(), Some(reply("x")));
    }
}
