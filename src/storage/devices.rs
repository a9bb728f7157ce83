//! Copies of linked devices: `<root>/<tenant id>/<bot's id>/<copy's id>.device`, readable by the program's user alone. What is in them is
//! sealed, and nothing of it is in their names.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::TimeDelta;

use super::aside;
use super::folder::{PART, found, write};
use crate::domain::ids::{DeviceCopyId, InstanceId, TenantId};

const END: &str = "device";
/// What was left half-written goes when a copy was made so much later: whoever wrote it is dead.
const ABANDONED: TimeDelta = TimeDelta::hours(1);

/// A copy that is there, whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptCopy {
    /// Its id, which tells when it was made.
    pub id: DeviceCopyId,
    /// Its length.
    pub bytes: u64,
}

/// Copies in a folder, which is made when the first one is kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeviceFolder {
    root: PathBuf,
}

impl DeviceFolder {
    /// In `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn of(&self, (tenant, bot): (TenantId, InstanceId)) -> PathBuf {
        self.root.join(tenant.to_string()).join(bot.to_string())
    }

    /// Keeps a copy: once this has answered it is there, whole, whatever happens to the machine.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub async fn put(
        &self,
        of: (TenantId, InstanceId),
        copy: DeviceCopyId,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        let folder = self.of(of);
        aside(move || write(&folder, &name(copy), &bytes)).await
    }

    /// A copy; `None` when the bot has no such one.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn open(&self, of: (TenantId, InstanceId), copy: DeviceCopyId) -> io::Result<Option<Vec<u8>>> {
        let path = self.of(of).join(name(copy));
        aside(move || found(fs::read(path))).await
    }

    /// The copies of a bot, newest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn list(&self, of: (TenantId, InstanceId)) -> io::Result<Vec<KeptCopy>> {
        let folder = self.of(of);
        aside(move || list(&folder)).await
    }

    /// Removes a bot's copies but for those that are to `stay`, and what was left half-written of earlier ones;
    /// how many copies it was.
    ///
    /// # Errors
    /// When the folder cannot be read or written to.
    pub async fn retain(
        &self,
        of: (TenantId, InstanceId),
        stay: impl Fn(usize, &KeptCopy) -> bool + Send + 'static,
    ) -> io::Result<usize> {
        let folder = self.of(of);
        aside(move || {
            let (listed, mut removed) = (list(&folder)?, 0);
            for (place, copy) in listed.iter().enumerate() {
                if !stay(place, copy) {
                    found(fs::remove_file(folder.join(name(copy.id))))?;
                    removed += 1;
                }
            }
            if let Some(newest) = listed.first() {
                remove_abandoned(&folder, newest.id)?;
            }
            // Not while there is anything in it.
            let _ = fs::remove_dir(&folder);
            Ok(removed)
        })
        .await
    }

    /// Removes all copies of a bot. One that has none is no error.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub async fn forget_bot(&self, of: (TenantId, InstanceId)) -> io::Result<()> {
        let folder = self.of(of);
        aside(move || found(fs::remove_dir_all(folder)).map(drop)).await
    }

    /// Removes all copies of a tenant. One that has none is no error.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub async fn forget(&self, tenant: TenantId) -> io::Result<()> {
        let folder = self.root.join(tenant.to_string());
        aside(move || found(fs::remove_dir_all(folder)).map(drop)).await
    }

    /// The tenants that have copies.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn tenants(&self) -> io::Result<Vec<TenantId>> {
        let root = self.root.clone();
        aside(move || named(&root)).await
    }

    /// The bots of a tenant that have copies.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn bots(&self, tenant: TenantId) -> io::Result<Vec<InstanceId>> {
        let folder = self.root.join(tenant.to_string());
        aside(move || named(&folder)).await
    }
}

fn name(copy: DeviceCopyId) -> String {
    format!("{copy}.{END}")
}

/// What is named by an id; what is not is not ours.
fn named<T: FromStr>(folder: &Path) -> io::Result<Vec<T>> {
    let Some(entries) = found(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(|name| name.parse().ok()));
    }
    Ok(names)
}

fn list(folder: &Path) -> io::Result<Vec<KeptCopy>> {
    let Some(entries) = found(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut copies = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let id = path.file_stem().and_then(OsStr::to_str);
        let id = id.filter(|_| path.extension().is_some_and(|end| end == END));
        // What has gone meanwhile is gone.
        if let (Some(id), Some(metadata)) = (id.and_then(|id| id.parse().ok()), found(entry.metadata())?) {
            let bytes = metadata.len();
            copies.push(KeptCopy { id, bytes });
        }
    }
    copies.sort_by_key(|copy| std::cmp::Reverse(copy.id));
    Ok(copies)
}

fn remove_abandoned(folder: &Path, newest: DeviceCopyId) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_suffix(PART));
        let of = of
            .and_then(|of| of.strip_suffix(".device"))
            .and_then(|of| of.parse().ok());
        let begun = of.and_then(DeviceCopyId::moment);
        if let (Some(begun), Some(newest)) = (begun, newest.moment())
            && newest - begun > ABANDONED
        {
            found(fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_lists_and_removes_what_is_a_bot_s() {
        let root = tempfile::tempdir().unwrap();
        let folder = DeviceFolder::new(root.path().join("made/when/needed"));
        let (tenant, bot, other) = (TenantId::new(), InstanceId::new(), InstanceId::new());
        let of = (tenant, bot);
        assert_eq!(folder.list(of).await.unwrap(), []);
        assert_eq!(folder.tenants().await.unwrap(), []);
        let noon = chrono::DateTime::from_timestamp(1_800_000_000, 5_000_000).unwrap();
        let mut copies = Vec::new();
        for hour in 0..4 {
            let copy = DeviceCopyId::at(noon + TimeDelta::hours(hour));
            assert_eq!(copy.moment(), Some(noon + TimeDelta::hours(hour)));
            folder.put(of, copy, vec![1; 7]).await.unwrap();
            copies.insert(0, KeptCopy { id: copy, bytes: 7 });
        }
        assert_eq!(folder.list(of).await.unwrap(), copies);
        assert_eq!(folder.tenants().await.unwrap(), [tenant]);
        assert_eq!(folder.bots(tenant).await.unwrap(), [bot]);
        assert_eq!(folder.open(of, copies[0].id).await.unwrap(), Some(vec![1; 7]));
        assert_eq!(folder.open((tenant, other), copies[0].id).await.unwrap(), None);
        // Somebody has died while it wrote, long ago and just now.
        let part = |copy: DeviceCopyId| folder.of(of).join(format!("{copy}.device{PART}"));
        let (old, new) = (
            part(DeviceCopyId::at(noon)),
            part(DeviceCopyId::at(noon + TimeDelta::hours(3))),
        );
        fs::write(&old, b"half").unwrap();
        fs::write(&new, b"half").unwrap();
        assert_eq!(folder.list(of).await.unwrap(), copies);
        folder.retain(of, |place, _| place < 2).await.unwrap();
        assert_eq!(folder.list(of).await.unwrap(), copies[..2]);
        assert!(!old.exists() && new.exists());
        folder.forget_bot(of).await.unwrap();
        folder.forget_bot(of).await.unwrap();
        assert_eq!(folder.list(of).await.unwrap(), []);
        folder.put(of, copies[0].id, vec![1]).await.unwrap();
        folder.forget(tenant).await.unwrap();
        folder.forget(tenant).await.unwrap();
        assert_eq!(folder.tenants().await.unwrap(), []);
    }
}
