//! Persistent disks, one row each, and what they are attached to.

use crate::account::bound;
use crate::pod::seen;
use crate::sqlite::row;
use crate::{
    IN_LISTS, Page, Result, StoreError, Tx, all, exec, in_list, in_lists, json, number, opt, placeholders,
    to_json,
};
use podbay_core::disk::{Attachment, Desired, Disk};
use podbay_core::{DiskId, HostId, Micros, PodId, TeamId, Timestamp, UserId};
use std::collections::HashMap;
use std::sync::LazyLock;

static OF_PODS: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| attachments_by("pod_id", "position"));
static OF_DISKS: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| attachments_by("disk_id", "pod_id"));

static SIZES: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| {
    IN_LISTS.map(|size| format!("SELECT id, size_gb FROM disks WHERE id IN ({})", placeholders(1, size)))
});

fn attachments_by(column: &str, order: &str) -> [String; IN_LISTS.len()] {
    IN_LISTS.map(|size| {
        let ids = placeholders(1, size);
        format!(
            "SELECT pod_id, disk_id, mount_path FROM attachments WHERE {column} IN ({ids}) ORDER BY {column}, {order}"
        )
    })
}

row! {
    struct DiskRow {
        id: String,
        user_id: String,
        team_id: Option<String>,
        host_id: String,
        name: String,
        size_gb: i64,
        price_gb: i64,
        desired: String,
        generation: i64,
        volume: String,
        failure: Option<String>,
        ready_at: Option<i64>,
        setbacks: i64,
        next_at: i64,
        version: i64,
        created_at: i64,
        updated_at: i64,
        terminated_at: Option<i64>,
    }
}

impl TryFrom<DiskRow> for Disk {
    type Error = StoreError;

    fn try_from(row: DiskRow) -> Result<Self> {
        let id = row.id.as_str();
        let desired = match row.desired.as_str() {
            "present" => Desired::Present,
            "gone" => Desired::Gone,
            _ => return Err(StoreError::Corrupt { table: "disks", column: "desired", row: row.id.clone() }),
        };
        let failure = row.failure.as_deref().map(|text| json(text, "disks", "failure", id)).transpose()?;
        Ok(Self {
            size_gb: number(row.size_gb, "disks", "size_gb", id)?,
            volume: json(&row.volume, "disks", "volume", id)?,
            setbacks: number(row.setbacks, "disks", "setbacks", id)?,
            failure,
            desired,
            user_id: UserId::from_stored(row.user_id),
            team_id: row.team_id.map(TeamId::from_stored),
            host_id: HostId::from_stored(row.host_id),
            name: row.name,
            price_gb: Micros(row.price_gb),
            generation: row.generation,
            ready_at: row.ready_at.map(Timestamp::from_millis),
            next_at: Timestamp::from_millis(row.next_at),
            version: row.version,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            terminated_at: row.terminated_at.map(Timestamp::from_millis),
            id: DiskId::from_stored(row.id),
        })
    }
}

fn disks(rows: Vec<DiskRow>) -> Result<Vec<Disk>> {
    rows.into_iter().map(Disk::try_from).collect()
}

row! {
    struct AttachmentRow {
        pod_id: String,
        disk_id: String,
        mount_path: String,
    }
}

impl From<AttachmentRow> for Attachment {
    fn from(row: AttachmentRow) -> Self {
        Self {
            disk_id: DiskId::from_stored(row.disk_id),
            pod_id: PodId::from_stored(row.pod_id),
            mount_path: row.mount_path,
        }
    }
}

