//! The files of a tenant, in a snapshot and out of it again: `photos/<id>.jpg` and `photos/<id>.thumb.jpg`.
//!
//! They are read after the rows, so a photo that is added meanwhile may be in the snapshot without its row, which the sweeper
//! of photos takes care of; one that is removed meanwhile has its row there without its files, and that row is told of and left
//! out by a restore. They are written before the rows are committed, so that no row ever lacks its files.

use std::collections::BTreeSet;

use super::writing::{Message, Teller, tell};
use super::{Keeper, KeeperError};
use crate::domain::ids::{PhotoId, TenantId};
use crate::storage::{Rendition, Store};

/// Longer than the program keeps any.
pub(super) const LONGEST: u64 = 64 * 1024 * 1024;
const FOLDER: &str = "photos/";
const FULL: &str = ".jpg";
const THUMBNAIL: &str = ".thumb.jpg";

fn name(photo: PhotoId, which: Rendition) -> String {
    let end = match which {
        Rendition::Full => FULL,
        Rendition::Thumbnail => THUMBNAIL,
    };
    format!("{FOLDER}{photo}{end}")
}

/// Which picture a file of a snapshot is; `None` for what no snapshot of ours holds.
pub(super) fn parse(name: &str) -> Option<(PhotoId, Rendition)> {
    let name = name.strip_prefix(FOLDER)?;
    let (id, which) = match name.strip_suffix(THUMBNAIL) {
        Some(id) => (id, Rendition::Thumbnail),
        None => (name.strip_suffix(FULL)?, Rendition::Full),
    };
    Some((id.parse().ok()?, which))
}

impl Keeper {
    /// Hands all files of a tenant to the writer of its snapshot; answers of which photos.
    pub(super) async fn read_files(&self, tenant: TenantId, writer: &Teller) -> Result<Whole, KeeperError> {
        let mut whole = Whole::default();
        let mut photos = self.store.list(tenant).await.map_err(KeeperError::Files)?;
        photos.sort_by_key(|stored| stored.photo);
        for stored in photos {
            for which in [Rendition::Full, Rendition::Thumbnail] {
                let bytes = self.store.open(tenant, stored.photo, which).await;
                // What has been removed since it was listed has no row any more.
                let Some(bytes) = bytes.map_err(KeeperError::Files)? else {
                    continue;
                };
                tell(writer, Message::File(name(stored.photo, which), bytes)).await?;
                whole.add((stored.photo, which));
            }
        }
        Ok(whole)
    }
}

/// The photos of which both pictures were met.
#[derive(Default)]
pub(super) struct Whole {
    full: BTreeSet<PhotoId>,
    thumbnails: BTreeSet<PhotoId>,
}

impl Whole {
    pub(super) fn add(&mut self, (photo, which): (PhotoId, Rendition)) {
        match which {
            Rendition::Full => self.full.insert(photo),
            Rendition::Thumbnail => self.thumbnails.insert(photo),
        };
    }

    pub(super) fn photos(&self) -> Vec<PhotoId> {
        self.full.intersection(&self.thumbnails).copied().collect()
    }
}

/// A file of a snapshot that is being read.
pub(super) struct Incoming {
    photo: PhotoId,
    which: Rendition,
    bytes: Vec<u8>,
}

impl Incoming {
    pub(super) fn begin(name: &str) -> Option<Self> {
        let (photo, which) = parse(name)?;
        let bytes = Vec::new();
        Some(Self { photo, which, bytes })
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Answers what it was.
    pub(super) async fn keep(
        self,
        store: &dyn Store,
        tenant: TenantId,
    ) -> Result<(PhotoId, Rendition), KeeperError> {
        let kept = store.put(tenant, self.photo, self.which, self.bytes).await;
        kept.map_err(KeeperError::Files)?;
        Ok((self.photo, self.which))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_read() {
        let photo = PhotoId::new();
        for which in [Rendition::Full, Rendition::Thumbnail] {
            assert_eq!(parse(&name(photo, which)), Some((photo, which)));
        }
        for name in [
            "",
            "photos/",
            "photos/../x.jpg",
            "/etc/passwd",
            "photos/x.jpg",
            &format!("{photo}.jpg"),
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
