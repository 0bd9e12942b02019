//! Container Device Interface: the specifications in which a driver's tools say what a container
//! needs for a device.
//!
//! Podman's Docker API ignores requests for devices by name (the machine would run without its
//! GPU), and Docker knows them only in new versions. So specifications are resolved here, into
//! device nodes, mounts and variables that every engine takes.
//!
//! Hooks are programs that an engine would run while it makes a container; they cannot be handed
//! to an engine through its API. What NVIDIA's do is to make links to the driver's libraries and
//! to refresh the loader's cache. The links become further mounts of the same file, under the
//! names that they have on the host and that the hooks name. In place of the cache, the libraries of
//! the folders that it would have covered are mounted where loaders look without it (see `driver`).

use super::driver::{self, Mounts};
use super::gpu::Access;
use super::yaml;
use bollard::models::DeviceMapping;
use podbay_core::pod::GpuSlot;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where specifications are: by people, and by services at boot. The later wins.
pub(super) const FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
const KIND: &str = "nvidia.com/gpu";
/// Largest specification that is read.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    kind: String,
    devices: Vec<Device>,
    container_edits: Edits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Device {
    name: String,
    container_edits: Edits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Edits {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<Mount>,
    hooks: Vec<Hook>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    path: String,
    host_path: Option<String>,
    permissions: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Mount {
    host_path: String,
    container_path: String,
    options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hook {
    args: Vec<String>,
}

/// What the machine needs for these GPUs; `None` if no specification knows all of them.
pub(super) fn resolve(folders: &[&Path], slots: &[GpuSlot]) -> Option<Access> {
    let specs = read(folders);
    let mut edits: Vec<&Edits> = Vec::new();
    for slot in slots {
        let (spec, device) = find(&specs, &slot.uuid).or_else(|| find(&specs, &slot.index.to_string()))?;
        edits.push(&spec.container_edits);
        edits.push(&device.container_edits);
    }
    Some(apply(&edits))
}

fn find<'a>(specs: &'a [Spec], name: &str) -> Option<(&'a Spec, &'a Device)> {
    let named = |spec: &'a Spec| Some((spec, spec.devices.iter().find(|device| device.name == name)?));
    specs.iter().rev().find_map(named)
}

fn read(folders: &[&Path]) -> Vec<Spec> {
    let mut specs = Vec::new();
    for folder in folders {
        // A folder that is not there has no specifications.
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            match read_file(&path) {
                Ok(Some(spec)) if spec.kind == KIND => specs.push(spec),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), error, "a device specification cannot be read")
                }
            }
        }
    }
    specs
}

fn read_file(path: &Path) -> Result<Option<Spec>, String> {
    let parse: fn(&str) -> Result<serde_json::Value, String> =
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("json") => |text| serde_json::from_str(text).map_err(|error| error.to_string()),
            Some("yaml" | "yml") => yaml::parse,
            _ => return Ok(None),
        };
    if fs::metadata(path).map_err(|error| error.to_string())?.len() > FILE_BYTES_MAX {
        return Err("it is too large".into());
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_value(without_nulls(parse(&text)?)).map(Some).map_err(|error| error.to_string())
}

/// A key without a value is the same as no key.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(map) => Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Array(items) => Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn apply(edits: &[&Edits]) -> Access {
    let mut access = Access::default();
    // By path in the machine: GPUs share most of what they need, and a path can be mounted once.
    let mut devices: BTreeMap<&str, &Node> = BTreeMap::new();
    let mut mounts = Mounts::new();
    for edit in edits {
        for variable in &edit.env {
            if !access.env.contains(variable) {
                access.env.push(variable.clone());
            }
        }
        devices.extend(edit.device_nodes.iter().map(|node| (node.path.as_str(), node)));
        for mount in &edit.mounts {
            let writable = mount.options.iter().any(|option| option == "rw");
            mounts.insert(mount.container_path.clone().into(), (mount.host_path.clone().into(), writable));
        }
    }
    driver::links(&mut mounts);
    let hooks = || edits.iter().flat_map(|edit| &edit.hooks);
    for hook in hooks() {
        links_of_hook(hook, &mut mounts);
    }
    let cached: Vec<&Path> = hooks().flat_map(folders_of_hook).collect();
    driver::for_loaders(&mut mounts, &cached);
    driver::for_shells(&mut mounts);
    access.devices = devices.values().map(|node| device(node)).collect();
    driver::give(&mounts, &mut access);
    access
}

