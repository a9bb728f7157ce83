//! Where rows come from: a dump, or files of comma-separated values. Both may be packed with gzip.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::dump::{self, DumpError};
use super::encoding::{self, Encoding};
use crate::domain::hex::hex;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number, as it was written.
    Number(String),
    /// Text in the row's encoding, or whatever bytes.
    Bytes(Vec<u8>),
    /// Something that would have to be computed: no value.
    Expression,
}

/// A column of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the source names it.
    pub name: String,
    /// It holds moments in UTC, not what a clock showed.
    pub utc: bool,
}

impl Column {
    /// Whether this is its name; case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// A row of a source, in the order of its columns. There may be more or fewer cells than columns.
pub struct Row<'a> {
    /// Among the rows of its table, from 1 on.
    pub number: u64,
    /// The columns.
    pub columns: &'a [Column],
    /// The cells.
    pub cells: &'a [Cell],
    /// What their texts are written in.
    pub encoding: Encoding,
}

/// Takes rows, one after the other.
pub type OnRow<'a, E> = &'a mut dyn FnMut(&Row<'_>) -> Result<(), E>;

/// What is to be said of a source besides its rows.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// It has told that it is whole.
    pub completed: bool,
    /// What the rows were written in.
    pub encoding: Option<Encoding>,
    /// It names an encoding that is not known here.
    pub unknown_encoding: Option<String>,
    /// The tables of which it has rows.
    pub tables: BTreeSet<String>,
}

/// Why a source cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The dump cannot be.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The file of comma-separated values cannot be.
    #[error("line {0}: {1}")]
    Csv(u64, String),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}

/// The tables of an old database.
#[derive(Debug, Clone)]
pub enum Source {
    /// A dump of `mysqldump`.
    Dump(PathBuf),
    /// Files of comma-separated values with a line of names, each with its table.
    Csv(Vec<(String, PathBuf)>),
}

impl Source {
    /// The files that it is made of.
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::Dump(path) => vec![path],
            Self::Csv(files) => files.iter().map(|(_, path)| path.as_path()).collect(),
        }
    }

    /// How many bytes all files have.
    ///
    /// # Errors
    /// When one cannot be looked at.
    pub fn bytes(&self) -> Result<u64, SourceError> {
        let length = |path: &&Path| Ok(std::fs::metadata(path).map_err(|error| io(path, error))?.len());
        self.files().iter().map(length).sum()
    }

    /// SHA-256 of the files, by which the same source is known when it comes again.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn digest(&self) -> Result<String, SourceError> {
        let mut all = Sha256::new();
        if let Self::Csv(files) = self {
            for (table, _) in files {
                all.update(table.as_bytes());
                all.update([0]);
            }
        }
        for path in self.files() {
            let mut file = File::open(path).map_err(|error| io(path, error))?;
            let mut hash = Sha256::new();
            let mut piece = vec![0; 64 * 1024];
            loop {
                let read = file.read(&mut piece).map_err(|error| io(path, error))?;
                if read == 0 {
                    break;
                }
                hash.update(piece.get(..read).unwrap_or_default());
            }
            all.update(hash.finalize());
        }
        Ok(hex(&all.finalize()))
    }

    /// Hands all rows of a table to `on_row`; `read` counts the bytes of files that were read.
    ///
    /// # Errors
    /// See [`SourceError`]; whatever `on_row` answers.
    pub fn rows<E: From<SourceError>>(
        &self,
        table: &str,
        wanted: &Wanted,
        read: &Arc<AtomicU64>,
        on_row: OnRow<'_, E>,
    ) -> Result<Notes, E> {
        match self {
            Self::Dump(path) => {
                let mut failed = None;
                let input = open(path, read)?;
                let notes = dump::read(input, table, wanted.encoding, &mut |row: &Row<'_>| {
                    on_row(row).map_err(|error| {
                        failed = Some(error);
                        DumpError::Unreadable(0)
                    })
                });
                match failed {
                    Some(error) => Err(error),
                    None => notes.map_err(|error| match error {
                        DumpError::Io(error) => io(path, error).into(),
                        error => SourceError::Dump(error).into(),
                    }),
                }
            }
            Self::Csv(files) => {
                let mut notes = Notes {
                    completed: true,
                    ..Notes::default()
                };
                for (_, path) in files.iter().filter(|(name, _)| name.eq_ignore_ascii_case(table)) {
                    let encoding = wanted.encoding.unwrap_or(encoding::UTF_8);
                    notes.encoding = Some(encoding);
                    read_csv(open(path, read)?, encoding, wanted.delimiter, on_row)?;
                }
                Ok(notes)
            }
        }
    }
}

