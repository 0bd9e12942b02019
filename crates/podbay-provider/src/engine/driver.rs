//! The driver's own files: which of them a machine with GPUs needs, and where its loader finds them.
//!
//! The libraries that CUDA calls have to be those of the driver that is loaded, so no image can bring
//! them. A specification (see `cdi`) names them; it is made by tools that many hosts lack. So without
//! one they are looked for: they lie beside the library that has told us of the GPUs, and carry the
//! driver's version in their names.
//!
//! Nothing can be run in a machine before its own programs, so the loader's cache of its image stays
//! as it is. That leaves the folders that a loader searches by itself. They depend on the image's
//! distribution, and an image does not say which it is: so each file is mounted in the folder of either
//! family, and an engine makes those that the image does not have. A mount costs it 0.3 ms. Loaders
//! of another C library (Alpine's) look elsewhere, but could not load these files anyway.

use super::gpu::Access;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// By path in the machine: the path on the host, and whether it may be written to.
pub(super) type Mounts = BTreeMap<PathBuf, (PathBuf, bool)>;

/// What loaders search by themselves: those of Debian and Ubuntu, and those of Fedora, RHEL and
/// openSUSE. In most images the second of a family is the first by a link, so one of them is enough.
const LOADER_FOLDERS: [[&str; 2]; 2] = [
    if cfg!(target_arch = "aarch64") {
        ["/usr/lib/aarch64-linux-gnu", "/lib/aarch64-linux-gnu"]
    } else {
        ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"]
    },
    ["/usr/lib64", "/lib64"],
];

const MANAGEMENT: &str = "libnvidia-ml.so";
/// Loaded by CUDA's compiler for older GPUs. The one library of the driver without its version.
const OLD_COMPILER: &str = "libnvidia-nvvm70.so.";
/// Beginnings of the libraries that draw. Machines compute and encode; to draw they would need files
/// of configuration as well, and Docker's runtime is not asked for them either. What is left out is
/// listed, and not what is taken: a new driver may need a new library for computing.
const DRAWING: [&str; 15] = [
    "libEGL",
    "libGL",
    "libglx",
    "libnvidia-egl",
    "libnvidia-fbc",
    "libnvidia-gl",
    "libnvidia-gtk",
    "libnvidia-ngx",
    "libnvidia-present",
    "libnvidia-rtcore",
    "libnvidia-tls",
    "libnvidia-vksc",
    "libnvidia-wayland",
    "libnvoptix",
    "libvdpau",
];

const PROGRAMS: [&str; 5] = [
    "nvidia-smi",
    "nvidia-debugdump",
    "nvidia-persistenced",
    "nvidia-cuda-mps-control",
    "nvidia-cuda-mps-server",
];
/// What images have in their PATH.
const PATH: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"];
/// Where programs are, if not in a `bin` beside the folder of the libraries.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// The folder of the driver's libraries: where our own loader has found the one that is in use now.
/// It has read the host's cache, so nobody has to guess where a distribution keeps them.
pub(super) fn folder() -> Option<PathBuf> {
    let maps = fs::read("/proc/self/maps").ok()?;
    folder_in(&String::from_utf8_lossy(&maps))
}

/// A library that was replaced since is marked as deleted, and its path leads nowhere.
fn folder_in(maps: &str) -> Option<PathBuf> {
    let paths = maps.lines().filter_map(|line| Some(Path::new(line.get(line.find('/')?..)?)));
    let is_management = |path: &&Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(MANAGEMENT.as_bytes()))
    };
    let path = paths.into_iter().find(is_management)?;
    Some(fs::canonicalize(path).ok()?.parent()?.to_path_buf())
}

/// What a machine gets of the driver whose libraries are in this folder now; nothing if it is not
/// there any more. Looked up for each machine: a driver may be upgraded while we run.
pub(super) fn files(folder: &Path) -> Mounts {
    mounts(folder, &PROGRAM_FOLDERS.map(Path::new))
}

fn mounts(folder: &Path, program_folders: &[&Path]) -> Mounts {
    let Some(version) = version(folder) else { return Mounts::new() };
    let inside = Path::new(LOADER_FOLDERS[0][0]);
    let mut mounts: Mounts = libraries(folder, &version)
        .into_iter()
        .map(|(name, host)| (inside.join(name), (host, false)))
        .collect();
    links(&mut mounts);
    for_loaders(&mut mounts, &[inside]);
    let beside = folder.with_file_name("bin");
    for name in PROGRAMS {
        let mut places = [beside.as_path()].into_iter().chain(program_folders.iter().copied());
        if let Some(host) = places.find_map(|folder| fs::canonicalize(folder.join(name)).ok()) {
            mounts.insert(Path::new("/usr/bin").join(name), (host, false));
        }
    }
    mounts
}

