//! Photos of what a tenant sells: made safe, kept, and removed when nothing speaks of them any more.
//!
//! The files are written before the row that names them, and removed after it has gone, so that no row ever lacks its
//! files. What a crash leaves between the two are files without a row: [`sweep`] finds and removes them. Nothing else
//! has to remember anything.

mod jpeg;
pub mod render;
pub mod sweep;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{PhotoId, TenantId};
use crate::domain::turns::{Busy, Turn, Turns};
use crate::kill_point;
use crate::storage::{Rendition, Store, TenantFile};
use render::{Unusable, render};

/// Uploads that this process receives at once: each is held in memory until its pictures are made.
const RECEIVED: usize = 24;
/// Of them, those of one tenant.
const RECEIVED_PER_TENANT: usize = 4;

/// Photos of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Photos {
    store: Arc<dyn Store>,
    receiving: Turns,
    rendering: Turns,
}

/// Why a photo is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The file is no photo.
    #[error("the file is no photo: {0:?}")]
    Unusable(Unusable),
    /// Too many others are being made.
    #[error("too many photos are being made")]
    Busy,
    /// It cannot be written.
    #[error("a photo cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Photos {
    /// Keeps files in `store`; makes the pictures of `workers` photos at once, and lets nobody wait longer than `wait`.
    pub fn new(store: Arc<dyn Store>, workers: usize, wait: Duration) -> Self {
        Self {
            store,
            receiving: Turns::new(RECEIVED, RECEIVED_PER_TENANT, wait),
            // With two workers and more, one is always free of any single tenant.
            rendering: Turns::new(workers, workers.saturating_sub(1), wait),
        }
    }

    /// The right to receive an upload, until it is dropped.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn receive(&self, tenant: TenantId) -> Result<Turn, Busy> {
        self.receiving.turn(tenant).await
    }

    /// Makes the pictures of a photo and keeps them. The row that names it is the caller's to write.
    ///
    /// # Errors
    /// See [`KeepError`].
    pub async fn keep(
        &self,
        tenant: TenantId,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<Kept, KeepError> {
        let turn = self
            .rendering
            .turn(tenant)
            .await
            .map_err(|Busy| KeepError::Busy)?;
        let pictures = tokio::task::spawn_blocking(move || {
            let pictures = render(bytes.as_ref());
            // Here, since a request that is given up does not stop this thread.
            drop(turn);
            pictures
        })
        .await
        // A decoder that panics has met something that its authors did not think of.
        .unwrap_or(Err(Unusable::Damaged))
        .map_err(KeepError::Unusable)?;
        let id = PhotoId::new();
        let byte_size = pictures.full.len() + pictures.thumbnail.len();
        let [full, thumbnail] = TenantFile::of_photo(id);
        self.store.put(tenant, thumbnail, pictures.thumbnail).await?;
        self.store.put(tenant, full, pictures.full).await?;
        kill_point!("photos.kept");
        Ok(Kept {
            id,
            byte_size: i64::try_from(byte_size).unwrap_or(i64::MAX),
        })
    }

    /// A picture; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(
        &self,
        tenant: TenantId,
        photo: PhotoId,
        which: Rendition,
    ) -> io::Result<Option<Vec<u8>>> {
        self.store.open(tenant, TenantFile::Photo(photo, which)).await
    }

    /// Removes the files of photos that no row names any more. What fails is left to [`sweep`].
    pub async fn remove(&self, tenant: TenantId, photos: &[PhotoId]) {
        kill_point!("photos.rows_gone");
        for photo in photos {
            for file in TenantFile::of_photo(*photo) {
                if let Err(error) = self.store.remove(tenant, file).await {
                    tracing::warn!(%error, %photo, "the files of photo {photo} are left to the sweeper");
                }
            }
        }
    }
}

/// A photo whose files are kept.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Its id.
    pub id: PhotoId,
    /// What its files take.
    pub byte_size: i64,
}
