//! The books, whole, as the auditor reads them: in one snapshot, or what is on its way between two
//! reads would look like a mistake.

use crate::sqlite::row;
use crate::usage::UsageRow;
use crate::{Result, StoreError, Tx, all, json, number};
use podbay_core::audit::Books;
use podbay_core::disk::Attachment;
use podbay_core::place::CpuSize;
use podbay_core::published::Protocol;
use podbay_core::usage::Interval;
use podbay_core::{DiskId, HostId, PodId, Timestamp};

row! {
    struct Share {
        id: String,
        text: String,
        vcpus: i64,
        memory_gb: i64,
        disk_gb: i64,
    }
}

impl Share {
    fn size(&self, table: &'static str) -> Result<CpuSize> {
        Ok(CpuSize {
            vcpus: number(self.vcpus, table, "vcpus", &self.id)?,
            memory_gb: number(self.memory_gb, table, "memory_gb", &self.id)?,
            disk_gb: number(self.disk_gb, table, "disk_gb", &self.id)?,
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
        let mut books = Books::default();
        let sql = "SELECT id, facts AS text, vcpus_used AS vcpus, memory_gb_used AS memory_gb, \
                   disk_gb_used AS disk_gb FROM hosts ORDER BY id";
        for row in all!(self, Share, sql)? {
            let host = HostId::from_stored(row.id.clone());
            books.pods.extend(self.pod_list_on_host(&host).await?);
            books.disks.extend(self.disk_list_on_host(&host).await?);
            books.hosts.push((host, json(&row.text, "hosts", "facts", &row.id)?, row.size("hosts")?));
        }
        let sql = "SELECT pod_id, at FROM events WHERE kind = 'pod.delete_requested' AND pod_id IN \
                   (SELECT id FROM pods WHERE desired = 'gone' AND terminated_at IS NULL)";
        let deleted = all!(self, (String, i64), sql)?.into_iter();
        let forced = all!(self, (String,), "SELECT pod_id FROM forced_ends ORDER BY pod_id")?;
        books.forced = forced.into_iter().map(|(pod,)| pod).collect();
        books.deleted = deleted.map(|(pod, at)| (pod, Timestamp::from_millis(at))).collect();
        let sql = "SELECT pod_id AS id, host_id AS text, vcpus, memory_gb, disk_gb FROM allocations ORDER BY pod_id";
        for row in all!(self, Share, sql)? {
            let size = row.size("allocations")?;
            books.held.push((row.id, HostId::from_stored(row.text), size));
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
