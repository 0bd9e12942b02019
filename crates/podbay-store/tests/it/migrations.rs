//! Migrations meet what every older version has written.

use crate::harness::{at, facts, host, schema};
use podbay_core::permission::Scopes;
use podbay_core::place::Free;
use podbay_core::published::{Protocol, TeamRole};
use podbay_core::{
    ApiKeyId, CredentialsId, DiskId, LoginCode, Micros, Owner, PodId, TeamId, TemplateId, UserId,
};
use podbay_store::{HistorySort, Settings, Store, StoreError, Tx};
use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions, Connection, Executor};
use std::borrow::Cow;

const SPEC: &str = r#"{"name":"n","cloud_id":"c","gpu_type":"CPU_NODE","gpu_count":1,"socket":"PCIe",
    "image":"ubuntu_22_cuda_12","image_reference":"a/b","vcpus":1,"memory_gb":1,"disk_gb":1,"env":[],"price":1,
    "security":"secure_cloud","country":null,"data_center":null,"auto_restart":false}"#;

/// A SHA-256 as it is stored.
fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// One row at least of each table that there was in that version, as it wrote them.
fn rows(version: i64) -> Vec<String> {
    let (facts, scopes) =
        (serde_json::to_string(&facts()).unwrap(), serde_json::to_string(&Scopes::FULL).unwrap());
    let pod = |id: &str, team: &str, owner: &str, end: &str| {
        let (column, value) =
            if version < 3 { ("", String::new()) } else { (", owner_id", format!(", '{owner}'")) };
        format!(
            "INSERT INTO pods (id, user_id, team_id, host_id, spec, desired, generation, image, machine, attempt, \
             progress, restarts, setbacks, next_at, version, created_at, updated_at, terminated_at{column}) VALUES \
             ('{id}', 'ada', {team}, 'local', '{SPEC}', 'running', 1, '\"absent\"', '\"absent\"', 1, 0, 0, 0, 0, 1, \
             5, 5, {end}{value})"
        )
    };
    let mut rows = vec![
        "INSERT INTO install (singleton, id, created_at) VALUES (1, 'i', 0)".to_owned(),
        "INSERT INTO users VALUES ('ada', 'Ada', 'a@b', NULL, 'USER', 0)".to_owned(),
        "INSERT INTO users VALUES ('eve', 'Eve', 'e@b', 'eve', 'USER', 0)".to_owned(),
        format!(
            "INSERT INTO api_keys VALUES ('k', 'ada', 'key', '{}', '{scopes}', NULL, NULL, 7, 1)",
            hash('a')
        ),
        "INSERT INTO ssh_keys VALUES ('s1', 'ada', 'one', 'ssh-ed25519 A', 'SHA256:1', TRUE, 1, 1)"
            .to_owned(),
        "INSERT INTO ssh_keys VALUES ('s2', 'ada', 'two', 'ssh-ed25519 B', 'SHA256:2', FALSE, 2, 2)"
            .to_owned(),
        "INSERT INTO ssh_keys VALUES ('s3', 'eve', 'three', 'ssh-ed25519 C', 'SHA256:3', TRUE, 3, 3)"
            .to_owned(),
        format!(
            "INSERT INTO hosts (id, facts, vcpus_used, memory_gb_used, disk_gb_used, updated_at) VALUES \
                 ('local', '{facts}', 2, 4, 10, 0)"
        ),
        "INSERT INTO gpus VALUES ('local', 'GPU-0', 0, 'H100_80GB', TRUE, 'live')".to_owned(),
        "INSERT INTO gpus VALUES ('local', 'GPU-1', 1, 'H100_80GB', TRUE, NULL)".to_owned(),
        "INSERT INTO allocations VALUES ('live', 'local', 2, 4, 10, 5)".to_owned(),
        "INSERT INTO ports VALUES ('local', 'TCP', 20000, 'live', 22)".to_owned(),
        pod("live", "NULL", "ada", "NULL"),
        pod("ended", "NULL", "ada", "9"),
        "INSERT INTO events VALUES ('live', 1, 5, 'created', 'hello')".to_owned(),
        "INSERT INTO usage_intervals VALUES ('live', 1, 'running', 50, 6, NULL)".to_owned(),
        "INSERT INTO usage_intervals VALUES ('ended', 1, 'running', 50, 6, 9)".to_owned(),
    ];
    let replies = if version < 8 { "idempotency" } else { "kept_replies" };
    let sealed = if version < 16 { "" } else { ", 'sealed'" };
    let later = [
        (2, "INSERT INTO disks VALUES ('d', 'ada', NULL, 'ada', 'local', 'data', 5, 100, 'present', 1, '\"absent\"', \
             NULL, NULL, 0, 0, 1, 5, 5, NULL)".to_owned()),
        (2, "INSERT INTO attachments VALUES ('live', 'd', 0, '/data')".to_owned()),
        (3, "INSERT INTO teams VALUES ('t', 'Team', NULL, 3)".to_owned()),
        (3, "INSERT INTO team_members VALUES ('t', 'ada', 'ADMIN', 4)".to_owned()),
        (3, format!("INSERT INTO invitations VALUES ('v', 't', 'ada', 'MEMBER', NULL, '{}', 99, 4)", hash('b'))),
        (3, pod("shared", "'t'", "t", "NULL")),
        (3, "INSERT INTO pod_members VALUES ('shared', 'eve')".to_owned()),
        (3, "INSERT INTO credits VALUES ('c', 'ada', 70, 'for a start', 'ada', 4)".to_owned()),
        (4, "INSERT INTO registry_credentials VALUES ('r', 'ada', 'hub', 'docker.io', 'ada', 'sealed', 5, 5)".to_owned()),
        (4, "INSERT INTO templates VALUES ('m', 'ada', NULL, 'mine', 'a/b', NULL, '[]', '[]', 'r', 5, 5, NULL)"
            .to_owned()),
        // The eighth version gave the table another name.
        (5, format!("INSERT INTO {replies} VALUES ('ada', 'once', '{}', 201, 'reply', 6{sealed})", hash('c'))),
        (6, format!("INSERT INTO logins VALUES ('CODE', '{}', 'pem', 7, 99, 'ada', 'k', 'sealed')", hash('d'))),
        (9, "INSERT INTO pod_keys VALUES ('live', 'one')".to_owned()),
        (14, "INSERT INTO forced_ends VALUES ('ended', 'local', 9)".to_owned()),
        (15, "UPDATE hosts SET silent_since = 9".to_owned()),
        (10, "UPDATE install SET backup_at = 5, restored_at = 6".to_owned()),
    ];
    rows.extend(later.into_iter().filter(|(since, _)| *since <= version).map(|(_, sql)| sql));
    rows
}

