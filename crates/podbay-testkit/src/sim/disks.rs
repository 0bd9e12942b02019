//! What users do with disks, and what must hold of them.

use super::Run;
use crate::TestServer;
use podbay_core::audit::Books;
use podbay_core::disk::Disk;
use podbay_core::published::PodStatus;
use podbay_core::{DiskId, HostId};
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
            _ => Err(format!("W: a create of a disk was answered {}: {}", reply.status, reply.json)),
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
            _ => Err(format!("W: a change of a disk was answered {}: {}", reply.status, reply.json)),
        }
    }

    /// What is on a disk stays: its volume is the one that it had at first.
    pub(super) async fn check_disks(&mut self, books: &Books) -> Result<(), String> {
        for disk in &books.disks {
            let born = self.disks.entry(disk.id.to_string()).or_insert(None);
            if disk.status() == PodStatus::Active {
                let volume =
                    self.server.world_of(&disk.host_id).volume(&disk.volume_name()).map(|volume| volume.born);
                let first = *born.get_or_insert(volume.unwrap_or(0));
                if volume != Some(first) {
                    return Err(format!("D1: the data of {} was {first} and is {volume:?}", disk.id));
                }
            }
        }
        let live: BTreeSet<&str> = books.disks.iter().map(|disk| disk.id.as_str()).collect();
        let is_new = |id: &&String| !live.contains(id.as_str()) && !self.disks_over.contains(*id);
        let over: Vec<String> = self.disks.keys().filter(is_new).cloned().collect();
        self.check_disk_rows(&over).await?;
        self.disks_over.extend(over);
        Ok(())
    }

    /// What was accepted has its row, also when it has ended.
    pub(super) async fn check_disk_rows<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i String>,
    ) -> Result<(), String> {
        let mut tx = self.server.app.store.reader().await.map_err(|error| format!("rows: {error}"))?;
        for id in ids {
            let row = tx.disk_get(&DiskId::from_stored(id.clone())).await;
            if row.map_err(|error| format!("rows: {error}"))?.is_none() {
                return Err(format!("P2: the accepted disk {id} has no row"));
            }
        }
        Ok(())
    }

    /// Why the disks are not as they are wanted.
    pub(super) fn restless_disks(&self, books: &Books, lost: &[HostId]) -> Option<String> {
        let between = |disk: &&Disk| {
            !lost.contains(&disk.host_id) && !matches!(disk.status(), PodStatus::Active | PodStatus::Error)
        };
        books.disks.iter().find(between).map(|disk| format!("the disk {} is {}", disk.id, disk.status()))
    }
}
