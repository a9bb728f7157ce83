//! Reads a snapshot, frame by frame, and believes nothing of it: lengths are bounded before anything is unpacked, order
//! and counts are checked, and only when [`Reader::next`] has answered `None` is it known that all of it was right.

use std::io::{self, Cursor, Read};

use flate2::bufread::ZlibDecoder;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::header::{FileHead, Header, TableEnd};
use super::seal::{self, Opener};
use super::{CHUNK, DIGEST, FORMAT, HEADER_MAX, MAGIC, NOTE_MAX, SEAL, SnapshotError, kind};
use crate::domain::platform_key::PlatformKey;

/// A piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The table of this number in the header begins.
    Table(usize),
    /// Some of its rows; a row may end in the next piece.
    Rows(Vec<u8>),
    /// It has ended with so many rows.
    TableEnd(u64),
    /// A file of this name and length begins.
    File {
        /// Its name.
        name: String,
        /// Its length.
        length: u64,
    },
    /// Some of its bytes.
    Bytes(Vec<u8>),
    /// It has ended, and was whole.
    FileEnd,
}

/// Where in the file it is.
enum State {
    /// Before a table, a file or the end.
    Between,
    /// Inside of a table.
    Table { rows: u64, in_line: bool },
    /// Inside of a file.
    File { left: u64, digest: Sha256 },
    /// Behind the end.
    Ended {
        digest: [u8; DIGEST],
        seal: [u8; DIGEST],
    },
}

/// The plain form, whatever is stored.
enum Input<R: Read> {
    Plain(io::Chain<Cursor<[u8; MAGIC.len()]>, R>),
    Sealed(Box<Opener<R>>),
}

impl<R: Read> Input<R> {
    fn open(mut input: R, key: &PlatformKey) -> Result<Self, SnapshotError> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SnapshotError::NotASnapshot,
            _ => error.into(),
        })?;
        Ok(match magic {
            seal::MAGIC => Self::Sealed(Box::new(Opener::open(input, key)?)),
            plain => Self::Plain(Cursor::new(plain).chain(input)),
        })
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Sealed(opener) => opener.read(buffer),
        }
    }
}

/// A snapshot being read.
pub struct Reader<R: Read> {
    input: Input<R>,
    digest: Sha256,
    header: Header,
    /// Tables that have begun.
    tables: usize,
    files: bool,
    state: State,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning; `key` opens an encrypted one.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn open(input: R, key: &PlatformKey) -> Result<Self, SnapshotError> {
        let mut input = Input::open(input, key)?;
        let mut digest = Sha256::new();
        let magic: [u8; MAGIC.len()] = take(&mut input, &mut digest)?;
        if magic != MAGIC {
            return Err(SnapshotError::NotASnapshot);
        }
        let format = u16::from_be_bytes(take(&mut input, &mut digest)?);
        if format > FORMAT {
            return Err(SnapshotError::Newer(format!(
                "format {format}, known is {FORMAT}"
            )));
        }
        let (found, text) = frame(&mut input, &mut digest)?.ok_or(damaged_order())?;
        if format == 0 || found != kind::HEADER {
            return Err(damaged_order());
        }
        Ok(Self {
            input,
            digest,
            header: note(&text)?,
            tables: 0,
            files: false,
            state: State::Between,
        })
    }

