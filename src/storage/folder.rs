//! A folder: `<root>/<tenant id>/<photo id>.jpg` and `….thumb.jpg`, readable by the program's user alone.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;

use super::{Rendition, Store, Stored, aside};
use crate::domain::ids::{PhotoId, TenantId};

/// While it is being written; renamed when it is whole.
pub(super) const PART: &str = ".part";

/// Files in a folder, which is made when the first one is kept.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// In `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn of(&self, tenant: TenantId) -> PathBuf {
        self.root.join(tenant.to_string())
    }
}

fn name(photo: PhotoId, which: Rendition) -> String {
    match which {
        Rendition::Full => format!("{photo}.jpg"),
        Rendition::Thumbnail => format!("{photo}.thumb.jpg"),
    }
}

#[async_trait]
impl Store for Folder {
    async fn put(
        &self,
        tenant: TenantId,
        photo: PhotoId,
        which: Rendition,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        let (folder, name) = (self.of(tenant), name(photo, which));
        aside(move || write(&folder, &name, &bytes)).await
    }

    async fn open(&self, tenant: TenantId, photo: PhotoId, which: Rendition) -> io::Result<Option<Vec<u8>>> {
        let path = self.of(tenant).join(name(photo, which));
        aside(move || found(fs::read(path))).await
    }

    async fn remove(&self, tenant: TenantId, photo: PhotoId) -> io::Result<()> {
        let folder = self.of(tenant);
        aside(move || remove(&folder, photo)).await
    }

    async fn forget(&self, tenant: TenantId) -> io::Result<()> {
        let folder = self.of(tenant);
        aside(move || {
            for stored in list(&folder)? {
                remove(&folder, stored.photo)?;
            }
            match found(fs::remove_dir(&folder)) {
                // What is not ours is left alone.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
                gone => gone.map(drop),
            }
        })
        .await
    }

    async fn list(&self, tenant: TenantId) -> io::Result<Vec<Stored>> {
        let folder = self.of(tenant);
        aside(move || list(&folder)).await
    }

    async fn bytes(&self, tenant: TenantId) -> io::Result<u64> {
        let folder = self.of(tenant);
        aside(move || {
            let Some(entries) = found(fs::read_dir(folder))? else {
                return Ok(0);
            };
            let mut bytes = 0;
            for entry in entries {
                // What has gone meanwhile takes nothing.
                bytes += found(entry?.metadata())?.map_or(0, |metadata| metadata.len());
            }
            Ok(bytes)
        })
        .await
    }

    async fn tenants(&self) -> io::Result<Vec<TenantId>> {
        let root = self.root.clone();
        aside(move || {
            let Some(entries) = found(fs::read_dir(root))? else {
                return Ok(Vec::new());
            };
            let mut tenants = Vec::new();
            for entry in entries {
                let name = entry?.file_name();
                tenants.extend(name.to_str().and_then(|name| name.parse::<TenantId>().ok()));
            }
            Ok(tenants)
        })
        .await
    }
}

/// `None` for what is not there.
pub(super) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes reach the disk before the name does, so that a name never stands for half a file.
pub(super) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    make(folder)?;
    let part = folder.join(format!("{name}{PART}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// A folder that is new is on the disk when its parent says so.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        // Somebody was quicker, who may not have come to the next line.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn remove(folder: &Path, photo: PhotoId) -> io::Result<()> {
    for which in [Rendition::Full, Rendition::Thumbnail] {
        let name = name(photo, which);
        found(fs::remove_file(folder.join(format!("{name}{PART}"))))?;
        found(fs::remove_file(folder.join(name)))?;
    }
    Ok(())
}

fn list(folder: &Path) -> io::Result<Vec<Stored>> {
    let Some(entries) = found(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut newest: HashMap<PhotoId, SystemTime> = HashMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let photo = name
            .to_str()
            .and_then(|name| name.split('.').next()?.parse().ok());
        // What is not ours is left alone; what has gone meanwhile is gone.
        let (Some(photo), Some(metadata)) = (photo, found(entry.metadata())?) else {
            continue;
        };
        let modified = metadata.modified()?;
        let known = newest.entry(photo).or_insert(modified);
        *known = modified.max(*known);
    }
    Ok(newest
        .into_iter()
        .map(|(photo, modified)| Stored { photo, modified })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_lists_and_removes_what_is_a_tenant_s() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path().join("made/when/needed"));
        let (one, two, photo) = (TenantId::new(), TenantId::new(), PhotoId::new());
        assert_eq!(store.tenants().await.unwrap(), []);
        assert_eq!(store.list(one).await.unwrap(), []);
        for (which, bytes) in [
            (Rendition::Full, b"full".to_vec()),
            (Rendition::Thumbnail, b"small".to_vec()),
        ] {
            store.put(one, photo, which, bytes.clone()).await.unwrap();
            assert_eq!(store.open(one, photo, which).await.unwrap(), Some(bytes));
            assert_eq!(store.open(two, photo, which).await.unwrap(), None);
        }
        assert_eq!(store.bytes(one).await.unwrap(), 9);
        assert_eq!(store.bytes(two).await.unwrap(), 0);
        assert_eq!(store.tenants().await.unwrap(), [one]);
        let listed = store.list(one).await.unwrap();
        assert_eq!(
            listed.iter().map(|stored| stored.photo).collect::<Vec<_>>(),
            [photo]
        );
        store.remove(two, photo).await.unwrap();
        assert_eq!(store.list(one).await.unwrap(), listed);
        store.remove(one, photo).await.unwrap();
        store.remove(one, photo).await.unwrap();
        assert_eq!(store.list(one).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_write_that_was_interrupted_is_listed_and_removed_but_never_read() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path());
        let (tenant, photo) = (TenantId::new(), PhotoId::new());
        let folder = root.path().join(tenant.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(format!("{photo}.jpg.part")), b"half").unwrap();
        fs::write(folder.join("somebody-else.txt"), b"not ours").unwrap();
        assert_eq!(store.open(tenant, photo, Rendition::Full).await.unwrap(), None);
        assert_eq!(store.list(tenant).await.unwrap().len(), 1);
        store.remove(tenant, photo).await.unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        store
            .put(tenant, photo, Rendition::Full, b"full".to_vec())
            .await
            .unwrap();
        store.forget(tenant).await.unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_file(folder.join("somebody-else.txt")).unwrap();
        store.forget(tenant).await.unwrap();
        store.forget(tenant).await.unwrap();
        assert_eq!(store.tenants().await.unwrap(), []);
    }
}
