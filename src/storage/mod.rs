//! Files of tenants: what does not belong into a database. Each tenant has a place of its own, named by its id, and
//! each file is named by the program; nothing that a client says becomes part of a path.
//!
//! [`Folder`] keeps them in a folder of this machine (or one that several machines share). To keep them elsewhere,
//! implement [`Store`]. [`DeviceFolder`] keeps copies of linked devices beside them.

mod devices;
mod folder;

use std::io;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::domain::ids::{MessageId, PhotoId, TenantId};

pub use devices::{DeviceFolder, KeptCopy};
pub use folder::Folder;

/// Which of a photo's two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rendition {
    /// As it is looked at.
    Full,
    /// As it is listed.
    Thumbnail,
}

/// A file of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TenantFile {
    /// A picture of a photo.
    Photo(PhotoId, Rendition),
    /// What somebody has sent along with a message.
    Message(MessageId),
}

impl TenantFile {
    /// Both pictures of a photo.
    pub fn of_photo(photo: PhotoId) -> [Self; 2] {
        [Rendition::Full, Rendition::Thumbnail].map(|which| Self::Photo(photo, which))
    }
}

/// A file that is there, whole or left over from a write that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Which.
    pub file: TenantFile,
    /// When it was written.
    pub modified: SystemTime,
}

/// A file that is being read, piece by piece.
pub struct Reading {
    /// Its length.
    pub length: u64,
    /// What is in it.
    pub pieces: BoxStream<'static, io::Result<Bytes>>,
}

/// Works with files beside the threads that serve requests.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// Where files are kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a file: once this has answered it is there, whole, whatever happens to the machine.
    async fn put(&self, tenant: TenantId, file: TenantFile, bytes: Vec<u8>) -> io::Result<()>;

    /// The file; `None` when it is not there.
    async fn open(&self, tenant: TenantId, file: TenantFile) -> io::Result<Option<Vec<u8>>>;

    /// The file, of which a piece is in memory at a time; `None` when it is not there.
    async fn read(&self, tenant: TenantId, file: TenantFile) -> io::Result<Option<Reading>>;

    /// Removes a file. One that is not there is no error.
    async fn remove(&self, tenant: TenantId, file: TenantFile) -> io::Result<()>;

    /// The files of a tenant.
    async fn list(&self, tenant: TenantId) -> io::Result<Vec<Stored>>;

    /// How many bytes the files of a tenant have.
    async fn bytes(&self, tenant: TenantId) -> io::Result<u64>;

    /// Removes all files of a tenant. One that has none is no error.
    async fn forget(&self, tenant: TenantId) -> io::Result<()>;

    /// The tenants that have files.
    async fn tenants(&self) -> io::Result<Vec<TenantId>>;
}