/// The migrations up to that version.
fn up_to(version: i64) -> Migrator {
    let all = sqlx::migrate!();
    let first: Vec<_> = all.migrations.iter().filter(|step| step.version <= version).cloned().collect();
    Migrator { migrations: Cow::Owned(first), ..all }
}

/// Makes a database as that version left it.
macro_rules! leave_behind {
    ($connection:expr, $version:expr) => {{
        let mut old = $connection;
        up_to($version).run(&mut old).await.unwrap();
        for sql in rows($version) {
            let done = old.execute(sqlx::AssertSqlSafe(sql.clone())).await;
            done.unwrap_or_else(|error| panic!("version {}: {sql}: {error}", $version));
        }
        old.close().await.unwrap();
    }};
}

fn stored<T>(id: &str, from_stored: fn(String) -> T) -> T {
    from_stored(id.to_owned())
}

/// What every version had.
async fn read_the_first(tx: &mut Tx) -> Result<(), StoreError> {
    let (ada, eve) = (stored("ada", UserId::from_stored), stored("eve", UserId::from_stored));
    let (live, ended) = (stored("live", PodId::from_stored), stored("ended", PodId::from_stored));
    assert_eq!(tx.user_get(&ada).await?.unwrap().name, "Ada");
    assert_eq!(tx.user_find_by_name("Eve").await?.unwrap().slug.as_deref(), Some("eve"));
    let key = tx.api_key_get(&stored("k", ApiKeyId::from_stored)).await?.unwrap();
    assert_eq!((key.secret_sha256, key.scopes, key.last_used_at), ([0xaa; 32], Scopes::FULL, Some(at(7))));
    let primary = |keys: Vec<podbay_store::SshKeyRecord>| {
        keys.into_iter().map(|key| (key.name, key.is_primary)).collect::<Vec<_>>()
    };
    assert_eq!(primary(tx.ssh_key_all(&ada).await?), [("one".to_owned(), true), ("two".to_owned(), false)]);
    assert_eq!(primary(tx.ssh_key_all(&eve).await?), [("three".to_owned(), true)]);
    assert_eq!(tx.host_get(&host()).await?, Some(facts()));
    assert_eq!(tx.host_seen(&host()).await?, None, "nobody wrote down when");
    let gpus = [(podbay_core::published::GpuType::H100, 1)].into();
    assert_eq!(tx.host_free(&host()).await?, Some(Free { vcpus: 6, memory_gb: 28, disk_gb: 90, gpus }));
    assert_eq!(tx.port_list(&host()).await?, [(20_000, Protocol::Tcp, live.clone())]);
    let pod = tx.pod_get(&live).await?.unwrap();
    assert_eq!((pod.spec.name.as_str(), pod.created_at, pod.spec.ports.len()), ("n", at(5), 0));
    let history = tx.pod_list_history(&ada, HistorySort::TerminatedAt, true, 0, 10).await?;
    let listed: Vec<_> = history.items.into_iter().map(|pod| pod.id).collect();
    assert!(listed.contains(&ended), "{listed:?}");
    assert_eq!(tx.event_list(&live, 0, 10).await?[0].text, "hello");
    assert_eq!(tx.usage_list(&ended).await?[0].ended_at, Some(at(9)));
    assert_eq!(tx.usage_open_count().await?, 1);
    assert_eq!(tx.pod_list_live(&eve, 0, 10).await?.total, 0, "what was Ada's alone still is");
    Ok(())
}

