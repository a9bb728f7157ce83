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

use crate::domain::ids::{PhotoId, TenantId};

pub use devices::{DeviceFolder, KeptCopy};
pub use folder::Folder;

/// Which of a photo's two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendition {
    /// As it is looked at.
    Full,
    /// As it is listed.
    Thumbnail,
}

/// A photo that has files, whole or left over from a write that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Whose files they are.
    pub photo: PhotoId,
    /// When the newest of them was written.
    pub modified: SystemTime,
}

/// Works with files beside the threads that serve requests.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// Where photos are kept.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a picture: once this has answered it is there, whole, whatever happens to the machine.
    async fn put(&self, tenant: TenantId, photo: PhotoId, which: Rendition, bytes: Vec<u8>)
    -> io::Result<()>;

    /// The picture; `None` when it is not there.
    async fn open(&self, tenant: TenantId, photo: PhotoId, which: Rendition) -> io::Result<Option<Vec<u8>>>;

    /// Removes all files of a photo. One that has none is no error.
    async fn remove(&self, tenant: TenantId, photo: PhotoId) -> io::Result<()>;

    /// The photos of a tenant that have files.
    async fn list(&self, tenant: TenantId) -> io::Result<Vec<Stored>>;

    /// How many bytes the files of a tenant have.
    async fn bytes(&self, tenant: TenantId) -> io::Result<u64>;

    /// Removes all files of a tenant. One that has none is no error.
    async fn forget(&self, tenant: TenantId) -> io::Result<()>;

    /// The tenants that have files.
    async fn tenants(&self) -> io::Result<Vec<TenantId>>;
}