fn device(node: &Node) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(node.host_path.clone().unwrap_or_else(|| node.path.clone())),
        path_in_container: Some(node.path.clone()),
        cgroup_permissions: Some(node.permissions.clone().unwrap_or_else(|| "rw".to_owned())),
    }
}

/// `… create-symlinks --link TARGET::LINK …`
fn links_of_hook(hook: &Hook, mounts: &mut Mounts) {
    for pair in hook.args.windows(2).filter(|pair| pair[0] == "--link") {
        let Some((target, link)) = pair[1].split_once("::") else { continue };
        let link = PathBuf::from(link);
        let Some(target) = link.parent().map(|folder| folder.join(target)) else { continue };
        if let Some(host) = mounts.get(&target).cloned() {
            mounts.entry(link).or_insert(host);
        }
    }
}

/// `… update-ldcache --folder FOLDER …`
fn folders_of_hook(hook: &Hook) -> impl Iterator<Item = &Path> {
    let updates = hook.args.iter().any(|word| word == "update-ldcache");
    let pairs = hook.args.windows(2).filter(move |pair| updates && pair[0] == "--folder");
    pairs.map(|pair| Path::new(&pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("podbay-cdi-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn slot(uuid: &str, index: u32) -> GpuSlot {
        GpuSlot { uuid: uuid.into(), index }
    }

    #[test]
    fn devices_mounts_and_variables_come_from_the_specification() {
        let folder = Folder::new("json");
        fs::write(
            folder.0.join("nvidia.json"),
            r#"{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","containerEdits":{"env":["NVIDIA_VISIBLE_DEVICES=void"],
            "deviceNodes":[{"path":"/dev/nvidiactl"}],
            "mounts":[{"hostPath":"/usr/bin/smi","containerPath":"/usr/bin/smi","options":["ro","bind"]}]},
            "devices":[{"name":"0","containerEdits":{"deviceNodes":[
                {"path":"/dev/nvidia0","hostPath":"/dev/null","permissions":"rwm"}]}},
            {"name":"GPU-b","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia1"}]}}]}"#,
        )
        .unwrap();
        fs::write(folder.0.join("other.json"), r#"{"kind":"other.com/gpu","devices":[{"name":"7"}]}"#)
            .unwrap();
        fs::write(folder.0.join("broken.json"), "{").unwrap();
        let folders = [folder.0.as_path(), Path::new("/nowhere")];
        let access = resolve(&folders, &[slot("GPU-a", 0), slot("GPU-b", 1)]).unwrap();
        let paths: Vec<_> =
            access.devices.iter().map(|device| device.path_in_container.as_deref().unwrap()).collect();
        assert_eq!(paths, ["/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl"]);
        assert_eq!(access.devices[0].path_on_host.as_deref(), Some("/dev/null"));
        assert_eq!(access.devices[0].cgroup_permissions.as_deref(), Some("rwm"));
        assert_eq!(access.env, ["NVIDIA_VISIBLE_DEVICES=void"]);
        assert_eq!(access.binds, ["/usr/bin/smi:/usr/bin/smi:ro"]);
        assert!(resolve(&folders, &[slot("GPU-a", 0), slot("GPU-c", 7)]).is_none());
    }

    #[test]
    fn libraries_get_the_names_that_programs_load_them_by() {
        let folder = Folder::new("links");
        let lib = folder.0.join("lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("libcuda.so.550.54"), "").unwrap();
        symlink("libcuda.so.550.54", lib.join("libcuda.so.1")).unwrap();
        symlink("elsewhere", lib.join("libcuda.so.0")).unwrap();
        let text = r#"
kind: nvidia.com/gpu
containerEdits:
  hooks:
  - path: /usr/bin/hook
    args:
    - hook
    - --link
    - libcuda.so.1::/l/libcuda.so
  mounts:
  - hostPath: LIB/libcuda.so.550.54
    containerPath: /l/libcuda.so.550.54
devices:
- name: "0"
"#;
        fs::write(folder.0.join("nvidia.yaml"), text.replace("LIB", &lib.display().to_string())).unwrap();
        let access = resolve(&[folder.0.as_path()], &[slot("GPU-a", 0)]).unwrap();
        let host = lib.join("libcuda.so.550.54").display().to_string();
        let expected =
            ["libcuda.so", "libcuda.so.1", "libcuda.so.550.54"].map(|name| format!("{host}:/l/{name}:ro"));
        assert_eq!(access.binds, expected);
    }

    /// As the maker's tool writes it where the driver is on a mount of its own.
    const FAR: &str = r#"---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-ctk
    - hook
    - create-symlinks
    - --link
    - libcuda.so.1::/usr/local/nvidia/lib64/libcuda.so
    env:
    - NVIDIA_CTK_DEBUG=false
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
  - args:
    - nvidia-ctk
    - hook
    - update-ldcache
    - --folder
    - /usr/local/nvidia/lib64
    env:
    - NVIDIA_CTK_DEBUG=false
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
  mounts:
  - containerPath: /usr/local/nvidia/bin/nvidia-smi
    hostPath: /usr/local/nvidia/bin/nvidia-smi
    options:
    - ro
    - nosuid
    - nodev
    - bind
  - containerPath: /usr/local/nvidia/lib64/libcuda.so.580.159.04
    hostPath: LIB/libcuda.so.580.159.04
    options:
    - ro
  - containerPath: /usr/local/nvidia/lib64/libnvidia-ml.so.580.159.04
    hostPath: LIB/libnvidia-ml.so.580.159.04
    options:
    - ro
  - containerPath: /usr/local/nvidia/lib64/vdpau/libvdpau_nvidia.so.580.159.04
    hostPath: LIB/vdpau/libvdpau_nvidia.so.580.159.04
    options:
    - ro
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
kind: nvidia.com/gpu
"#;

    #[test]
    fn libraries_far_from_where_loaders_look_are_found_all_the_same() {
        let folder = Folder::new("far");
        let lib = folder.0.join("lib64");
        fs::create_dir_all(lib.join("vdpau")).unwrap();
        for name in
            ["libcuda.so.580.159.04", "libnvidia-ml.so.580.159.04", "vdpau/libvdpau_nvidia.so.580.159.04"]
        {
            fs::write(lib.join(name), "").unwrap();
        }
        symlink("libcuda.so.580.159.04", lib.join("libcuda.so.1")).unwrap();
        fs::write(folder.0.join("nvidia.yaml"), FAR.replace("LIB", &lib.display().to_string())).unwrap();
        let access = resolve(&[folder.0.as_path()], &[slot("GPU-a", 0)]).unwrap();
        let debian = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let mut expected = ["/usr/bin", "/usr/local/nvidia/bin"]
            .map(|folder| format!("/usr/local/nvidia/bin/nvidia-smi:{folder}/nvidia-smi:ro"))
            .to_vec();
        for inside in [debian.as_str(), "/usr/lib64", "/usr/local/nvidia/lib64"] {
            for (name, file) in [
                ("libcuda.so", "libcuda.so.580.159.04"),
                ("libcuda.so.1", "libcuda.so.580.159.04"),
                ("libcuda.so.580.159.04", "libcuda.so.580.159.04"),
                ("libnvidia-ml.so.580.159.04", "libnvidia-ml.so.580.159.04"),
            ] {
                expected.push(format!("{}:{inside}/{name}:ro", lib.join(file).display()));
            }
        }
        let vdpau = "vdpau/libvdpau_nvidia.so.580.159.04";
        expected.push(format!("{}:/usr/local/nvidia/lib64/{vdpau}:ro", lib.join(vdpau).display()));
        let mut binds = access.binds.clone();
        binds.sort();
        expected.sort();
        assert_eq!(binds, expected);
        assert_eq!(access.env[0], "NVIDIA_VISIBLE_DEVICES=void");
    }
}
