//! Reading a snapshot to its end before anything is changed, and then once more to load it.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{KeeperError, OnProgress, files};
use crate::domain::platform_key::PlatformKey;
use crate::tenancy::snapshot::{Header, Part, Reader, SnapshotError, open_source};

/// Pieces that may wait for the database.
const WAITING: usize = 4;

/// A snapshot that was read to its end and found whole.
pub(super) struct Verified {
    file: File,
    length: u64,
    digest: [u8; 32],
    key: PlatformKey,
    pub(super) header: Header,
    pub(super) rows: u64,
    pub(super) files: u64,
    pub(super) encrypted: bool,
    /// Whether it was made with this platform's key.
    pub(super) is_ours: bool,
    /// Of the whole file, as it is on the disk.
    pub(super) sha256: [u8; 32],
}

/// The pieces of a verified snapshot, from a thread of their own.
pub(super) struct Parts {
    pub(super) parts: mpsc::Receiver<Part>,
    reading: JoinHandle<Result<[u8; 32], SnapshotError>>,
    digest: [u8; 32],
}

impl Verified {
    /// Reads all of a file. `any_platform` accepts one that was not made with this key.
    pub(super) async fn read(
        path: &Path,
        key: PlatformKey,
        any_platform: bool,
        progress: OnProgress,
    ) -> Result<Self, KeeperError> {
        let path = path.to_owned();
        let reading = move || Self::read_now(&path, &key, any_platform, &progress);
        let read = tokio::task::spawn_blocking(reading).await;
        Ok(read.map_err(|error| SnapshotError::Io(std::io::Error::other(error)))??)
    }

    fn read_now(
        path: &Path,
        key: &PlatformKey,
        any_platform: bool,
        progress: &OnProgress,
    ) -> Result<Self, SnapshotError> {
        let file = open_source(path)?;
        let length = file.metadata()?.len();
        let mut input = Watched::new(&file, "checking", length, progress.clone());
        let mut reader = Reader::open(BufReader::new(&mut input), key)?;
        let (header, encrypted) = (reader.header().clone(), reader.is_encrypted());
        let (mut rows, mut files) = (0, 0);
        while let Some(part) = reader.next()? {
            match part {
                Part::TableEnd(ended) => rows += ended,
                Part::FileEnd => files += 1,
                Part::File { name, length } if files::parse(&name).is_none() || length > files::LONGEST => {
                    return Err(SnapshotError::Damaged("it holds a file that no tenant has"));
                }
                _ => {}
            }
        }
        let is_ours = reader.is_sealed_by(key);
        if !any_platform && !is_ours {
            return Err(SnapshotError::OtherPlatform);
        }
        let digest = reader.digest().ok_or(SnapshotError::Truncated)?;
        drop(reader);
        let sha256 = input.hash.finalize().into();
        Ok(Self {
            file,
            length,
            digest,
            key: key.clone(),
            header,
            rows,
            files,
            encrypted,
            is_ours,
            sha256,
        })
    }

    /// Reads it again, piece by piece.
    pub(super) fn parts(self, progress: OnProgress) -> Parts {
        let (send, parts) = mpsc::channel(WAITING);
        let (mut file, length, digest, key) = (self.file, self.length, self.digest, self.key);
        let reading = tokio::task::spawn_blocking(move || {
            file.rewind()?;
            let input = Watched::new(&file, "loading", length, progress);
            let mut reader = Reader::open(BufReader::new(input), &key)?;
            while let Some(part) = reader.next()? {
                if send.blocking_send(part).is_err() {
                    // Nobody wants the rest.
                    return Err(SnapshotError::Truncated);
                }
            }
            reader.digest().ok_or(SnapshotError::Truncated)
        });
        Parts {
            parts,
            reading,
            digest,
        }
    }
}

impl Parts {
    /// Once there are no more pieces: whether they were those that had been verified.
    pub(super) async fn end(self) -> Result<(), SnapshotError> {
        drop(self.parts);
        let digest = self.reading.await.map_err(std::io::Error::other)??;
        if digest == self.digest {
            Ok(())
        } else {
            Err(SnapshotError::Damaged("it was changed while it was read"))
        }
    }
}

/// Tells how far the file has been read.
struct Watched<'a> {
    file: &'a File,
    what: &'static str,
    read: u64,
    length: u64,
    hash: Sha256,
    progress: OnProgress,
}

impl<'a> Watched<'a> {
    fn new(file: &'a File, what: &'static str, length: u64, progress: OnProgress) -> Self {
        Self {
            file,
            what,
            read: 0,
            length,
            hash: Sha256::new(),
            progress,
        }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        (self.progress)(self.what, self.read, self.length);
        Ok(count)
    }
}
