//! The encrypted form of a snapshot: the plain form, sealed piece by piece with a key that only this file has.
//!
//! ```text
//! 8 bytes   89 48 58 53 45 41 4c 0a   (\x89 H X S E A L \n)
//! 2 bytes   format, big endian: 1
//! 32 bytes  salt: random
//! 16 bytes  what the platform's key makes of the salt: tells another key from damage
//! pieces    1 byte   0, or 1 for the last
//!           4 bytes  length as stored, big endian
//!           …        XChaCha20-Poly1305 of at most [`PIECE`] bytes
//! ```
//!
//! The key is derived from the platform's key and all 58 bytes before the pieces; the nonce is the piece's number and
//! whether it is the last. A file that ends before its last piece is cut off, wherever it ends.

use std::io::{self, Read, Write};

use subtle::ConstantTimeEq as _;

use super::SnapshotError;
use crate::domain::platform_key::{PieceKey, PlatformKey};
use crate::domain::random;

pub(super) const MAGIC: [u8; 8] = *b"\x89HXSEAL\n";
const FORMAT: u16 = 1;
const SALT: usize = 32;
const CHECK: usize = 16;
const PURPOSE: &str = "sealed snapshot";
/// Most bytes of a snapshot in one piece.
const PIECE: usize = 64 * 1024;
const TAG: usize = 16;

/// Seals what is written to it.
pub(super) struct Sealer<W: Write> {
    out: W,
    key: PieceKey,
    number: u64,
    waiting: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    pub(super) fn new(mut out: W, key: &PlatformKey) -> io::Result<Self> {
        let salt = random::bytes::<SALT>();
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&FORMAT.to_be_bytes());
        head.extend_from_slice(&salt);
        head.extend_from_slice(&check(key, &salt));
        out.write_all(&head)?;
        Ok(Self {
            out,
            key: key.pieces(&head),
            number: 0,
            waiting: Vec::with_capacity(PIECE),
        })
    }

    /// Writes the last piece. Without it the rest is worth nothing.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.send(true)?;
        Ok(self.out)
    }

    fn send(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.key.seal(self.number, last, &self.waiting);
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        self.out.write_all(&[last.into()])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&sealed)?;
        self.number += 1;
        self.waiting.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() == PIECE {
            self.send(false)?;
        }
        let fitting = bytes.len().min(PIECE - self.waiting.len());
        self.waiting.extend(bytes.iter().take(fitting));
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads what a [`Sealer`] has written, and gives out nothing that was not proven.
pub(super) struct Opener<R: Read> {
    input: R,
    key: PieceKey,
    number: u64,
    /// Of the piece that is being given out: its bytes, and how many are gone.
    piece: (Vec<u8>, usize),
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads what follows the first eight bytes.
    pub(super) fn open(mut input: R, key: &PlatformKey) -> Result<Self, SnapshotError> {
        let (mut format, mut salt, mut found) = ([0; 2], [0; SALT], [0; CHECK]);
        input.read_exact(&mut format)?;
        let number = u16::from_be_bytes(format);
        if number != FORMAT {
            return Err(SnapshotError::Newer(format!(
                "encrypted format {number}, known is {FORMAT}"
            )));
        }
        input.read_exact(&mut salt)?;
        input.read_exact(&mut found)?;
        if !bool::from(check(key, &salt).ct_eq(&found)) {
            return Err(SnapshotError::OtherKey);
        }
        let head = [&MAGIC[..], &format, &salt, &found].concat();
        Ok(Self {
            input,
            key: key.pieces(&head),
            number: 0,
            piece: (Vec::new(), 0),
            ended: false,
        })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let (mut last, mut length) = ([0; 1], [0; 4]);
        self.input.read_exact(&mut last)?;
        self.input.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > PIECE + TAG {
            return Err(altered());
        }
        let mut sealed = vec![0; length];
        self.input.read_exact(&mut sealed)?;
        let last = match last {
            [0] => false,
            [1] => true,
            _ => return Err(altered()),
        };
        let plain = self.key.open(self.number, last, &sealed).ok_or_else(altered)?;
        self.piece = (plain, 0);
        self.number += 1;
        self.ended = last;
        if last && self.input.read(&mut [0; 1])? > 0 {
            return Err(io::Error::other(SnapshotError::Damaged(
                "something follows its end",
            )));
        }
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.1 == self.piece.0.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let (piece, gone) = &mut self.piece;
        let count = piece.get(*gone..).unwrap_or_default().read(buffer)?;
        *gone += count;
        Ok(count)
    }
}

fn check(key: &PlatformKey, salt: &[u8]) -> [u8; CHECK] {
    let whole = key.fingerprint(PURPOSE, salt);
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default())
}

fn altered() -> io::Error {
    io::Error::other(SnapshotError::Damaged("a piece of it is not as it was written"))
}
