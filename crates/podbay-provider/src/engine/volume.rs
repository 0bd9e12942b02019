//! Volumes of persistent disks.
//!
//! A volume is made with the disk's size if the engine takes it, which needs XFS with project
//! quotas on both engines, and without one otherwise. Neither engine can change it later.
//!
//! What is on a volume is the dearest thing here: only a volume that carries our label is removed,
//! never by force, so that the engine itself refuses while a machine has it.

use super::clock;
use super::errors::{self, refused};
use super::inspect::{LABEL_INSTALL, LABEL_VERSION};
use super::io::{Kind, Link, escape};
use super::limits::{ASK_MAX, VOLUME_MAX};
use super::machine::within;
use crate::{Answer, ListedVolume, Mount, VolumeSpec};
use bollard::Docker;
use bollard::models::VolumeCreateRequest;
use podbay_core::disk::VolumeFact;
use podbay_core::pod::{CallError, FailureCode};
use podbay_core::{DiskId, InstallId, Timestamp};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The disk of a volume.
const LABEL_DISK: &str = "podbay.disk";
/// Everybody may make files in the root of a disk, and nobody removes another user's: pods of
/// several images, with other users each, may have the same disk.
const ROOT_MODE: u32 = 0o1777;

/// What is asked of a volume; read tolerantly (see `io`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Volume {
    name: String,
    mountpoint: PathBuf,
    created_at: Option<String>,
    labels: Option<HashMap<String, String>>,
    options: Option<HashMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    volumes: Option<Vec<Volume>>,
}

impl Volume {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// The disk, if the volume is this installation's.
    fn disk(&self, install: &InstallId) -> Option<Option<DiskId>> {
        (self.label(LABEL_INSTALL) == Some(install.as_str()))
            .then(|| self.label(LABEL_DISK).and_then(DiskId::parse))
    }

    fn fact(&self) -> VolumeFact {
        let held = self.options.iter().flatten().find_map(|(key, value)| match key.to_lowercase().as_str() {
            "size" => gigabytes(value),
            "o" => value.split(',').find_map(|option| gigabytes(option.strip_prefix("size=")?)),
            _ => None,
        });
        VolumeFact { name: self.name.clone(), held_gb: held }
    }
}

/// A number of bytes, as we ask for it, or `10G`, as we did before.
fn gigabytes(text: &str) -> Option<u32> {
    match text.strip_suffix(['G', 'g']) {
        Some(number) => number.parse().ok(),
        None => u32::try_from(text.parse::<u64>().ok()? >> 30).ok(),
    }
}

/// The volume of that name, whoever made it.
async fn volume(link: &Link, name: &str) -> Answer<Option<Volume>> {
    let reply = link.request("GET", &format!("/volumes/{name}"), ASK_MAX).await?;
    match reply.status {
        200 => reply.json().map(Some),
        404 => Ok(None),
        status => Err(errors::machine(status, &reply.message())),
    }
}

fn foreign(name: &str) -> CallError {
    let text = format!("a volume named {name} is on the host, and this installation did not make it");
    refused(FailureCode::Engine, true, text)
}

/// Our volume of that name.
pub(super) async fn inspect(link: &Link, install: &InstallId, name: &str) -> Answer<Option<VolumeFact>> {
    match volume(link, name).await? {
        None => Ok(None),
        Some(found) if found.disk(install).is_none() => Err(foreign(name)),
        Some(found) => Ok(Some(found.fact())),
    }
}

/// All volumes of the installation.
pub(super) async fn list(link: &Link, install: &InstallId) -> Answer<Vec<ListedVolume>> {
    let filter = serde_json::json!({ "label": [format!("{LABEL_INSTALL}={install}")] }).to_string();
    let reply = link.request("GET", &format!("/volumes?filters={}", escape(&filter)), ASK_MAX).await?;
    if reply.status != 200 {
        return Err(CallError::Unknown(format!("the engine did not list volumes: {}", reply.message())));
    }
    let ours = reply.json::<List>()?.volumes.unwrap_or_default().into_iter().filter_map(|found| {
        let disk_id = found.disk(install)?;
        let created_at = found.created_at.as_deref().and_then(clock::parse).unwrap_or(Timestamp::EPOCH);
        Some(ListedVolume { name: found.name, disk_id, created_at })
    });
    Ok(ours.collect())
}

