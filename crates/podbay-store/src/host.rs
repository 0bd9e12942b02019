//! Hosts, and what pods and disks hold of them: GPUs, memory, CPUs, disk, ports.
//!
//! What is held is enforced by the rows. A GPU has one column for its owner; a port is a primary
//! key; an allocation is a primary key of its pod or disk. The counters are guarded in the statement that
//! raises them and not by a CHECK against totals: totals may shrink below what is held (a smaller
//! machine after a repair), and a host must be able to say so.

use crate::sqlite::row;
use crate::{Result, StoreError, Tx, all, exec, json, number, opt, to_json};
use podbay_core::place::{self, CpuSize, Free, HostFacts};
use podbay_core::pod::GpuSlot;
use podbay_core::published::{GpuType, Protocol};
use podbay_core::{DiskId, HostId, PodId, Timestamp};
use std::ops::RangeInclusive;

/// A host, as one sees it who looks for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    /// Its name.
    pub id: HostId,
    /// What it has.
    pub facts: HostFacts,
    /// What is left of it.
    pub free: Free,
    /// Since when it is silent, if it is; see [`Tx::host_silence`].
    pub silent_since: Option<Timestamp>,
}

row! {
    struct HostRow {
        id: String,
        facts: String,
        vcpus_used: i64,
        memory_gb_used: i64,
        disk_gb_used: i64,
        silent_since: Option<i64>,
    }
}

row! {
    struct GpuRow {
        host_id: String,
        uuid: String,
        position: i64,
        gpu_type: String,
    }
}

/// Reads the GPUs that nobody holds.
macro_rules! gpus_free {
    () => {
        "SELECT host_id, uuid, position, gpu_type FROM gpus WHERE is_present AND pod_id IS NULL"
    };
}

