//! A database of its own for each test, of each kind.

use podbay_core::place::{CpuSize, GpuFact, HostFacts};
use podbay_core::pod::{Placement, Pod, PodSpec};
use podbay_core::published::{GpuType, ImageName, Security, Socket, UserRole};
use podbay_core::{HostId, Micros, PodId, Timestamp, UserId};
use podbay_store::{BoxFuture, Settings, Store, StoreError, Tx, User};
use std::sync::atomic::{AtomicU64, Ordering};

/// A database and what keeps it alive.
pub struct Db {
    pub store: Store,
    pub kind: &'static str,
    folder: tempfile::TempDir,
}

/// One SQLite, and one PostgreSQL if there is a server.
pub async fn both() -> Vec<Db> {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("podbay.db").display().to_string();
    let store = Store::open(&Settings::at(url)).await.unwrap();
    let mut all = vec![Db { store, kind: "sqlite", folder }];
    match std::env::var("PODBAY_TEST_POSTGRES") {
        Ok(server) => all.push(postgres(&server).await),
        Err(_) => eprintln!("left out: PostgreSQL; set PODBAY_TEST_POSTGRES"),
    }
    all
}

async fn postgres(server: &str) -> Db {
    let store = Store::open(&Settings::at(schema(server))).await.unwrap();
    Db { store, kind: "postgres", folder: tempfile::tempdir().unwrap() }
}

/// The URL of an empty schema of its own on that server.
pub fn schema(server: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let schema = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let made = std::process::Command::new("psql")
        .args([server, "--quiet", "--command", &format!("CREATE SCHEMA {schema}")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let separator = if server.contains('?') { '&' } else { '?' };
    format!("{server}{separator}options=-c%20search_path%3D{schema}")
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub fn host() -> HostId {
    HostId::from_stored("local".into())
}

pub fn user(number: u128) -> UserId {
    UserId::from_bits(number)
}

/// A user of that name, always with the same id.
pub fn user_named(name: &str) -> User {
    User {
        id: user(77),
        name: name.into(),
        email: "a@b".into(),
        slug: None,
        role: UserRole::User,
        created_at: at(0),
    }
}

pub fn pod_id(number: u128) -> PodId {
    PodId::from_bits(number)
}

/// Two GPUs, 8 CPUs, 32 GB, 100 GB.
pub fn facts() -> HostFacts {
    let gpu = |index| GpuFact {
        uuid: format!("GPU-{index}"),
        index,
        gpu_type: GpuType::H100,
        memory_gb: 80,
        socket: Socket::Sxm5,
    };
    HostFacts { vcpus: 8, memory_gb: 32, disk_gb: 100, gpus: vec![gpu(0), gpu(1)], ..HostFacts::default() }
}

pub fn size() -> CpuSize {
    CpuSize { vcpus: 2, memory_gb: 4, disk_gb: 10 }
}

pub fn pod(number: u128, owner: u128, created: i64) -> Pod {
    let spec = PodSpec {
        name: format!("pod {number}"),
        cloud_id: "cpu-2x4".into(),
        gpu_type: GpuType::CpuNode,
        gpu_count: 1,
        socket: Socket::Pcie,
        image: ImageName::Ubuntu22Cuda12,
        image_reference: "a/b".into(),
        vcpus: 2,
        memory_gb: 4,
        disk_gb: 10,
        env: vec![("A".into(), "1".into())],
        price: Micros(50_000),
        security: Security::SecureCloud,
        country: None,
        data_center: None,
        auto_restart: false,
        template: None,
        ports: Vec::new(),
        jupyter: None,
    };
    let placement = Placement { host: host(), gpus: Vec::new(), ports: Vec::new() };
    Pod::new(pod_id(number), user(owner), spec, placement, at(created))
}

impl Db {
    /// Writes with the store's own error.
    pub async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        self.store.write(job).await
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub async fn reader(&self) -> Tx {
        self.store.reader().await.unwrap()
    }

    /// A user and the host.
    pub async fn furnish(&self) {
        self.write(|tx| {
            Box::pin(async move {
                for number in [1, 2] {
                    let user = User {
                        id: user(number),
                        name: format!("user {number}"),
                        email: "a@b".into(),
                        slug: None,
                        role: UserRole::User,
                        created_at: at(0),
                    };
                    tx.user_insert(&user).await?;
                }
                tx.host_put(&host(), &facts(), at(0)).await
            })
        })
        .await
        .unwrap();
    }
}
