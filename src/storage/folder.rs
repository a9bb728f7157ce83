//! A folder: `<root>/<tenant id>/<photo id>.jpg` and `….thumb.jpg`, and `<message id>.media`, readable by the program's user alone.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncReadExt as _;

use super::{Reading, Rendition, Store, Stored, TenantFile, aside};
use crate::domain::ids::TenantId;

/// While it is being written; renamed when it is whole.
pub(super) const PART: &str = ".part";
const FULL: &str = ".jpg";
const THUMBNAIL: &str = ".thumb.jpg";
const MEDIA: &str = ".media";
/// The largest piece of a file that is read piece by piece.
const PIECE: usize = 64 * 1024;

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

fn name(file: TenantFile) -> String {
    match file {
        TenantFile::Photo(photo, Rendition::Full) => format!("{photo}{FULL}"),
        TenantFile::Photo(photo, Rendition::Thumbnail) => format!("{photo}{THUMBNAIL}"),
        TenantFile::Message(message) => format!("{message}{MEDIA}"),
    }
}

/// Whose name it is, also while it is being written; `None` for what is not ours.
fn parse(name: &str) -> Option<TenantFile> {
    let name = name.strip_suffix(PART).unwrap_or(name);
    if let Some(message) = name.strip_suffix(MEDIA) {
        return Some(TenantFile::Message(message.parse().ok()?));
    }
    let (photo, which) = match name.strip_suffix(THUMBNAIL) {
        Some(photo) => (photo, Rendition::Thumbnail),
        None => (name.strip_suffix(FULL)?, Rendition::Full),
    };
    Some(TenantFile::Photo(photo.parse().ok()?, which))
}

#[async_trait]
impl Store for Folder {
    async fn put(&self, tenant: TenantId, file: TenantFile, bytes: Vec<u8>) -> io::Result<()> {
        let folder = self.of(tenant);
        aside(move || write(&folder, &name(file), &bytes)).await
    }

    async fn open(&self, tenant: TenantId, file: TenantFile) -> io::Result<Option<Vec<u8>>> {
        let path = self.of(tenant).join(name(file));
        aside(move || found(fs::read(path))).await
    }

    async fn read(&self, tenant: TenantId, file: TenantFile) -> io::Result<Option<Reading>> {
        let path = self.of(tenant).join(name(file));
        let opened = aside(move || {
            let Some(file) = found(File::open(path))? else {
                return Ok(None);
            };
            let length = file.metadata()?.len();
            Ok(Some((file, length)))
        });
        let Some((file, length)) = opened.await? else {
            return Ok(None);
        };
        let file = tokio::fs::File::from_std(file);
        let pieces = stream::try_unfold(file, |mut file| async move {
            let mut piece = Vec::with_capacity(PIECE);
            let read = file.read_buf(&mut piece).await?;
            Ok::<_, io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
        });
        Ok(Some(Reading {
            length,
            pieces: pieces.boxed(),
        }))
    }

    async fn remove(&self, tenant: TenantId, file: TenantFile) -> io::Result<()> {
        let folder = self.of(tenant);
        aside(move || remove(&folder, file)).await
    }

    async fn forget(&self, tenant: TenantId) -> io::Result<()> {
        let folder = self.of(tenant);
        aside(move || {
            for stored in list(&folder)? {
                remove(&folder, stored.file)?;
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

fn remove(folder: &Path, file: TenantFile) -> io::Result<()> {
    let name = name(file);
    found(fs::remove_file(folder.join(format!("{name}{PART}"))))?;
    found(fs::remove_file(folder.join(name)))?;
    Ok(())
}

fn list(folder: &Path) -> io::Result<Vec<Stored>> {
    let Some(entries) = found(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut newest: HashMap<TenantFile, SystemTime> = HashMap::new();
    for entry in entries {
        let entry = entry?;
        // What is not ours is left alone; what has gone meanwhile is gone.
        let (Some(file), Some(metadata)) = (
            entry.file_name().to_str().and_then(parse),
            found(entry.metadata())?,
        ) else {
            continue;
        };
        let modified = metadata.modified()?;
        let known = newest.entry(file).or_insert(modified);
        *known = modified.max(*known);
    }
    Ok(newest
        .into_iter()
        .map(|(file, modified)| Stored { file, modified })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::domain::ids::{MessageId, PhotoId};
    use futures_util::TryStreamExt as _;

    async fn listed(store: &Folder, tenant: TenantId) -> Vec<TenantFile> {
        let mut files: Vec<TenantFile> = store
            .list(tenant)
            .await
            .unwrap()
            .iter()
            .map(|stored| stored.file)
            .collect();
        files.sort();
        files
    }

    #[tokio::test]
    async fn keeps_lists_and_removes_what_is_a_tenant_s() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path().join("made/when/needed"));
        let (one, two, photo) = (TenantId::new(), TenantId::new(), PhotoId::new());
        assert_eq!(store.tenants().await.unwrap(), []);
        assert_eq!(store.list(one).await.unwrap(), []);
        let [full, thumbnail] = TenantFile::of_photo(photo);
        let files = [full, thumbnail, TenantFile::Message(MessageId::new())];
        for (file, bytes) in files
            .iter()
            .zip([b"full!".to_vec(), b"small".to_vec(), vec![7; 200_000]])
        {
            store.put(one, *file, bytes.clone()).await.unwrap();
            assert_eq!(store.open(one, *file).await.unwrap(), Some(bytes.clone()));
            assert_eq!(store.open(two, *file).await.unwrap(), None);
            let reading = store.read(one, *file).await.unwrap().unwrap();
            assert_eq!(reading.length, bytes.len() as u64);
            let pieces: Vec<Bytes> = reading.pieces.try_collect().await.unwrap();
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
            assert_eq!(pieces.concat(), bytes);
            assert!(store.read(two, *file).await.unwrap().is_none());
        }
        assert_eq!(store.bytes(one).await.unwrap(), 200_010);
        assert_eq!(store.bytes(two).await.unwrap(), 0);
        assert_eq!(store.tenants().await.unwrap(), [one]);
        assert_eq!(listed(&store, one).await, files);
        for file in files {
            store.remove(two, file).await.unwrap();
        }
        assert_eq!(listed(&store, one).await, files);
        for file in files {
            store.remove(one, file).await.unwrap();
            store.remove(one, file).await.unwrap();
        }
        assert_eq!(store.list(one).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_write_that_was_interrupted_is_listed_and_removed_but_never_read() {
        let root = tempfile::tempdir().unwrap();
        let store = Folder::new(root.path());
        let (tenant, message) = (TenantId::new(), MessageId::new());
        let file = TenantFile::Message(message);
        let folder = root.path().join(tenant.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(format!("{message}.media.part")), b"half").unwrap();
        fs::write(folder.join("somebody-else.txt"), b"not ours").unwrap();
        assert_eq!(store.open(tenant, file).await.unwrap(), None);
        assert_eq!(listed(&store, tenant).await, [file]);
        store.remove(tenant, file).await.unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        store.put(tenant, file, b"whole".to_vec()).await.unwrap();
        store.forget(tenant).await.unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_file(folder.join("somebody-else.txt")).unwrap();
        store.forget(tenant).await.unwrap();
        store.forget(tenant).await.unwrap();
        assert_eq!(store.tenants().await.unwrap(), []);
    }
}