impl Tx {
    /// Writes what a host has. GPUs that are not there any more keep their owner and are handed
    /// out to nobody else.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_put(&mut self, host: &HostId, facts: &HostFacts, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO hosts (id, facts, vcpus_used, memory_gb_used, disk_gb_used, updated_at) \
             VALUES ($1, $2, 0, 0, 0, $3) \
             ON CONFLICT (id) DO UPDATE SET facts = excluded.facts, updated_at = excluded.updated_at",
            host.as_str(),
            to_json(facts)?,
            now.as_millis()
        )?;
        exec!(self, "UPDATE gpus SET is_present = FALSE WHERE host_id = $1", host.as_str())?;
        for gpu in &facts.gpus {
            exec!(
                self,
                "INSERT INTO gpus (host_id, uuid, position, gpu_type, is_present) VALUES ($1, $2, $3, $4, TRUE) \
                 ON CONFLICT (host_id, uuid) DO UPDATE SET position = excluded.position, \
                 gpu_type = excluded.gpu_type, is_present = TRUE",
                host.as_str(),
                &gpu.uuid,
                i64::from(gpu.index),
                gpu.gpu_type.as_str()
            )?;
        }
        Ok(())
    }

    /// What a host has.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_get(&mut self, host: &HostId) -> Result<Option<HostFacts>> {
        let row = opt!(self, (String,), "SELECT facts FROM hosts WHERE id = $1", host.as_str())?;
        row.map(|(facts,)| json(&facts, "hosts", "facts", host.as_str())).transpose()
    }

    /// All hosts, and what is left of them.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_states(&mut self) -> Result<Vec<HostState>> {
        let sql = "SELECT id, facts, vcpus_used, memory_gb_used, disk_gb_used, \
                   CASE WHEN answered_at IS NULL OR answered_at <= silent_since THEN silent_since END AS silent_since \
                   FROM hosts ORDER BY id";
        let mut states = all!(self, HostRow, sql)?.into_iter().map(state).collect::<Result<Vec<_>>>()?;
        for gpu in all!(self, GpuRow, concat!(gpus_free!(), " ORDER BY host_id"))? {
            if let Some(state) = states.iter_mut().find(|state| state.id.as_str() == gpu.host_id) {
                *state.free.gpus.entry(gpu_type(&gpu)?).or_insert(0) += 1;
            }
        }
        Ok(states)
    }

    /// When all its machines that rows call running were last seen running, see [`Tx::host_answered_put`]; `None` if
    /// they never were.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_seen(&mut self, host: &HostId) -> Result<Option<Timestamp>> {
        let row = opt!(self, (Option<i64>,), "SELECT seen_at FROM hosts WHERE id = $1", host.as_str())?;
        Ok(row.and_then(|(at,)| at).map(Timestamp::from_millis))
    }

    /// What is left of a host.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn host_free(&mut self, host: &HostId) -> Result<Option<Free>> {
        let states = self.host_states().await?;
        Ok(states.into_iter().find(|state| state.id == *host).map(|state| state.free))
    }

    async fn gpus_free(&mut self, host: &HostId) -> Result<Vec<GpuRow>> {
        let sql = concat!(gpus_free!(), " AND host_id = $1 ORDER BY position, uuid");
        all!(self, GpuRow, sql, host.as_str())
    }

    /// Holds everybody else up who looks for a place, until the transaction ends: one may ask several hosts in any
    /// order, and two would wait for each other.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn placing_lock(&mut self) -> Result<()> {
        self.lock_in_schema("places").await
    }

    /// Sets the share of a pod or a disk aside, all of it or nothing; `None` if it does not fit.
    /// `None` has written nothing but when the host was last touched.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it holds something already.
    pub async fn placement_take(
        &mut self,
        host: &HostId,
        owner: &(impl AsRef<str> + Sync),
        size: &CpuSize,
        gpus: Option<(GpuType, u32)>,
        now: Timestamp,
    ) -> Result<Option<Vec<GpuSlot>>> {
        // Takes the row's lock where several may write, so that what is read next is still true
        // when it is written.
        exec!(self, "UPDATE hosts SET updated_at = $2 WHERE id = $1", host.as_str(), now.as_millis())?;
        let Some(facts) = self.host_get(host).await? else { return Ok(None) };
        let mut slots = Vec::new();
        if let Some((wanted, count)) = gpus {
            for gpu in self.gpus_free(host).await? {
                if slots.len() < count as usize && gpu_type(&gpu)? == wanted {
                    let index = number(gpu.position, "gpus", "position", &gpu.uuid)?;
                    slots.push(GpuSlot { uuid: gpu.uuid, index });
                }
            }
            if slots.len() < count as usize {
                return Ok(None);
            }
        }
        let raised = exec!(
            self,
            "UPDATE hosts SET vcpus_used = vcpus_used + $2, memory_gb_used = memory_gb_used + $3, \
             disk_gb_used = disk_gb_used + $4 WHERE id = $1 AND vcpus_used + $2 <= $5 \
             AND memory_gb_used + $3 <= $6 AND disk_gb_used + $4 <= $7",
            host.as_str(),
            i64::from(size.vcpus),
            i64::from(size.memory_gb),
            i64::from(size.disk_gb),
            i64::from(facts.vcpus),
            i64::from(facts.memory_gb),
            i64::from(facts.disk_gb)
        )?;
        if raised == 0 {
            return Ok(None);
        }
        for slot in &slots {
            let sql = "UPDATE gpus SET pod_id = $3 WHERE host_id = $1 AND uuid = $2 AND pod_id IS NULL";
            if exec!(self, sql, host.as_str(), &slot.uuid, owner.as_ref())? != 1 {
                return Err(StoreError::Conflict(format!("the GPU {} was taken meanwhile", slot.uuid)));
            }
        }
        exec!(
            self,
            "INSERT INTO allocations (pod_id, host_id, vcpus, memory_gb, disk_gb, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            owner.as_ref(),
            host.as_str(),
            i64::from(size.vcpus),
            i64::from(size.memory_gb),
            i64::from(size.disk_gb),
            now.as_millis()
        )?;
        Ok(Some(slots))
    }

    /// Sets that many GB more aside for a disk that holds some; whether they fit.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn placement_grow(&mut self, disk: &DiskId, more_gb: u32, now: Timestamp) -> Result<bool> {
        let sql = "SELECT host_id FROM allocations WHERE pod_id = $1";
        let Some((host,)) = opt!(self, (String,), sql, disk.as_str())? else { return Ok(false) };
        let host = HostId::from_stored(host);
        exec!(self, "UPDATE hosts SET updated_at = $2 WHERE id = $1", host.as_str(), now.as_millis())?;
        let Some(facts) = self.host_get(&host).await? else { return Ok(false) };
        let sql =
            "UPDATE hosts SET disk_gb_used = disk_gb_used + $2 WHERE id = $1 AND disk_gb_used + $2 <= $3";
        if exec!(self, sql, host.as_str(), i64::from(more_gb), i64::from(facts.disk_gb))? == 0 {
            return Ok(false);
        }
        let sql = "UPDATE allocations SET disk_gb = disk_gb + $2 WHERE pod_id = $1";
        Ok(exec!(self, sql, disk.as_str(), i64::from(more_gb))? == 1)
    }

    /// Gives back everything that a pod or a disk holds; whether it held anything. The second time
    /// nothing happens.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn placement_release(
        &mut self,
        owner: &(impl AsRef<str> + Sync),
        now: Timestamp,
    ) -> Result<bool> {
        self.port_release(owner).await?;
        exec!(self, "UPDATE gpus SET pod_id = NULL WHERE pod_id = $1", owner.as_ref())?;
        let sql = "DELETE FROM allocations WHERE pod_id = $1 RETURNING host_id, vcpus, memory_gb, disk_gb";
        // Whoever deletes the row gives back what stood in it, and nobody else does.
        let Some((host, vcpus, memory, disk)) = opt!(self, (String, i64, i64, i64), sql, owner.as_ref())?
        else {
            return Ok(false);
        };
        exec!(
            self,
            "UPDATE hosts SET vcpus_used = vcpus_used - $2, memory_gb_used = memory_gb_used - $3, \
             disk_gb_used = disk_gb_used - $4, updated_at = $5 WHERE id = $1",
            host,
            vcpus,
            memory,
            disk,
            now.as_millis()
        )?;
        Ok(true)
    }

    /// Takes the first free port at or after `start`, wrapping round within `range`; `None` if
    /// all are taken.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn port_take(
        &mut self,
        host: &HostId,
        pod: &PodId,
        internal: u16,
        protocol: Protocol,
        range: RangeInclusive<u16>,
        start: u16,
    ) -> Result<Option<u16>> {
        let start = start.clamp(*range.start(), *range.end());
        for candidate in (start..=*range.end()).chain(*range.start()..start) {
            let taken = exec!(
                self,
                "INSERT INTO ports (host_id, protocol, port, pod_id, internal) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO NOTHING",
                host.as_str(),
                protocol.as_str(),
                i64::from(candidate),
                pod.as_str(),
                i64::from(internal)
            )?;
            if taken == 1 {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// Gives back all ports of a pod.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn port_release(&mut self, owner: &(impl AsRef<str> + Sync)) -> Result<()> {
        exec!(self, "DELETE FROM ports WHERE pod_id = $1", owner.as_ref())?;
        Ok(())
    }

    /// The ports of a host that are taken.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn port_list(&mut self, host: &HostId) -> Result<Vec<(u16, Protocol, PodId)>> {
        let sql = "SELECT port, protocol, pod_id FROM ports WHERE host_id = $1 ORDER BY port, protocol";
        let rows = all!(self, (i64, String, String), sql, host.as_str())?;
        let port = |(port, protocol, pod): (i64, String, String)| {
            let corrupt =
                || StoreError::Corrupt { table: "ports", column: "protocol", row: port.to_string() };
            let protocol = Protocol::parse(&protocol).ok_or_else(corrupt)?;
            Ok((number(port, "ports", "port", &pod)?, protocol, PodId::from_stored(pod)))
        };
        rows.into_iter().map(port).collect()
    }
}

fn state(row: HostRow) -> Result<HostState> {
    let facts: HostFacts = json(&row.facts, "hosts", "facts", &row.id)?;
    let left = |total: u32, used: i64| u32::try_from((i64::from(total) - used).max(0)).unwrap_or(0);
    let mut free = place::whole(&facts);
    free.vcpus = left(facts.vcpus, row.vcpus_used);
    free.memory_gb = left(facts.memory_gb, row.memory_gb_used);
    free.disk_gb = left(facts.disk_gb, row.disk_gb_used);
    free.gpus.values_mut().for_each(|count| *count = 0);
    let silent_since = row.silent_since.map(Timestamp::from_millis);
    Ok(HostState { id: HostId::from_stored(row.id), facts, free, silent_since })
}

fn gpu_type(row: &GpuRow) -> Result<GpuType> {
    let corrupt = || StoreError::Corrupt { table: "gpus", column: "gpu_type", row: row.uuid.clone() };
    GpuType::parse(&row.gpu_type).ok_or_else(corrupt)
}