    /// Whether it is stored encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.input, Input::Sealed(_))
    }

    /// What the snapshot says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next piece; `None` when there is no more and everything was right.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Part>, SnapshotError> {
        if matches!(self.state, State::Ended { .. }) {
            return Ok(None);
        }
        let Some((found, plain)) = frame(&mut self.input, &mut self.digest)? else {
            self.end()?;
            return Ok(None);
        };
        match &mut self.state {
            State::Between => self.begin(found, plain).map(Some),
            State::Table { rows, in_line } => match found {
                kind::ROWS => {
                    *rows += plain.iter().filter(|byte| **byte == b'\n').count() as u64;
                    *in_line = plain.last() != Some(&b'\n');
                    Ok(Some(Part::Rows(plain)))
                }
                kind::TABLE_END => {
                    let end: TableEnd = note(&plain)?;
                    if *in_line || end.rows != *rows {
                        return Err(SnapshotError::Damaged(
                            "a table has more or fewer rows than it says",
                        ));
                    }
                    self.state = State::Between;
                    Ok(Some(Part::TableEnd(end.rows)))
                }
                _ => Err(damaged_order()),
            },
            State::File { left, digest } => match found {
                kind::BYTES => {
                    let whole = left.checked_sub(plain.len() as u64);
                    *left = whole.ok_or(SnapshotError::Damaged("a file is longer than it says"))?;
                    digest.update(&plain);
                    Ok(Some(Part::Bytes(plain)))
                }
                kind::FILE_END => {
                    let is: [u8; DIGEST] = digest.clone().finalize().into();
                    if *left > 0 || plain != is {
                        return Err(SnapshotError::Damaged("a file is not as it was"));
                    }
                    self.state = State::Between;
                    Ok(Some(Part::FileEnd))
                }
                _ => Err(damaged_order()),
            },
            State::Ended { .. } => Ok(None),
        }
    }

    /// SHA-256 of the plain form without its end, once it has been read to its end.
    pub fn digest(&self) -> Option<[u8; DIGEST]> {
        match &self.state {
            State::Ended { digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// Whether it was made with this key, once it has been read to its end.
    pub fn is_sealed_by(&self, key: &PlatformKey) -> bool {
        match &self.state {
            State::Ended { digest, seal } => key.fingerprint(SEAL, digest).ct_eq(seal).into(),
            _ => false,
        }
    }

    fn begin(&mut self, found: u8, plain: Vec<u8>) -> Result<Part, SnapshotError> {
        match found {
            kind::TABLE if !self.files => {
                let number = self.tables;
                let expected = self.header.tables.get(number).ok_or(damaged_order())?;
                if plain != expected.name.as_bytes() {
                    return Err(damaged_order());
                }
                self.tables += 1;
                self.state = State::Table {
                    rows: 0,
                    in_line: false,
                };
                Ok(Part::Table(number))
            }
            kind::FILE if self.tables == self.header.tables.len() => {
                self.files = true;
                let FileHead { name, length } = note(&plain)?;
                self.state = State::File {
                    left: length,
                    digest: Sha256::new(),
                };
                Ok(Part::File { name, length })
            }
            _ => Err(damaged_order()),
        }
    }

    /// The end has been met: compares what was read with what was written.
    fn end(&mut self) -> Result<(), SnapshotError> {
        if !matches!(self.state, State::Between) || self.tables != self.header.tables.len() {
            return Err(damaged_order());
        }
        let is: [u8; DIGEST] = self.digest.clone().finalize().into();
        let mut beyond = Sha256::new();
        let digest: [u8; DIGEST] = take(&mut self.input, &mut beyond)?;
        let seal: [u8; DIGEST] = take(&mut self.input, &mut beyond)?;
        if is != digest {
            return Err(SnapshotError::Damaged("its checksum is another"));
        }
        let mut more = [0; 1];
        if self.input.read(&mut more)? > 0 {
            return Err(SnapshotError::Damaged("something follows its end"));
        }
        self.state = State::Ended { digest, seal };
        Ok(())
    }
}

fn damaged_order() -> SnapshotError {
    SnapshotError::Damaged("its parts are not in order")
}

/// The next frame, unpacked; `None` when it is the end.
fn frame(input: &mut impl Read, digest: &mut Sha256) -> Result<Option<(u8, Vec<u8>)>, SnapshotError> {
    let [found] = take(input, digest)?;
    let most = match found {
        kind::END => return Ok(None),
        kind::HEADER => HEADER_MAX,
        kind::ROWS | kind::BYTES => CHUNK,
        kind::TABLE | kind::TABLE_END | kind::FILE | kind::FILE_END => NOTE_MAX,
        _ => return Err(SnapshotError::Damaged("it has a part of an unknown kind")),
    };
    let stored = u32::from_be_bytes(take(input, digest)?) as usize;
    let length = u32::from_be_bytes(take(input, digest)?) as usize;
    // What cannot be packed grows by a few bytes.
    if length > most || stored > most + most / 64 + 64 {
        return Err(SnapshotError::Damaged("a part is longer than any can be"));
    }
    let mut packed = vec![0; stored];
    input.read_exact(&mut packed)?;
    digest.update(&packed);
    let mut plain = Vec::with_capacity(length);
    let mut unpacked = ZlibDecoder::new(packed.as_slice()).take(length as u64 + 1);
    unpacked
        .read_to_end(&mut plain)
        .map_err(|_| SnapshotError::Damaged("a part cannot be unpacked"))?;
    if plain.len() == length {
        Ok(Some((found, plain)))
    } else {
        Err(SnapshotError::Damaged("a part is longer or shorter than it says"))
    }
}

fn take<const N: usize>(input: &mut impl Read, digest: &mut Sha256) -> Result<[u8; N], SnapshotError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    digest.update(bytes);
    Ok(bytes)
}

fn note<T: DeserializeOwned>(text: &[u8]) -> Result<T, SnapshotError> {
    serde_json::from_slice(text).map_err(|_| SnapshotError::Damaged("a note in it cannot be read"))
}
