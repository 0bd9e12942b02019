//! The folders that machines mount at `/.podbay/pod`.
//!
//! The folder is mounted, not its files: a file that is replaced by a rename is a new file, and
//! only a mounted folder shows it. The parents are closed to other users of the host; within the
//! machine everybody may read, because the agent may run as any user.

use super::clock;
use super::errors::{refused, trim};
use super::limits::FOLDER_GRACE;
use crate::{Answer, File};
use podbay_core::pod::{CallError, FailureCode};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longest name of a machine; also what a file name may have.
const NAME_BYTES_MAX: usize = 128;

/// The folders of all machines.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    root: PathBuf,
}

impl Folders {
    /// Makes the parents.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let root = state_dir.join("pods");
        DirBuilder::new().recursive(true).mode(0o700).create(&root)?;
        fs::set_permissions(state_dir, Permissions::from_mode(0o700))?;
        Ok(Self { root })
    }

    /// The folder of a machine. Names come from our own rows, but one that led elsewhere would
    /// delete other people's files, so it is checked.
    pub fn path(&self, name: &str) -> Answer<PathBuf> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') || !name.bytes().all(fine)
        {
            return Err(refused(
                FailureCode::Engine,
                true,
                format!("{name:?} cannot be the name of a machine"),
            ));
        }
        Ok(self.root.join(name))
    }

    /// Whether a machine of that name has one: it does from before it is made until after it is gone.
    pub fn exist(&self, name: &str) -> bool {
        self.path(name).is_ok_and(|path| path.is_dir())
    }

    /// Makes the folder of a machine that is about to be made, with its files.
    pub async fn make(&self, name: &str, files: &[File]) -> Answer<()> {
        let (folder, files) = (self.path(name)?, files.to_vec());
        let made = blocking(move || {
            if !folder.is_dir() {
                DirBuilder::new().recursive(true).mode(0o755).create(&folder)?;
                // The mode above passes through the umask.
                fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
            }
            files.iter().try_for_each(|file| write(&folder, file))
        });
        made.await.map_err(|error| unwritten(name, &error))
    }

    /// Replaces files, each at once and whole. Makes no folder: one that is not there belongs to a
    /// machine that is gone, and nobody would remove it again.
    pub async fn replace(&self, name: &str, files: &[File]) -> Answer<()> {
        let (folder, files) = (self.path(name)?, files.to_vec());
        match blocking(move || files.iter().try_for_each(|file| write(&folder, file))).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(name, &error)),
            _ => Ok(()),
        }
    }

    /// Removes the folder of a machine, if it is there.
    pub async fn remove(&self, name: &str) -> Answer<()> {
        let folder = self.path(name)?;
        match blocking(move || fs::remove_dir_all(folder)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CallError::Unknown(trim(&format!("the files of {name} could not be removed: {error}"))))
            }
            _ => Ok(()),
        }
    }

    /// Removes old folders of machines that are not there any more: those whose create never came
    /// through are removed by nobody else.
    pub async fn prune(&self, keep: HashSet<String>) {
        let root = self.root.clone();
        let pruned = blocking(move || {
            for entry in fs::read_dir(root)? {
                let entry = entry?;
                let changed =
                    entry.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let age = clock::now().since(podbay_core::Timestamp::EPOCH.plus(changed));
                if age > FOLDER_GRACE && !keep.contains(&*entry.file_name().to_string_lossy()) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            Ok(())
        });
        if let Err(error) = pruned.await {
            tracing::warn!(%error, "old folders of machines could not be removed");
        }
    }
}

fn unwritten(name: &str, error: &io::Error) -> CallError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            refused(FailureCode::DiskFull, false, format!("the host's disk is full: {error}"))
        }
        _ => CallError::Unknown(format!("the files of {name} could not be written: {error}")),
    }
}

fn write(folder: &Path, file: &File) -> io::Result<()> {
    let fresh = folder.join(format!(".{}.new", file.name));
    // Left over from a crash.
    let _ = fs::remove_file(&fresh);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&fresh)?;
    out.set_permissions(Permissions::from_mode(0o444))?;
    out.write_all(&file.bytes)?;
    fs::rename(&fresh, folder.join(file.name))
}

/// Disk work off the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let folders = Folders { root: "/x".into() };
        assert!(folders.path("podbay-0123-1").is_ok());
        for name in ["", ".", "..", "../x", "a/b", "a\0b", "é", &"a".repeat(NAME_BYTES_MAX + 1)] {
            assert!(folders.path(name).is_err(), "{name:?}");
        }
    }
}
