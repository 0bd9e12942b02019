//! The books, whole, as the auditor reads them: in one snapshot, or what is on its way between two
//! reads would look like a mistake.

use crate::sqlite::row;
use crate::usage::UsageRow;
use crate::{PodMark, Result, StoreError, Tx, all, number};
use podbay_core::audit::Books;
use podbay_core::disk::Attachment;
use podbay_core::place::CpuSize;
use podbay_core::pod::Pod;
use podbay_core::published::Protocol;
use podbay_core::usage::Interval;
use podbay_core::{DiskId, HostId, PodId, Timestamp};
use std::collections::HashMap;

row! {
    struct Share {
        owner: String,
        host_id: String,
        vcpus: i64,
        memory_gb: i64,
        disk_gb: i64,
    }
}

impl Share {
    fn size(&self, table: &'static str) -> Result<CpuSize> {
        Ok(CpuSize {
            vcpus: number(self.vcpus, table, "vcpus", &self.owner)?,
            memory_gb: number(self.memory_gb, table, "memory_gb", &self.owner)?,
            disk_gb: number(self.disk_gb, table, "disk_gb", &self.owner)?,
        })
    }
}

impl Tx {
    /// How many live pods there are, by what is wanted of them.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_count_by_desired(&mut self) -> Result<Vec<(String, i64)>> {
        let sql = "SELECT desired, COUNT(*) FROM pods WHERE terminated_at IS NULL GROUP BY desired ORDER BY desired";
        all!(self, (String, i64), sql)
    }

    /// Everything that is live, and everything that is held or billed. To be called within
    /// [`crate::Store::snapshot`].
    ///
    /// # Errors
    /// The database refuses.
    pub async fn books(&mut self) -> Result<Books> {
        let pods = self.pod_list_live_all().await?;
        self.books_with(pods).await
    }

    /// The same for one who has read them before: of pods, only those are read whose marks have changed.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn books_after(&mut self, before: Books) -> Result<Books> {
        let mut known: HashMap<PodId, Pod> =
            before.pods.into_iter().map(|pod| (pod.id.clone(), pod)).collect();
        let mut pods = Vec::new();
        for (id, mark) in self.pod_marks_all().await? {
            match known.remove(&id).filter(|pod| PodMark::of(pod) == mark) {
                Some(pod) => pods.push(pod),
                None => pods.extend(self.pod_get(&id).await?),
            }
        }
        self.books_with(pods).await
    }

    async fn books_with(&mut self, pods: Vec<Pod>) -> Result<Books> {
        let mut books = Books { pods, disks: self.disk_list_live_all().await?, ..Books::default() };
        let sql = "SELECT id AS owner, id AS host_id, vcpus_used AS vcpus, memory_gb_used AS memory_gb, \
                   disk_gb_used AS disk_gb FROM hosts ORDER BY id";
        for row in all!(self, Share, sql)? {
            let size = row.size("hosts")?;
            books.hosts.push((HostId::from_stored(row.host_id), size));
        }
        let sql = "SELECT pod_id, at FROM events WHERE kind = 'pod.delete_requested' AND pod_id IN \
                   (SELECT id FROM pods WHERE desired = 'gone' AND terminated_at IS NULL)";
        let deleted = all!(self, (String, i64), sql)?.into_iter();
        let forced = all!(self, (String,), "SELECT pod_id FROM forced_ends ORDER BY pod_id")?;
        books.forced = forced.into_iter().map(|(pod,)| pod).collect();
        books.deleted = deleted.map(|(pod, at)| (pod, Timestamp::from_millis(at))).collect();
        let sql =
            "SELECT pod_id AS owner, host_id, vcpus, memory_gb, disk_gb FROM allocations ORDER BY pod_id";
        for row in all!(self, Share, sql)? {
            let size = row.size("allocations")?;
            books.held.push((row.owner, HostId::from_stored(row.host_id), size));
        }
        let sql = "SELECT host_id, port, protocol, pod_id FROM ports ORDER BY host_id, port, protocol";
        for (host, port, protocol, owner) in all!(self, (String, i64, String, String), sql)? {
            let row = port.to_string();
            let corrupt = || StoreError::Corrupt { table: "ports", column: "protocol", row: row.clone() };
            let protocol = Protocol::parse(&protocol).ok_or_else(corrupt)?;
            let port = number(port, "ports", "port", &owner)?;
            books.ports.push((HostId::from_stored(host), port, protocol, owner));
        }
        let sql = "SELECT host_id, uuid, pod_id FROM gpus WHERE pod_id IS NOT NULL ORDER BY host_id, position, uuid";
        let gpus = all!(self, (String, String, String), sql)?.into_iter();
        books.gpus = gpus.map(|(host, uuid, owner)| (HostId::from_stored(host), uuid, owner)).collect();
        let sql = "SELECT pod_id, state, price, started_at, ended_at FROM usage_intervals \
                   WHERE ended_at IS NULL ORDER BY pod_id, seq";
        for row in all!(self, UsageRow, sql)? {
            let interval = Interval::try_from(&row)?;
            books.open.push((row.pod_id, interval));
        }
        let sql = "SELECT disk_id, pod_id, mount_path FROM attachments ORDER BY pod_id, position";
        let attachments = all!(self, (String, String, String), sql)?.into_iter();
        books.attachments = attachments
            .map(|(disk, pod, mount_path)| Attachment {
                disk_id: DiskId::from_stored(disk),
                pod_id: PodId::from_stored(pod),
                mount_path,
            })
            .collect();
        Ok(books)
    }
}
