//! Logins that wait.

use crate::harness::{at, both, user};
use podbay_core::permission::Scopes;
use podbay_core::{ApiKeyId, LoginCode};
use podbay_store::{ApiKeyRecord, Login};

fn login(number: u128) -> Login {
    Login {
        code: LoginCode::from_bits(number),
        status_sha256: [0xCD; 32],
        public_key: "pem".into(),
        created_at: at(number as i64),
        expires_at: at(100),
        sealed: None,
    }
}

#[tokio::test]
async fn a_login_is_there_until_it_expires_and_approved_once() {
    for db in both().await {
        db.furnish().await;
        let key = ApiKeyRecord {
            id: ApiKeyId::from_bits(5),
            user_id: user(1),
            name: "k".into(),
            secret_sha256: [0xAB; 32],
            scopes: Scopes::FULL,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            created_at: at(1),
        };
        db.write(move |tx| {
            Box::pin(async move {
                tx.api_key_insert(&key).await?;
                tx.login_insert(&login(1)).await?;
                tx.login_insert(&login(2)).await
            })
        })
        .await
        .unwrap();
        let code = LoginCode::from_bits(1);
        assert_eq!(db.reader().await.login_get(&code, at(99)).await.unwrap(), Some(login(1)), "{}", db.kind);
        assert_eq!(db.reader().await.login_get(&code, at(100)).await.unwrap(), None);

        let approve = |number, now| {
            db.write(move |tx| {
                Box::pin(async move {
                    let (code, key) = (LoginCode::from_bits(number), ApiKeyId::from_bits(5));
                    tx.login_approve(&code, &user(1), &key, "sealed", at(now)).await
                })
            })
        };
        let refuse = |number, now| {
            db.write(move |tx| {
                Box::pin(async move { tx.login_refuse(&LoginCode::from_bits(number), at(now)).await })
            })
        };
        for (now, expected) in [(100, false), (50, true), (50, false)] {
            assert_eq!(approve(1, now).await.unwrap(), expected, "{}", db.kind);
        }
        let approved = Login { sealed: Some("sealed".into()), ..login(1) };
        assert_eq!(db.reader().await.login_get(&code, at(50)).await.unwrap(), Some(approved));
        assert!(!approve(3, 50).await.unwrap(), "{}: there is none", db.kind);
        for (number, now, expected) in [(1, 50, false), (2, 100, false), (2, 50, true), (2, 50, false)] {
            assert_eq!(refuse(number, now).await.unwrap(), expected, "{}: {number} {now}", db.kind);
        }
    }
}

#[tokio::test]
async fn pruning_forgets_what_has_expired_and_the_oldest_that_wait() {
    for db in both().await {
        db.furnish().await;
        db.write(|tx| {
            Box::pin(async move {
                tx.login_insert(&Login { expires_at: at(10), ..login(9) }).await?;
                tx.login_insert(&Login { sealed: Some("s".into()), ..login(1) }).await?;
                for number in 2..=5 {
                    tx.login_insert(&login(number)).await?;
                }
                tx.login_prune(at(10), 2).await
            })
        })
        .await
        .unwrap();
        let mut left = Vec::new();
        for number in 1..=9 {
            let found = db.reader().await.login_get(&LoginCode::from_bits(number), at(0)).await.unwrap();
            left.extend(found.map(|_| number));
        }
        assert_eq!(left, [1, 4, 5], "{}", db.kind);
    }
}