/// What came with a later version, if this database had come so far.
async fn read_the_later(tx: &mut Tx, version: i64) -> Result<(), StoreError> {
    let ada = stored("ada", UserId::from_stored);
    let live = tx.pod_list_live(&ada, 0, 10).await?;
    assert_eq!(live.total, if version < 3 { 1 } else { 2 });
    assert!(live.items.iter().any(|pod| pod.id.as_str() == "live"));

    let disk = tx.disk_get(&stored("d", DiskId::from_stored)).await?;
    assert_eq!(disk.map(|disk| disk.size_gb), (version >= 2).then_some(5));
    let attached = tx.attachments_of_pods(&[stored("live", PodId::from_stored)]).await?;
    assert_eq!(attached.len(), usize::from(version >= 2));
    let team = tx.team_of(&stored("t", TeamId::from_stored), &ada).await?;
    assert_eq!(team.map(|team| team.role), (version >= 3).then_some(TeamRole::Admin));
    assert_eq!(tx.invitation_find(&[0xbb; 32]).await?.is_some(), version >= 3);
    let credit = tx.credit_sum(&Owner::User(ada.clone())).await?;
    assert_eq!(credit, Micros(if version < 3 { 0 } else { 70 }));
    let credentials = tx.credentials_get(&ada, &stored("r", CredentialsId::from_stored)).await?;
    assert_eq!(credentials.map(|row| row.password_sealed), (version >= 4).then(|| "sealed".to_owned()));
    let template = tx.template_get(&ada, &stored("m", TemplateId::from_stored)).await?;
    assert_eq!(template.map(|template| template.name), (version >= 4).then(|| "mine".to_owned()));
    let kept = tx.idempotency_get(ada.as_str(), "once", at(0)).await?;
    assert_eq!(kept.map(|kept| (kept.status, kept.body)), (version >= 5).then(|| (201, "reply".to_owned())));
    let span = tx.unknown_span().await?;
    assert_eq!(span, (version >= 10).then(|| (at(5), at(6))));
    let login = tx.login_get(&stored("CODE", LoginCode::from_stored), at(8)).await?;
    assert_eq!(login.and_then(|login| login.sealed), (version >= 6).then(|| "sealed".to_owned()));
    Ok(())
}

async fn read_back(url: String, version: i64) {
    let store = Store::open(&Settings::at(url)).await.unwrap();
    let mut tx = store.reader().await.unwrap();
    read_the_first(&mut tx).await.unwrap();
    read_the_later(&mut tx, version).await.unwrap();
    drop(tx);
    // What a migration adds can be written, too.
    store
        .write(|tx| Box::pin(async move { tx.host_answered_put(&host(), at(12), true).await }))
        .await
        .unwrap_or_else(|error: StoreError| panic!("version {version}: {error}"));
    assert_eq!(store.reader().await.unwrap().host_seen(&host()).await.unwrap(), Some(at(12)));
    store.close().await;
}

#[tokio::test]
async fn every_version_is_brought_up_to_date_with_what_is_in_it() {
    let versions: Vec<i64> = sqlx::migrate!().migrations.iter().map(|step| step.version).collect();
    assert!(versions.len() >= 7 && versions.is_sorted(), "{versions:?}");
    let server = std::env::var("PODBAY_TEST_POSTGRES");
    if server.is_err() {
        eprintln!("left out: PostgreSQL; set PODBAY_TEST_POSTGRES");
    }
    for version in versions {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbay.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        leave_behind!(options.connect().await.unwrap(), version);
        read_back(path.display().to_string(), version).await;

        if let Ok(server) = &server {
            let url = schema(server);
            leave_behind!(sqlx::PgConnection::connect(&url).await.unwrap(), version);
            read_back(url, version).await;
        }
    }
}
