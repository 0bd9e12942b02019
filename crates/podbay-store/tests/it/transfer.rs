//! An installation moves from SQLite to PostgreSQL.

use crate::harness::{at, both, host, pod, pod_id, schema, user};
use podbay_store::{Settings, Store, StoreError, TABLES};
use sqlx::{ConnectOptions, Row};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_table_is_moved_or_left_behind_on_purpose() {
    let db = &both().await[0];
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(db.folder().join("podbay.db"));
    let mut connection = options.connect().await.unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let known = TABLES.iter().chain(&["servers", "claims", "schema_floor", "_sqlx_migrations"]);
    assert_eq!(there, known.map(|name| (*name).to_owned()).collect());
}

#[tokio::test]
async fn an_installation_moves_with_its_history_into_an_empty_database_only() {
    let Ok(server) = std::env::var("PODBAY_TEST_POSTGRES") else {
        eprintln!("left out: PostgreSQL; set PODBAY_TEST_POSTGRES");
        return;
    };
    let db = &both().await[0];
    db.furnish().await;
    // More than one statement carries.
    let written = db.write(|tx| {
        Box::pin(async move {
            tx.pod_insert(&pod(1, 1, 5)).await?;
            for number in 0..2_500 {
                tx.event_insert(Some(&pod_id(1)), at(number), "kind", &format!("Größe {number} ' \" \\"))
                    .await?;
            }
            Ok(())
        })
    });
    written.await.unwrap();
    let target = Store::open(&Settings::at(schema(&server))).await.unwrap();
    let moved = db.store.move_to(&target).await.unwrap();
    assert_eq!(moved.iter().map(|(name, _)| *name).collect::<Vec<_>>(), TABLES);
    assert!(
        moved.contains(&("events", 2_500)) && moved.contains(&("pods", 1)) && moved.contains(&("users", 2))
    );

    let (mut from, mut to) = (db.reader().await, target.reader().await.unwrap());
    let (from_books, to_books) = (from.books().await.unwrap(), to.books().await.unwrap());
    assert_eq!(format!("{from_books:?}"), format!("{to_books:?}"));
    assert_eq!(from.host_get(&host()).await.unwrap(), to.host_get(&host()).await.unwrap());
    assert_eq!(from.user_get(&user(2)).await.unwrap(), to.user_get(&user(2)).await.unwrap());
    let events = from.event_list(&pod_id(1), 0, 10_000).await.unwrap();
    assert_eq!(events, to.event_list(&pod_id(1), 0, 10_000).await.unwrap());

    let again = db.store.move_to(&target).await.unwrap_err();
    assert!(matches!(&again, StoreError::Conflict(text) if text.contains("2 rows in users")), "{again:?}");
}
