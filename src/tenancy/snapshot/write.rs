//! Writes a snapshot, frame by frame.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::header::{FileHead, Header, TableEnd};
use super::{CHUNK, FORMAT, MAGIC, SEAL, SnapshotError, kind};
use crate::domain::platform_key::PlatformKey;

/// A snapshot being written: the header, then each of its tables in order, then files, then [`Writer::finish`].
pub struct Writer<W: Write> {
    out: W,
    digest: Sha256,
    written: u64,
    /// Rows, or bytes of a file, that wait until they fill a frame.
    waiting: Vec<u8>,
    rows: u64,
    total_rows: u64,
    file: Sha256,
    files: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Length of the plain form.
    pub bytes: u64,
    /// Rows of all tables.
    pub rows: u64,
    /// How many files of the tenant.
    pub files: u64,
    /// SHA-256 of everything before it.
    pub digest: [u8; 32],
}

impl<W: Write> Writer<W> {
    /// Begins a snapshot.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, header: &Header) -> Result<Self, SnapshotError> {
        Self::with_format(out, header, FORMAT)
    }

    pub(super) fn with_format(out: W, header: &Header, format: u16) -> Result<Self, SnapshotError> {
        let mut writer = Self {
            out,
            digest: Sha256::new(),
            written: 0,
            waiting: Vec::with_capacity(CHUNK),
            rows: 0,
            total_rows: 0,
            file: Sha256::new(),
            files: 0,
        };
        writer.put(&MAGIC)?;
        writer.put(&format.to_be_bytes())?;
        writer.note(kind::HEADER, header)?;
        Ok(writer)
    }

    /// Begins the next table of the header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn table(&mut self, name: &str) -> Result<(), SnapshotError> {
        self.rows = 0;
        self.frame(kind::TABLE, name.as_bytes())
    }

    /// Adds rows as `COPY` writes them, in pieces of any length.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rows(&mut self, rows: &[u8]) -> Result<(), SnapshotError> {
        // A line feed inside of a value is written as \n.
        self.rows += rows.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.gather(kind::ROWS, rows)
    }

    /// Ends the table; answers how many rows it has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end_table(&mut self) -> Result<u64, SnapshotError> {
        self.send(kind::ROWS)?;
        self.note(kind::TABLE_END, &TableEnd { rows: self.rows })?;
        self.total_rows += self.rows;
        Ok(self.rows)
    }

    /// Begins one of the tenant's files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&mut self, name: &str, length: u64) -> Result<(), SnapshotError> {
        self.file = Sha256::new();
        let name = name.to_owned();
        self.note(kind::FILE, &FileHead { name, length })
    }

    /// Adds bytes of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file.update(bytes);
        self.gather(kind::BYTES, bytes)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end_file(&mut self) -> Result<(), SnapshotError> {
        self.send(kind::BYTES)?;
        self.files += 1;
        let digest = std::mem::take(&mut self.file).finalize();
        self.frame(kind::FILE_END, &digest)
    }

    /// Ends the snapshot and gives back what it was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, key: &PlatformKey) -> Result<(W, Summary), SnapshotError> {
        self.put(&[kind::END])?;
        let digest: [u8; 32] = self.digest.clone().finalize().into();
        self.put(&digest)?;
        self.put(&key.fingerprint(SEAL, &digest))?;
        let summary = Summary {
            bytes: self.written,
            rows: self.total_rows,
            files: self.files,
            digest,
        };
        Ok((self.out, summary))
    }

    fn gather(&mut self, kind: u8, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        while let Some((fitting, rest)) = bytes.split_at_checked(CHUNK - self.waiting.len()) {
            self.waiting.extend_from_slice(fitting);
            self.send(kind)?;
            bytes = rest;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    fn send(&mut self, kind: u8) -> Result<(), SnapshotError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let sent = self.frame(kind, &waiting);
        waiting.clear();
        self.waiting = waiting;
        sent
    }

    fn note(&mut self, kind: u8, note: &impl Serialize) -> Result<(), SnapshotError> {
        let text = serde_json::to_vec(note).map_err(std::io::Error::other)?;
        self.frame(kind, &text)
    }

    fn frame(&mut self, kind: u8, plain: &[u8]) -> Result<(), SnapshotError> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(plain)?;
        let packed = packed.finish()?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
        self.put(&[kind])?;
        self.put(&length(&packed)?.to_be_bytes())?;
        self.put(&length(plain)?.to_be_bytes())?;
        self.put(&packed)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.digest.update(bytes);
        self.written += bytes.len() as u64;
        Ok(self.out.write_all(bytes)?)
    }
}
