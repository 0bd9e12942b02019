//! Volumes of the scripted world.

use super::fault::refused;
use super::state::{Machine, State};
use crate::{Answer, MachineSpec, VolumeSpec};
use podbay_core::disk::VolumeFact;
use podbay_core::pod::FailureCode;
use podbay_core::{InstallId, Timestamp};

/// A volume as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// What it was made from.
    pub spec: VolumeSpec,
    /// The installation that made it.
    pub install_id: InstallId,
    /// Another number for each volume that ever was: the same number means the same data.
    pub born: u64,
    /// Whether it is held to its size.
    pub held: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Volume {
    pub(super) fn fact(&self) -> VolumeFact {
        VolumeFact { name: self.spec.name.clone(), held_gb: self.held.then_some(self.spec.size_gb) }
    }
}

impl State {
    pub fn volume_ensure(
        &mut self,
        spec: &VolumeSpec,
        install_id: &InstallId,
        now: Timestamp,
    ) -> Answer<String> {
        if let Some(found) = self.volumes.get(&spec.name) {
            if found.install_id != *install_id || found.spec.disk_id != spec.disk_id {
                let text = format!("a volume named {} is there, and somebody else made it", spec.name);
                return Err(refused(FailureCode::Engine, true, text));
            }
            return Ok(String::new());
        }
        self.sequence += 1;
        let volume = Volume {
            spec: spec.clone(),
            install_id: install_id.clone(),
            born: self.sequence,
            held: self.facts.volume_quota,
            created_at: now,
        };
        self.volumes.insert(spec.name.clone(), volume);
        Ok(String::new())
    }

    pub fn volume_remove(&mut self, name: &str) -> Answer<String> {
        let has = |machine: &&Machine| machine.spec.mounts.iter().any(|mount| mount.volume == name);
        if let Some(user) = self.machines.values().find(has) {
            let text = format!("the volume {name} is in use by {}", user.spec.name);
            if !user.late {
                self.watch.report(format!("a removal was asked for, and {text}"));
            }
            return Err(refused(FailureCode::Engine, false, text));
        }
        self.volumes.remove(name);
        Ok(String::new())
    }

    /// Refuses a machine whose volumes are not all there.
    pub fn volumes_check(&self, spec: &MachineSpec) -> Answer<()> {
        match spec.mounts.iter().find(|mount| !self.volumes.contains_key(&mount.volume)) {
            None => Ok(()),
            Some(gone) => {
                let text = format!("the volume of the disk at {} was removed outside podbay", gone.path);
                Err(refused(FailureCode::DiskLost, true, text))
            }
        }
    }
}