/// Makes a volume, or adopts the one that is already there.
pub(super) async fn ensure(
    link: &Link,
    docker: &Docker,
    install: &InstallId,
    spec: &VolumeSpec,
) -> Answer<VolumeFact> {
    // Asked before, because engines answer a create with whatever has the name already.
    if volume(link, &spec.name).await?.is_none() {
        let make =
            |size_gb| within(VOLUME_MAX, docker.create_volume(request(link.kind, install, spec, size_gb)));
        match make(Some(spec.size_gb)).await {
            // It may have refused the size alone.
            Err(CallError::Refused { text, .. }) => {
                tracing::debug!(volume = spec.name, text, "the engine does not hold volumes to a size");
                make(None).await?
            }
            answer => answer?,
        };
    }
    let lost = |error: CallError| CallError::Unknown(error.to_string());
    let found = volume(link, &spec.name).await.map_err(lost)?;
    let found = found.ok_or_else(|| CallError::Unknown("the volume was made and is not there".into()))?;
    if found.disk(install).flatten().as_ref() != Some(&spec.disk_id) {
        return Err(foreign(&spec.name));
    }
    let fact = found.fact();
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::set_permissions(&found.mountpoint, Permissions::from_mode(ROOT_MODE))
    });
    if let Ok(Err(error)) = opened.await {
        // An engine whose folders are not ours: users other than root must do without.
        tracing::warn!(volume = spec.name, %error, "the volume belongs to root alone");
    }
    Ok(fact)
}

fn request(kind: Kind, install: &InstallId, spec: &VolumeSpec, size_gb: Option<u32>) -> VolumeCreateRequest {
    let labels = [
        (LABEL_INSTALL, install.as_str()),
        (LABEL_DISK, spec.disk_id.as_str()),
        (LABEL_VERSION, env!("CARGO_PKG_VERSION")),
    ];
    // In bytes: of `1G` Docker makes 2^30 of them, and Podman 10^9.
    let size = size_gb.map(|gb| u64::from(gb) << 30).map(|bytes| match kind {
        Kind::Docker => ("size".to_owned(), bytes.to_string()),
        Kind::Podman => ("o".to_owned(), format!("size={bytes}")),
    });
    VolumeCreateRequest {
        name: Some(spec.name.clone()),
        driver: Some("local".to_owned()),
        driver_opts: Some(size.into_iter().collect()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        ..VolumeCreateRequest::default()
    }
}

/// Removes a volume and everything on it.
pub(super) async fn remove(link: &Link, install: &InstallId, name: &str) -> Answer<()> {
    // There is no way back from this one, so the label is looked at once more.
    match volume(link, name).await? {
        None => return Ok(()),
        Some(found) if found.disk(install).is_none() => return Err(foreign(name)),
        Some(_) => {}
    }
    let reply = link.request("DELETE", &format!("/volumes/{name}"), VOLUME_MAX).await?;
    match reply.status {
        200..=299 | 404 => Ok(()),
        status => Err(errors::machine(status, &reply.message())),
    }
}

/// Refuses a machine whose volumes are not all there: engines would make empty ones in their place.
pub(super) async fn check(link: &Link, install: &InstallId, mounts: &[Mount]) -> Answer<()> {
    for mount in mounts {
        if inspect(link, install, &mount.volume).await?.is_none() {
            let text = format!("the volume of the disk at {} was removed outside podbay", mount.path);
            return Err(refused(FailureCode::DiskLost, true, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(options: &str) -> Option<u32> {
        let volume: Volume = serde_json::from_str(&format!(r#"{{"Name":"v","Options":{options}}}"#)).unwrap();
        volume.fact().held_gb
    }

    #[test]
    fn a_size_that_is_held_is_read_back_from_both_engines() {
        assert_eq!(held("null"), None);
        assert_eq!(held("{}"), None);
        assert_eq!(held(r#"{"size":"10G"}"#), Some(10));
        assert_eq!(held(r#"{"o":"uid=0,size=10G"}"#), Some(10));
        assert_eq!(held(r#"{"o":"size=10737418240"}"#), Some(10));
        assert_eq!(held(r#"{"SIZE":"10737418240"}"#), Some(10));
        assert_eq!(held(r#"{"o":"uid=0","device":"x"}"#), None);
    }

    #[test]
    fn a_size_is_asked_for_in_bytes() {
        let spec = VolumeSpec { disk_id: DiskId::from_bits(1), name: "v".into(), size_gb: 3 };
        let asked = |kind| request(kind, &InstallId::from_bits(1), &spec, Some(3)).driver_opts.unwrap();
        assert_eq!(asked(Kind::Podman)["o"], "size=3221225472");
        assert_eq!(asked(Kind::Docker)["size"], "3221225472");
    }

    #[test]
    fn only_our_label_makes_a_volume_ours() {
        let install = InstallId::from_bits(1);
        let disk = |labels: &str| {
            let volume: Volume = serde_json::from_str(&format!(r#"{{"Labels":{labels}}}"#)).unwrap();
            volume.disk(&install)
        };
        assert_eq!(disk("null"), None);
        assert_eq!(disk(r#"{"podbay.install":"other"}"#), None);
        let id = DiskId::from_bits(2);
        let ours = format!(r#"{{"podbay.install":"{install}","podbay.disk":"{id}"}}"#);
        assert_eq!(disk(&ours), Some(Some(id)));
    }
}