/// How a source is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// What it is written in, if it does not say so itself.
    pub encoding: Option<Encoding>,
    /// What stands between the values of a line.
    pub delimiter: u8,
}

fn io(path: &Path, error: std::io::Error) -> SourceError {
    SourceError::Io(path.to_owned(), error)
}

/// A file, unpacked if it is packed.
fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Box<dyn Read>, SourceError> {
    let failed = |error| io(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let counted = Counted {
        file,
        read: Arc::clone(read),
    };
    if magic == [0x1f, 0x8b] {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::new(counted))));
    }
    Ok(Box::new(counted))
}

/// Counts what is read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn read_csv<E: From<SourceError>>(
    input: impl Read,
    encoding: Encoding,
    delimiter: u8,
    on_row: OnRow<'_, E>,
) -> Result<(), E> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(input);
    let failed = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        SourceError::Csv(line, error.to_string())
    };
    let headers = reader.byte_headers().map_err(failed)?.clone();
    let name = |(place, name): (usize, &[u8])| {
        // Spreadsheets write this mark before all else.
        let name = if place == 0 {
            name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name)
        } else {
            name
        };
        let name = encoding::decode(name, encoding).ok_or_else(|| {
            SourceError::Csv(1, "the names of the columns are in another encoding".to_owned())
        })?;
        Ok(Column {
            name: name.trim().trim_matches('"').to_owned(),
            utc: false,
        })
    };
    let columns: Vec<Column> = headers
        .iter()
        .enumerate()
        .map(name)
        .collect::<Result<_, SourceError>>()?;
    let mut record = csv::ByteRecord::new();
    let mut number = 0;
    while reader.read_byte_record(&mut record).map_err(failed)? {
        number += 1;
        let cells: Vec<Cell> = record.iter().map(cell).collect();
        on_row(&Row {
            number,
            columns: &columns,
            cells: &cells,
            encoding,
        })?;
    }
    Ok(())
}

/// What an empty database cell is written as by the usual programs.
fn cell(bytes: &[u8]) -> Cell {
    match bytes {
        b"" | b"NULL" | b"\\N" => Cell::Null,
        _ => Cell::Bytes(bytes.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const WANTED: Wanted = Wanted {
        encoding: None,
        delimiter: b';',
    };

    fn rows(bytes: &[u8], wanted: &Wanted) -> Result<Vec<Vec<Cell>>, SourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let source = Source::Csv(vec![("leads".to_owned(), file.path().to_owned())]);
        let mut found = Vec::new();
        let read = Arc::default();
        source.rows("Leads", wanted, &read, &mut |row: &Row<'_>| {
            assert_eq!(
                (row.columns[0].name.as_str(), row.number),
                ("id", found.len() as u64 + 1)
            );
            found.push(row.cells.to_vec());
            Ok::<(), SourceError>(())
        })?;
        assert_eq!(read.load(Ordering::Relaxed), bytes.len() as u64);
        Ok(found)
    }

    #[test]
    fn a_spreadsheets_file_is_read() {
        let text = b"\xef\xbb\xbfid;nome;telefone\r\n1;\"Ana; \"\"a\"\"\nSilva\";NULL\r\n2;\\N;\r\n";
        let found = rows(text, &WANTED).unwrap();
        assert_eq!(found[0][1], Cell::Bytes(b"Ana; \"a\"\nSilva".to_vec()));
        assert_eq!(
            (&found[0][2], &found[1][1], &found[1][2]),
            (&Cell::Null, &Cell::Null, &Cell::Null)
        );
        assert!(rows(b"id;n\xe3o\n", &WANTED).is_err());
    }

    #[test]
    fn a_packed_file_is_the_same() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"id;nome\n1;Ana\n").unwrap();
        let found = rows(&packed.finish().unwrap(), &WANTED).unwrap();
        assert_eq!(
            found,
            [[Cell::Bytes(b"1".to_vec()), Cell::Bytes(b"Ana".to_vec())]]
        );
    }

    #[test]
    fn the_same_files_have_the_same_digest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = |table: &str| Source::Csv(vec![(table.to_owned(), file.path().to_owned())]);
        let empty = source("a").digest().unwrap();
        assert_eq!((empty.len(), &empty), (64, &source("a").digest().unwrap()));
        assert_ne!(empty, source("b").digest().unwrap());
        std::fs::write(file.path(), "x").unwrap();
        assert_ne!(empty, source("a").digest().unwrap());
        assert!(Source::Dump("/nonexistent".into()).digest().is_err());
    }
}
