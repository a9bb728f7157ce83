//! Where a snapshot is written to, encrypted or not, and what the file will be known by.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::SnapshotError;
use super::seal::Sealer;
use crate::domain::platform_key::PlatformKey;

/// The file as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, as `sha256sum` prints it.
    pub sha256: [u8; 32],
}

/// Takes a snapshot's bytes to a file.
pub struct Output<W: Write>(Form<W>);

enum Form<W: Write> {
    Plain(Measured<W>),
    Sealed(Box<Sealer<Measured<W>>>),
}

impl<W: Write> Output<W> {
    /// Encrypts with a key of its own, made from `key`, when there is one.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn new(out: W, key: Option<&PlatformKey>) -> Result<Self, SnapshotError> {
        let out = Measured {
            out,
            bytes: 0,
            digest: Sha256::new(),
        };
        Ok(Self(match key {
            None => Form::Plain(out),
            Some(key) => Form::Sealed(Box::new(Sealer::new(out, key)?)),
        }))
    }

    /// Writes the end, and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn finish(self) -> Result<(W, Stored), SnapshotError> {
        let measured = match self.0 {
            Form::Plain(out) => out,
            Form::Sealed(sealer) => sealer.finish()?,
        };
        let stored = Stored {
            bytes: measured.bytes,
            sha256: measured.digest.finalize().into(),
        };
        Ok((measured.out, stored))
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Form::Plain(out) => out.write(bytes),
            Form::Sealed(sealer) => sealer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Form::Plain(out) => out.flush(),
            Form::Sealed(sealer) => sealer.flush(),
        }
    }
}

/// Counts and digests what passes.
struct Measured<W: Write> {
    out: W,
    bytes: u64,
    digest: Sha256,
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.digest.update(bytes.get(..count).unwrap_or_default());
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