impl Tx {
    /// Holds everybody else who wants to write or attach the same disk up until the transaction
    /// ends. To be called before its row is read, and for several disks in the order of their ids.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_lock(&mut self, id: &DiskId) -> Result<()> {
        self.lock_name(id.as_str()).await
    }

    /// Adds a disk.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_insert(&mut self, disk: &Disk) -> Result<()> {
        exec!(
            self,
            "INSERT INTO disks (id, user_id, team_id, host_id, name, size_gb, price_gb, desired, generation, volume, \
             failure, ready_at, setbacks, next_at, version, created_at, updated_at, terminated_at, \
             owner_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
            disk.id.as_str(),
            disk.user_id.as_str(),
            disk.team_id.as_ref().map(TeamId::as_str),
            disk.host_id.as_str(),
            &disk.name,
            i64::from(disk.size_gb),
            disk.price_gb.0,
            match disk.desired {
                Desired::Present => "present",
                Desired::Gone => "gone",
            },
            disk.generation,
            to_json(&disk.volume)?,
            disk.failure.as_ref().map(to_json).transpose()?,
            disk.ready_at.map(Timestamp::as_millis),
            i64::from(disk.setbacks),
            disk.next_at.as_millis(),
            disk.version,
            disk.created_at.as_millis(),
            disk.updated_at.as_millis(),
            disk.terminated_at.map(Timestamp::as_millis),
            disk.owner().as_str()
        )?;
        Ok(())
    }

    /// The disk of that id, also an ended one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_get(&mut self, id: &DiskId) -> Result<Option<Disk>> {
        opt!(self, DiskRow, "SELECT * FROM disks WHERE id = $1", id.as_str())?.map(Disk::try_from).transpose()
    }

    /// The disk of that id, also an ended one, if the user sees it.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_get_seen(&mut self, user: &UserId, id: &DiskId) -> Result<Option<Disk>> {
        let sql = concat!("SELECT * FROM disks WHERE id = $2 AND ", seen!());
        opt!(self, DiskRow, sql, user.as_str(), id.as_str())?.map(Disk::try_from).transpose()
    }

    /// A part of the live disks that a user sees, newest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_list_live(&mut self, user: &UserId, offset: u64, limit: u64) -> Result<Page<Disk>> {
        let rows = all!(
            self,
            DiskRow,
            concat!(
                "SELECT * FROM disks WHERE terminated_at IS NULL AND ",
                seen!(),
                " ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3"
            ),
            user.as_str(),
            bound(limit),
            bound(offset)
        )?;
        let sql = concat!("SELECT COUNT(*) FROM disks WHERE terminated_at IS NULL AND ", seen!());
        let total = opt!(self, (i64,), sql, user.as_str())?;
        Ok(Page { items: disks(rows)?, total: total.map_or(0, |(total,)| total.unsigned_abs()) })
    }

    /// All live disks of a host.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_list_on_host(&mut self, host: &HostId) -> Result<Vec<Disk>> {
        let sql = "SELECT * FROM disks WHERE host_id = $1 AND terminated_at IS NULL ORDER BY id";
        disks(all!(self, DiskRow, sql, host.as_str())?)
    }

    /// All live disks, those of one host together.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn disk_list_live_all(&mut self) -> Result<Vec<Disk>> {
        let sql = "SELECT * FROM disks WHERE terminated_at IS NULL ORDER BY host_id, id";
        disks(all!(self, DiskRow, sql)?)
    }

    /// Ids of all live disks.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_live_ids(&mut self) -> Result<Vec<DiskId>> {
        let rows = all!(self, (String,), "SELECT id FROM disks WHERE terminated_at IS NULL ORDER BY id")?;
        Ok(rows.into_iter().map(|(id,)| DiskId::from_stored(id)).collect())
    }

    /// Writes what the reconciler owns of a disk, if nobody has since `expected`; whether it did.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_update(&mut self, disk: &Disk, expected: i64) -> Result<bool> {
        self.disk_write(disk, expected, None).await
    }

    /// As [`Tx::disk_update`], if what its user wants is also still what it was when `disk` was read.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_update_as_wanted(&mut self, disk: &Disk, expected: i64) -> Result<bool> {
        self.disk_write(disk, expected, Some(disk.generation)).await
    }

    async fn disk_write(&mut self, disk: &Disk, expected: i64, wanted: Option<i64>) -> Result<bool> {
        let changed = exec!(
            self,
            "UPDATE disks SET volume = $3, failure = $4, ready_at = $5, setbacks = $6, next_at = $7, \
             updated_at = $8, version = $2 + 1 WHERE id = $1 AND version = $2 \
             AND generation = COALESCE($9, generation)",
            disk.id.as_str(),
            expected,
            to_json(&disk.volume)?,
            disk.failure.as_ref().map(to_json).transpose()?,
            disk.ready_at.map(Timestamp::as_millis),
            i64::from(disk.setbacks),
            disk.next_at.as_millis(),
            disk.updated_at.as_millis(),
            wanted
        )?;
        // By itself, as with pods.
        if let Some(at) = disk.terminated_at.filter(|_| changed == 1) {
            let sql = "UPDATE disks SET terminated_at = $2 WHERE id = $1";
            exec!(self, sql, disk.id.as_str(), at.as_millis())?;
        }
        Ok(changed == 1)
    }

    /// Writes the name and the size that the user wants.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_set(&mut self, id: &DiskId, name: &str, size_gb: u32, now: Timestamp) -> Result<()> {
        let sql = "UPDATE disks SET name = $2, size_gb = $3, generation = generation + 1, updated_at = $4 \
                   WHERE id = $1";
        exec!(self, sql, id.as_str(), name, i64::from(size_gb), now.as_millis())?;
        Ok(())
    }

    /// Writes that the user wants a disk gone, whatever the reconciler is doing; whether that is
    /// new.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_set_gone(&mut self, id: &DiskId, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE disks SET desired = 'gone', generation = generation + 1, next_at = $2, setbacks = 0, \
                   updated_at = $2 WHERE id = $1 AND desired <> 'gone' AND terminated_at IS NULL";
        Ok(exec!(self, sql, id.as_str(), now.as_millis())? == 1)
    }

    /// Attaches a disk to a pod, as the one at that place of its order.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is attached to that pod already.
    pub async fn attachment_insert(&mut self, attachment: &Attachment, position: usize) -> Result<()> {
        exec!(
            self,
            "INSERT INTO attachments (pod_id, disk_id, position, mount_path) VALUES ($1, $2, $3, $4)",
            attachment.pod_id.as_str(),
            attachment.disk_id.as_str(),
            i64::try_from(position).unwrap_or(i64::MAX),
            &attachment.mount_path
        )?;
        Ok(())
    }

    /// Takes all disks off a pod.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn attachment_release(&mut self, pod: &PodId) -> Result<()> {
        exec!(self, "DELETE FROM attachments WHERE pod_id = $1", pod.as_str())?;
        Ok(())
    }

    /// The attachments of some pods, each pod's in the order of its order.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn attachments_of_pods(&mut self, pods: &[PodId]) -> Result<Vec<Attachment>> {
        self.attachments(&OF_PODS, pods).await
    }

    /// The attachments of some disks.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn attachments_of_disks(&mut self, disks: &[DiskId]) -> Result<Vec<Attachment>> {
        self.attachments(&OF_DISKS, disks).await
    }

    async fn attachments<I: AsRef<str>>(
        &mut self,
        queries: &'static [String; IN_LISTS.len()],
        ids: &[I],
    ) -> Result<Vec<Attachment>> {
        let mut found = Vec::new();
        for (size, ids) in in_lists(ids.iter().map(AsRef::as_ref).collect()) {
            let rows = in_list!(self, AttachmentRow, &queries[size], [], ids)?;
            found.extend(rows.into_iter().map(Attachment::from));
        }
        Ok(found)
    }

    /// Sizes of some disks in GB.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn disk_sizes(&mut self, ids: &[DiskId]) -> Result<HashMap<DiskId, u32>> {
        let mut sizes = HashMap::new();
        for (nth, ids) in in_lists(ids.iter().map(DiskId::as_str).collect()) {
            for (id, size) in in_list!(self, (String, i64), &SIZES[nth], [], ids)? {
                let size = number(size, "disks", "size_gb", &id)?;
                sizes.insert(DiskId::from_stored(id), size);
            }
        }
        Ok(sizes)
    }
}
