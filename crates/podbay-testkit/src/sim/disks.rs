//! What users do with disks, and what must hold of them.

use super::Run;
use crate::TestServer;
use podbay_core::DiskId;
use podbay_core::published::PodStatus;
use podbay_core::usage::Interval;
use std::collections::BTreeSet;

impl Run {
    pub(super) fn pick_disk(&mut self) -> Option<String> {
        let nth = self.draw.below(self.disks.len() as u64) as usize;
        self.disks.keys().nth(nth).cloned()
    }

    pub(super) async fn disk_create(&mut self) -> Result<String, String> {
        let order = TestServer::disk_order(1 + self.draw.below(100) as u32);
        let reply = self.user().await.post("/api/v1/disks", &order).await;
        match reply.status.as_u16() {
            200 => {
                let id = reply.json["id"].as_str().unwrap_or_default().to_owned();
                let told = format!("create disk {id}");
                self.disks.insert(id, None);
                Ok(told)
            }
            409 | 503 => Ok(format!("create of a disk refused: {}", reply.json)),
            _ => Err(format!("a create of a disk was answered {}: {}", reply.status, reply.json)),
        }
    }

    /// Grows a disk, or deletes it.
    pub(super) async fn disk_change(&mut self) -> Result<String, String> {
        let Some(id) = self.pick_disk() else { return Ok("no disk to change".into()) };
        let (user, path) = (self.user().await, format!("/api/v1/disks/{id}"));
        let reply = if self.draw.below(2) == 0 {
            user.delete(&path).await
        } else {
            user.patch(&path, &serde_json::json!({ "size": 1 + self.draw.below(200) })).await
        };
        match reply.status.as_u16() {
            200 | 404 | 409 | 422 | 503 => Ok(format!("change of disk {id}: {}", reply.status)),
            _ => Err(format!("a change of a disk was answered {}: {}", reply.status, reply.json)),
        }
    }

    /// Every disk, against the invariants; what they hold of the host in GB.
    pub(super) async fn check_disks(&mut self) -> Result<u32, String> {
        let error = |error: podbay_store::StoreError| format!("rows: {error}");
        let mut tx = self.server.app.store.reader().await.map_err(error)?;
        let mut held = 0;
        for (text, born) in &mut self.disks {
            let id = DiskId::from_stored(text.clone());
            let disk = tx.disk_get(&id).await.map_err(error)?;
            let disk = disk.ok_or_else(|| format!("P2: the accepted disk {id} has no row"))?;
            let open: Vec<Interval> = tx.usage_list(&id).await.map_err(error)?;
            let open: Vec<_> = open.into_iter().filter(|one| one.ended_at.is_none()).collect();
            let is_active = disk.status() == PodStatus::Active;
            if open.len() != usize::from(is_active) || open.iter().any(|one| one.price != disk.price()) {
                return Err(format!("B1: the disk {id} is {} and billed {open:?}", disk.status()));
            }
            let volume = self.server.world.volume(&disk.volume_name()).map(|volume| volume.born);
            if is_active {
                let first = *born.get_or_insert(volume.unwrap_or(0));
                if volume != Some(first) {
                    return Err(format!("D1: the data of {id} was {first} and is {volume:?}"));
                }
            }
            let attached = tx.attachments_of_disks(std::slice::from_ref(&id)).await.map_err(error)?;
            if disk.terminated_at.is_none() {
                held += disk.size_gb;
            }
            if disk.desired == podbay_core::disk::Desired::Gone && !attached.is_empty() {
                return Err(format!("D2: {id} is deleted and attached: {attached:?}"));
            }
        }
        Ok(held)
    }

    /// Why the disks are not as they are wanted.
    pub(super) async fn restless_disks(&self) -> Result<Option<String>, String> {
        let error = |error: podbay_store::StoreError| format!("rows: {error}");
        let mut tx = self.server.app.store.reader().await.map_err(error)?;
        let mut have: BTreeSet<String> =
            self.server.world.volumes().iter().map(|volume| volume.spec.name.clone()).collect();
        let mut wanted = BTreeSet::new();
        for text in self.disks.keys() {
            let disk = tx.disk_get(&DiskId::from_stored(text.clone())).await.map_err(error)?;
            let Some(disk) = disk else { continue };
            match disk.status() {
                PodStatus::Active => {
                    wanted.insert(disk.volume_name());
                }
                // A create that was refused for good may have had a late one before it.
                PodStatus::Error => {
                    have.remove(&disk.volume_name());
                }
                PodStatus::Terminated => {}
                other => return Ok(Some(format!("the disk {} is {other}", disk.id))),
            }
        }
        Ok((have != wanted).then(|| format!("P4: volumes {have:?}, rows want {wanted:?}")))
    }
}
