//! Migrations meet what an older version has written.

use crate::harness::{pod_id, user};
use podbay_store::{Settings, Store};
use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions, Connection, Executor};
use std::borrow::Cow;

#[tokio::test]
async fn pods_from_before_there_were_teams_have_an_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("podbay.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut old = options.connect().await.unwrap();
    let all = sqlx::migrate!();
    let first: Vec<_> = all.migrations.iter().filter(|step| step.version < 3).cloned().collect();
    Migrator { migrations: Cow::Owned(first), ..all }.run(&mut old).await.unwrap();
    let spec = r#"{"name":"n","cloud_id":"c","gpu_type":"CPU_NODE","gpu_count":1,"socket":"PCIe",
        "image":"ubuntu_22_cuda_12","image_reference":"a/b","vcpus":1,"memory_gb":1,"disk_gb":1,"env":[],"price":1,
        "security":"secure_cloud","country":null,"data_center":null,"auto_restart":false}"#;
    for (number, end) in [(1, "NULL"), (2, "9")] {
        let (id, maker) = (pod_id(number), user(1));
        let sql = format!(
            "INSERT OR IGNORE INTO users VALUES ('{maker}', 'ada', 'a@b', NULL, 'USER', 0); \
             INSERT INTO pods (id, user_id, host_id, spec, desired, generation, image, machine, attempt, progress, \
             restarts, setbacks, next_at, version, created_at, updated_at, terminated_at) VALUES ('{id}', '{maker}', \
             'local', '{spec}', 'running', 1, '\"absent\"', '\"absent\"', 1, 0, 0, 0, 0, 1, 5, 5, {end})"
        );
        old.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
    old.close().await.unwrap();

    let store = Store::open(&Settings::at(path.display().to_string())).await.unwrap();
    let mut tx = store.reader().await.unwrap();
    let live = tx.pod_list_live(&user(1), 0, 10).await.unwrap();
    assert_eq!((live.total, live.items[0].id.clone()), (1, pod_id(1)));
    let sort = podbay_store::HistorySort::CreatedAt;
    assert_eq!(tx.pod_list_history(&user(1), sort, true, 0, 10).await.unwrap().items[0].id, pod_id(2));
    assert_eq!(tx.pod_list_live(&user(2), 0, 10).await.unwrap().total, 0);
}
