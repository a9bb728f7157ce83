//! The file of a tenant's snapshot.
//!
//! ```text
//! 8 bytes   89 48 58 53 4e 41 50 0a   (\x89 H X S N A P \n)
//! 2 bytes   format, big endian: 1
//! frames    1 byte   kind
//!           4 bytes  length as stored, big endian
//!           4 bytes  length when unpacked, big endian
//!           …        zlib
//! 1 byte    7f: the end
//! 32 bytes  SHA-256 of everything before
//! 32 bytes  seal: what only the holder of the platform's key can make of that SHA-256
//! ```
//!
//! Frames in their order: the [`Header`] (JSON); for each of its tables *table* (its name), *rows* (as `COPY` writes them, at
//! most [`CHUNK`] bytes unpacked, any number of frames), *end of table* (how many); for each of the tenant's files *file*
//! (name and length), *bytes*, *end of file* (SHA-256). A frame is unpacked by itself, so neither side ever holds more than
//! one. Every byte is covered by the SHA-256; the lengths and counts are checked as well.
//!
//! A change of this is a new format number, which older programs refuse. All of it may be encrypted: [`seal`].

mod file;
mod header;
mod output;
mod read;
mod seal;
#[cfg(test)]
mod tests;
mod write;

pub use file::{TargetFile, open_source};
pub use header::{Header, HeaderSubscription, HeaderTable, HeaderTenant};
pub use output::{Output, Stored};
pub use read::{Part, Reader};
pub use write::{Summary, Writer};

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u16 = 1;
/// Most bytes of rows or of a file in one frame, unpacked.
pub const CHUNK: usize = 256 * 1024;

const MAGIC: [u8; 8] = *b"\x89HXSNAP\n";
/// Most bytes of a header, unpacked.
const HEADER_MAX: usize = 1024 * 1024;
/// Most bytes of any other note, unpacked.
const NOTE_MAX: usize = 4096;
const DIGEST: usize = 32;
/// What the platform's key makes of a file's SHA-256.
const SEAL: &str = "snapshot";

/// The kinds of frames.
mod kind {
    pub(super) const HEADER: u8 = 1;
    pub(super) const TABLE: u8 = 2;
    pub(super) const ROWS: u8 = 3;
    pub(super) const TABLE_END: u8 = 4;
    pub(super) const FILE: u8 = 5;
    pub(super) const BYTES: u8 = 6;
    pub(super) const FILE_END: u8 = 7;
    pub(super) const END: u8 = 0x7f;
}

/// Why a file is no snapshot that can be used. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is something else.
    #[error("this is no snapshot of a tenant")]
    NotASnapshot,
    /// It was made by a newer program.
    #[error("the snapshot was made by a newer program: {0}")]
    Newer(String),
    /// It ends too early.
    #[error("the snapshot is cut off")]
    Truncated,
    /// It is not as it was written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// It was made with another platform key, or by somebody who has none.
    #[error(
        "the snapshot was not made by this platform (or with an earlier `platform.key`): if you trust where it comes from, \
         say --other-platform"
    )]
    OtherPlatform,
    /// It is encrypted, and this platform's key does not open it.
    #[error("the snapshot is encrypted with another `platform.key`: only that key opens it")]
    OtherKey,
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(std::io::Error),
}

impl From<std::io::Error> for SnapshotError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            return Self::Truncated;
        }
        // What opens an encrypted one can only answer errors of this type.
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}
