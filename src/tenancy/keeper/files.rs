//! The files of a tenant, in a snapshot and out of it again: `photos/<id>.jpg` and `photos/<id>.thumb.jpg`, and
//! `media/<message id>` for what somebody has sent along with a message.
//!
//! They are read after the rows, so a photo that is added meanwhile may be in the snapshot without its row, which the sweeper
//! takes care of; one that is removed meanwhile has its row there without its files, and that row is told of and left
//! out by a restore. A message whose file is missing stays, and says that it was lost. Files are written before the rows are
//! committed, so that no row ever lacks its files.

use std::collections::BTreeSet;

use super::writing::{Message, Teller, tell};
use super::{Keeper, KeeperError};
use crate::domain::ids::{MessageId, PhotoId, TenantId};
use crate::storage::{Rendition, Store, TenantFile};

/// Longer than the program keeps any.
pub(super) const LONGEST: u64 = 64 * 1024 * 1024;
const PHOTOS: &str = "photos/";
const MEDIA: &str = "media/";
const FULL: &str = ".jpg";
const THUMBNAIL: &str = ".thumb.jpg";

fn name(file: TenantFile) -> String {
    match file {
        TenantFile::Photo(photo, Rendition::Full) => format!("{PHOTOS}{photo}{FULL}"),
        TenantFile::Photo(photo, Rendition::Thumbnail) => format!("{PHOTOS}{photo}{THUMBNAIL}"),
        TenantFile::Message(message) => format!("{MEDIA}{message}"),
    }
}

/// Which file one of a snapshot is; `None` for what no snapshot of ours holds.
pub(super) fn parse(name: &str) -> Option<TenantFile> {
    if let Some(message) = name.strip_prefix(MEDIA) {
        return Some(TenantFile::Message(message.parse().ok()?));
    }
    let name = name.strip_prefix(PHOTOS)?;
    let (id, which) = match name.strip_suffix(THUMBNAIL) {
        Some(id) => (id, Rendition::Thumbnail),
        None => (name.strip_suffix(FULL)?, Rendition::Full),
    };
    Some(TenantFile::Photo(id.parse().ok()?, which))
}

impl Keeper {
    /// Hands all files of a tenant to the writer of its snapshot; answers which.
    pub(super) async fn read_files(&self, tenant: TenantId, writer: &Teller) -> Result<Whole, KeeperError> {
        let mut whole = Whole::default();
        let stored = self.store.list(tenant).await.map_err(KeeperError::Files)?;
        let mut files: Vec<TenantFile> = stored.iter().map(|stored| stored.file).collect();
        files.sort();
        for file in files {
            let bytes = self.store.open(tenant, file).await;
            // What has been removed since it was listed has no row any more; what is being written has none yet.
            let Some(bytes) = bytes.map_err(KeeperError::Files)? else {
                continue;
            };
            tell(writer, Message::File(name(file), bytes)).await?;
            whole.add(file);
        }
        Ok(whole)
    }
}

/// The photos of which both pictures were met, and the messages whose file was.
#[derive(Default)]
pub(super) struct Whole {
    full: BTreeSet<PhotoId>,
    thumbnails: BTreeSet<PhotoId>,
    messages: Vec<MessageId>,
}

impl Whole {
    pub(super) fn add(&mut self, file: TenantFile) {
        match file {
            TenantFile::Photo(photo, Rendition::Full) => {
                self.full.insert(photo);
            }
            TenantFile::Photo(photo, Rendition::Thumbnail) => {
                self.thumbnails.insert(photo);
            }
            TenantFile::Message(message) => self.messages.push(message),
        }
    }

    pub(super) fn photos(&self) -> Vec<PhotoId> {
        self.full.intersection(&self.thumbnails).copied().collect()
    }

    pub(super) fn messages(&self) -> &[MessageId] {
        &self.messages
    }
}

/// A file of a snapshot that is being read.
pub(super) struct Incoming {
    file: TenantFile,
    bytes: Vec<u8>,
}

impl Incoming {
    /// `None` for what is not ours; and for what people have sent, in a copy without the people.
    pub(super) fn begin(name: &str, is_masked: bool) -> Option<Self> {
        let file = parse(name)?;
        if is_masked && matches!(file, TenantFile::Message(_)) {
            return None;
        }
        let bytes = Vec::new();
        Some(Self { file, bytes })
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Answers what it was.
    pub(super) async fn keep(self, store: &dyn Store, tenant: TenantId) -> Result<TenantFile, KeeperError> {
        let kept = store.put(tenant, self.file, self.bytes).await;
        kept.map_err(KeeperError::Files)?;
        Ok(self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_read() {
        let (photo, message) = (PhotoId::new(), MessageId::new());
        let [full, thumbnail] = TenantFile::of_photo(photo);
        for file in [full, thumbnail, TenantFile::Message(message)] {
            assert_eq!(parse(&name(file)), Some(file));
        }
        for name in [
            "",
            "photos/",
            "photos/../x.jpg",
            "/etc/passwd",
            "photos/x.jpg",
            "media/",
            "media/../x",
            &format!("{photo}.jpg"),
            &format!("media/{message}.jpg"),
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn what_people_have_sent_is_in_no_copy_without_the_people() {
        let [photo, _] = TenantFile::of_photo(PhotoId::new());
        let sent = TenantFile::Message(MessageId::new());
        for (file, is_masked, comes) in [
            (photo, true, true),
            (photo, false, true),
            (sent, false, true),
            (sent, true, false),
        ] {
            assert_eq!(Incoming::begin(&name(file), is_masked).is_some(), comes);
        }
    }
}