/// From the file that the library's link leads to: an upgrade may leave files of the old version.
fn version(folder: &Path) -> Option<String> {
    let file = fs::canonicalize(folder.join(format!("{MANAGEMENT}.1"))).ok()?;
    let version = file.file_name()?.to_str()?.strip_prefix(MANAGEMENT)?.strip_prefix('.')?;
    // `libnvidia-ml.so.1` itself, as in the virtual machines of Windows, tells no version.
    version.contains('.').then(|| version.to_owned())
}

/// The libraries of that version, by name.
fn libraries(folder: &Path, version: &str) -> BTreeMap<OsString, PathBuf> {
    let suffix = format!(".so.{version}");
    let is_wanted = |name: &str| {
        name.starts_with("lib")
            && (name.ends_with(&suffix) || name.starts_with(OLD_COMPILER))
            && !DRAWING.iter().any(|start| name.starts_with(start))
    };
    // Debian keeps those that have no other versions beside them two folders up, above `nvidia/current`.
    let above = folder.parent().filter(|above| above.ends_with("nvidia")).and_then(Path::parent);
    let mut found = BTreeMap::new();
    for folder in [Some(folder), above].into_iter().flatten() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let (name, path) = (entry.file_name(), entry.path());
            if name.to_str().is_some_and(is_wanted) && path.is_file() {
                found.entry(name).or_insert(path);
            }
        }
    }
    found
}

/// The names under which programs load a library are links beside it: `libcuda.so.1` leads to
/// `libcuda.so.550.54`. A mounted file lacks them, and gets further mounts instead.
pub(super) fn links(mounts: &mut Mounts) {
    let mut folders: BTreeMap<&Path, Vec<OsString>> = BTreeMap::new();
    let mut found = Vec::new();
    for (inside, (host, _)) in mounts.iter() {
        let (Some(folder), Some(inside_folder), Some(name)) =
            (host.parent(), inside.parent(), host.file_name())
        else {
            continue;
        };
        let name = name.to_string_lossy();
        let Some((stem, _)) = name.split_once(".so.") else { continue };
        let (prefix, Ok(file)) = (format!("{stem}.so"), fs::canonicalize(host)) else { continue };
        for link in folders.entry(folder).or_insert_with(|| links_in(folder)).iter() {
            let same_stem = link.to_string_lossy().starts_with(&prefix);
            if same_stem && fs::canonicalize(folder.join(link)).is_ok_and(|target| target == file) {
                found.push((inside_folder.join(link), (host.clone(), false)));
            }
        }
    }
    for (inside, host) in found {
        mounts.entry(inside).or_insert(host);
    }
}

fn links_in(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_link = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    entries.filter(is_link).map(|entry| entry.file_name()).collect()
}

/// Mounts the libraries that are in these folders of the machine once more, so that the loaders of
/// both families find them.
pub(super) fn for_loaders(mounts: &mut Mounts, folders: &[&Path]) {
    let folders: BTreeSet<&Path> = folders.iter().copied().collect();
    let mut found = Vec::new();
    for (inside, (host, _)) in mounts.iter() {
        let (Some(folder), Some(name)) = (inside.parent(), inside.file_name()) else { continue };
        if !folders.contains(folder) || !is_library(name) || is_32_bit(host) {
            continue;
        }
        let others =
            LOADER_FOLDERS.iter().filter(|family| !family.iter().any(|own| folder == Path::new(own)));
        found.extend(others.map(|[first, _]| (Path::new(first).join(name), (host.clone(), false))));
    }
    for (inside, host) in found {
        mounts.entry(inside).or_insert(host);
    }
}

/// Mounts the programs of a driver with folders of its own once more, where shells look for programs.
pub(super) fn for_shells(mounts: &mut Mounts) {
    for name in PROGRAMS {
        let named = mounts.iter().filter(|(inside, _)| inside.file_name() == Some(OsStr::new(name)));
        let in_path = |inside: &Path| PATH.iter().any(|folder| inside.parent() == Some(Path::new(folder)));
        let found: Vec<(&Path, &Path)> =
            named.map(|(inside, (host, _))| (inside.as_path(), host.as_path())).collect();
        if let (Some((_, host)), false) = (found.first(), found.iter().any(|(inside, _)| in_path(inside))) {
            let host = host.to_path_buf();
            mounts.insert(Path::new("/usr/bin").join(name), (host, false));
        }
    }
}

fn is_library(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("lib") && (name.ends_with(".so") || name.contains(".so."))
}

/// Has the same name as the right one, and must not take its place.
fn is_32_bit(library: &Path) -> bool {
    let mut start = [0; 5];
    let read = fs::File::open(library).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"\x7fELF\x01"
}

/// Hands the files over.
pub(super) fn give(mounts: &Mounts, access: &mut Access) {
    access.binds.extend(mounts.iter().map(|(inside, (host, writable))| {
        format!("{}:{}:{}", host.display(), inside.display(), if *writable { "rw" } else { "ro" })
    }));
    // Triton, with which PyTorch compiles, asks the loader's cache for CUDA's library and not the
    // loader. This is its own way to be told.
    let is_cuda = |(inside, (host, _)): &(&PathBuf, &(PathBuf, bool))| {
        inside.ends_with("libcuda.so.1") && !is_32_bit(host)
    };
    let cuda = mounts.iter().find(is_cuda).and_then(|(inside, _)| inside.parent());
    access.env_default.extend(cuda.map(|folder| format!("TRITON_LIBCUDA_PATH={}", folder.display())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const DEBIAN: &str = LOADER_FOLDERS[0][0];

    /// A host with a driver of that version in `folder`, as its installer leaves it.
    fn install(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        for (stem, links) in
            [("libcuda", &["so.1", "so"][..]), ("libnvidia-ml", &["so.1"]), ("libnvidia-gpucomp", &[])]
        {
            let file = format!("{stem}.so.{version}");
            fs::write(folder.join(&file), version).unwrap();
            // As installers do: a link to a link.
            let mut target = file;
            for link in links {
                let name = format!("{stem}.{link}");
                let _ = fs::remove_file(folder.join(&name));
                symlink(&target, folder.join(&name)).unwrap();
                target = name;
            }
        }
    }

    /// `NAME>FILE` for each mount in a folder of the machine.
    fn inside(mounts: &Mounts, folder: &str) -> Vec<String> {
        let here = mounts.iter().filter(|(inside, _)| inside.parent() == Some(Path::new(folder)));
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        here.map(|(inside, (host, _))| format!("{}>{}", name(inside), name(host))).collect()
    }

    #[test]
    fn a_machine_gets_the_driver_s_files_where_loaders_and_shells_look() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().canonicalize().unwrap();
        let lib = root.join("lib64");
        install(&lib, "580.159.04");
        let other =
            ["libnvidia-glcore.so.580.159.04", "libEGL_nvidia.so.580.159.04", "libc.so.6", "x.so.580.159.04"];
        for name in other.into_iter().chain(["libnvidia-nvvm70.so.4"]) {
            fs::write(lib.join(name), "").unwrap();
        }
        fs::create_dir(lib.join("libfolder.so.580.159.04")).unwrap();
        symlink("libc.so.6", lib.join("libcuda.so.7")).unwrap();
        for folder in ["bin", "sbin"] {
            fs::create_dir(root.join(folder)).unwrap();
            fs::write(root.join(folder).join("nvidia-smi"), "").unwrap();
        }
        fs::write(root.join("sbin/mps"), "").unwrap();
        symlink("mps", root.join("sbin/nvidia-cuda-mps-control")).unwrap();

        let mut access = Access::default();
        give(&mounts(&lib, &[&root.join("sbin"), Path::new("/nowhere")]), &mut access);
        let mut expected = vec![
            format!("{}:/usr/bin/nvidia-cuda-mps-control:ro", root.join("sbin/mps").display()),
            format!("{}:/usr/bin/nvidia-smi:ro", root.join("bin/nvidia-smi").display()),
        ];
        for folder in [DEBIAN, "/usr/lib64"] {
            for (name, file) in [
                ("libcuda.so", "libcuda.so.580.159.04"),
                ("libcuda.so.1", "libcuda.so.580.159.04"),
                ("libcuda.so.580.159.04", "libcuda.so.580.159.04"),
                ("libnvidia-gpucomp.so.580.159.04", "libnvidia-gpucomp.so.580.159.04"),
                ("libnvidia-ml.so.1", "libnvidia-ml.so.580.159.04"),
                ("libnvidia-ml.so.580.159.04", "libnvidia-ml.so.580.159.04"),
                ("libnvidia-nvvm70.so.4", "libnvidia-nvvm70.so.4"),
            ] {
                expected.push(format!("{}:{folder}/{name}:ro", lib.join(file).display()));
            }
        }
        assert_eq!(access.binds, expected);
        assert_eq!(access.env_default, [format!("TRITON_LIBCUDA_PATH={DEBIAN}")]);
    }

    #[test]
    fn after_an_upgrade_machines_get_the_new_files_and_none_of_the_old() {
        let host = tempfile::tempdir().unwrap();
        install(host.path(), "570.86.10");
        let old = mounts(host.path(), &[]);
        assert!(inside(&old, DEBIAN).contains(&"libcuda.so.1>libcuda.so.570.86.10".to_owned()));
        // The old files are left behind, and one that only they had keeps its link.
        fs::write(host.path().join("libnvidia-cfg.so.570.86.10"), "").unwrap();
        symlink("libnvidia-cfg.so.570.86.10", host.path().join("libnvidia-cfg.so.1")).unwrap();
        install(host.path(), "580.159.04");
        let new = mounts(host.path(), &[]);
        assert_eq!(new.len(), old.len());
        assert!(new.values().all(|(host, _)| host.to_string_lossy().ends_with(".580.159.04")), "{new:?}");
        assert!(inside(&new, "/usr/lib64").contains(&"libcuda.so.1>libcuda.so.580.159.04".to_owned()));
        // Removed: nothing, and no error.
        fs::remove_file(host.path().join("libnvidia-ml.so.580.159.04")).unwrap();
        assert!(mounts(host.path(), &[]).is_empty());
        assert!(mounts(Path::new("/nowhere"), &[]).is_empty());
    }

    #[test]
    fn a_library_that_tells_no_version_names_no_others() {
        let host = tempfile::tempdir().unwrap();
        for name in ["libnvidia-ml.so.1", "libz.so.1"] {
            fs::write(host.path().join(name), "").unwrap();
        }
        assert!(mounts(host.path(), &[]).is_empty());
    }

    #[test]
    fn debian_s_two_folders_are_one_driver() {
        let host = tempfile::tempdir().unwrap();
        let current = host.path().join("nvidia/current");
        install(&current, "550.163.01");
        for name in ["libnvidia-gpucomp.so.550.163.01", "libnvidia-pkcs11-openssl3.so.550.163.01"] {
            fs::write(host.path().join(name), "").unwrap();
        }
        let mounts = mounts(&current, &[]);
        let of = |name: &str| mounts[&Path::new(DEBIAN).join(name)].0.clone();
        assert_eq!(of("libnvidia-gpucomp.so.550.163.01"), current.join("libnvidia-gpucomp.so.550.163.01"));
        let pkcs11 = "libnvidia-pkcs11-openssl3.so.550.163.01";
        assert_eq!(of(pkcs11), host.path().join(pkcs11));
        // Another folder has nothing to do with those above it.
        let deep = host.path().join("a/b");
        install(&deep, "550.163.01");
        assert!(!super::mounts(&deep, &[]).contains_key(&Path::new(DEBIAN).join(pkcs11)));
    }

    #[test]
    fn the_folder_is_that_of_the_loaded_library() {
        let host = tempfile::tempdir().unwrap();
        let root = host.path().canonicalize().unwrap();
        install(&root.join("real"), "580.159.04");
        symlink("real", root.join("link")).unwrap();
        let line = |path: &str| {
            format!("7f0000000000-7f0000001000 r-xp 00000000 fe:01 77     {}/{path}\n", root.display())
        };
        let maps = |path: &str| {
            format!("7f0000002000-7f0000003000 rw-p 00000000 00:00 0\n{}{}", line("libc.so.6"), line(path))
        };
        let real = Some(root.join("real"));
        assert_eq!(folder_in(&maps("link/libnvidia-ml.so.580.159.04")), real);
        assert_eq!(folder_in(&maps("real/libnvidia-ml.so.1")), real);
        assert_eq!(folder_in(&maps("real/libnvidia-ml.so.570.86.10 (deleted)")), None);
        assert_eq!(folder_in(&maps("real/libcuda.so.580.159.04")), None);
    }

    #[test]
    fn each_family_of_loaders_finds_what_lies_elsewhere() {
        let host = tempfile::tempdir().unwrap();
        fs::write(host.path().join("narrow"), b"\x7fELF\x01\x01").unwrap();
        fs::write(host.path().join("wide"), b"\x7fELF\x02\x01").unwrap();
        let debian = LOADER_FOLDERS[0][1];
        let mounts_of = |names: &[(&str, &str)]| -> Mounts {
            names.iter().map(|(inside, file)| (inside.into(), (host.path().join(file), true))).collect()
        };
        let mut mounts = mounts_of(&[
            ("/far/liba.so.1", "wide"),
            ("/far/liba.txt", "wide"),
            ("/far/sub/libsub.so.1", "wide"),
            ("/32/liba.so.1", "narrow"),
            ("/lib64/libb.so.1", "wide"),
            (&format!("{debian}/libc.so.1"), "wide"),
        ]);
        for_loaders(&mut mounts, &["/32", "/far", "/lib64", debian].map(Path::new));
        assert_eq!(inside(&mounts, DEBIAN), ["liba.so.1>wide", "libb.so.1>wide"]);
        assert_eq!(inside(&mounts, "/usr/lib64"), ["liba.so.1>wide", "libc.so.1>wide"]);
        assert_eq!(mounts.len(), 10);
        assert!(!mounts[Path::new("/usr/lib64/liba.so.1")].1, "a second way in is not a way to write");
    }
}
