//! Cuts a dump into statements, as the `mysql` client does: by delimiters that stand outside of quotes and comments.
//!
//! Nothing is understood here but where a statement ends. A long `insert` is handed on in parts of whole rows, each with
//! the statement's beginning, so that no more than a part and a row are in memory, however long the dump is.

use std::io::Read;

use super::DumpError;

/// From this length on an `insert` is cut after a row.
const PART: usize = 256 * 1024;
/// Longest row, and longest statement of any other kind. `mysqldump` itself makes none longer than its
/// `--max-allowed-packet`, which a server that takes them has to allow as well.
const LONGEST: usize = 16 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
/// What `mysqldump` writes when it has come to its end.
const COMPLETED: &[u8] = b"-- Dump completed";

/// A statement without its comments, or a part of an `insert`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its bytes, in the dump's encoding.
    pub text: Vec<u8>,
    /// How much of it stands before the first row.
    pub head: Option<usize>,
    /// Where it begins.
    pub line: u64,
}

/// The statements of a dump, in order.
pub struct Statements<R> {
    input: R,
    window: Vec<u8>,
    at: usize,
    line: u64,
    delimiter: Vec<u8>,
    /// The beginning of the `insert` whose next rows follow.
    carried: Option<Vec<u8>>,
    completed: bool,
}

/// A statement that is being read.
#[derive(Default)]
struct Open {
    statement: Statement,
    /// Open parentheses.
    depth: usize,
    /// Inside of `/*! … */`, whose content is a statement.
    conditional: bool,
}

impl<R: Read> Statements<R> {
    /// The statements of `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            window: Vec::new(),
            at: 0,
            line: 1,
            delimiter: b";".to_vec(),
            carried: None,
            completed: false,
        }
    }

    /// Whether the dump has said that it is whole, and nothing has come after that.
    pub fn is_completed(&self) -> bool {
        self.completed
    }

    /// The next statement, or the next part of one; `None` at the end.
    ///
    /// # Errors
    /// [`DumpError::CutOff`] when the dump ends inside of a statement, [`DumpError::TooLong`] for a row of more than 16 MiB.
    pub fn next(&mut self) -> Result<Option<Statement>, DumpError> {
        let next = self.find_next()?;
        self.completed &= next.is_none();
        Ok(next)
    }

    fn find_next(&mut self) -> Result<Option<Statement>, DumpError> {
        let mut open = Open::default();
        open.statement.line = self.line;
        if let Some(head) = self.carried.take() {
            open.statement.head = Some(head.len());
            open.statement.text = head;
        }
        loop {
            if open.statement.text.len() > LONGEST {
                return Err(DumpError::TooLong(open.statement.line));
            }
            let Some(byte) = self.peek(0)? else {
                return self.end(&open);
            };
            match byte {
                b'\'' | b'"' | b'`' => self.quoted(byte, &mut open.statement)?,
                b'#' => self.line_comment()?,
                b'-' if self.begins_comment()? => self.line_comment()?,
                b'/' if self.peek(1)? == Some(b'*') => self.comment(&mut open)?,
                b'*' if open.conditional && self.peek(1)? == Some(b'/') => {
                    self.skip(2);
                    open.conditional = false;
                }
                _ if self.at_delimiter(byte)? => {
                    self.skip(self.delimiter.len());
                    if !open.statement.text.is_empty() {
                        return Ok(Some(open.statement));
                    }
                }
                b',' if open.ends_part() => {
                    self.skip(1);
                    let head = open.statement.head.unwrap_or(0);
                    self.carried = open.statement.text.get(..head).map(<[u8]>::to_vec);
                    return Ok(Some(open.statement));
                }
                _ if open.statement.text.is_empty() && self.delimiter_command()? => {}
                _ => {
                    open.code(byte, self.line);
                    self.skip(1);
                }
            }
        }
    }

    fn end(&self, open: &Open) -> Result<Option<Statement>, DumpError> {
        if open.statement.text.is_empty() {
            Ok(None)
        } else {
            Err(DumpError::CutOff(open.statement.line))
        }
    }

    /// Takes a quoted text or name over, whatever is in it.
    fn quoted(&mut self, quote: u8, statement: &mut Statement) -> Result<(), DumpError> {
        let begun = self.line;
        if statement.text.is_empty() {
            statement.line = begun;
        }
        statement.text.push(quote);
        self.skip(1);
        // A name has no escapes; in a text a doubled quote ends one and begins another, which comes to the same.
        let escape = if quote == b'`' { quote } else { b'\\' };
        loop {
            if self.peek(0)?.is_none() {
                return Err(DumpError::CutOff(begun));
            }
            if statement.text.len() > LONGEST {
                return Err(DumpError::TooLong(begun));
            }
            let rest = self.window.get(self.at..).unwrap_or_default();
            let plain = memchr::memchr2(quote, escape, rest).unwrap_or(rest.len());
            let taken = rest.get(..plain).unwrap_or_default();
            statement.text.extend_from_slice(taken);
            self.skip(plain);
            match self.peek(0)? {
                Some(byte) if byte == quote => {
                    statement.text.push(quote);
                    self.skip(1);
                    return Ok(());
                }
                Some(b'\\') if escape == b'\\' => {
                    statement.text.push(b'\\');
                    self.skip(1);
                    if let Some(escaped) = self.peek(0)? {
                        statement.text.push(escaped);
                        self.skip(1);
                    }
                }
                _ => {}
            }
        }
    }

    /// `--` is a comment only when space follows.
    fn begins_comment(&mut self) -> Result<bool, DumpError> {
        let follows = self.peek(2)?;
        Ok(self.peek(1)? == Some(b'-') && follows.is_none_or(|byte| byte.is_ascii_whitespace()))
    }

    fn line_comment(&mut self) -> Result<(), DumpError> {
        self.completed |= self.looking_at(COMPLETED)?;
        while self.peek(0)?.is_some_and(|byte| byte != b'\n') {
            let rest = self.window.get(self.at..).unwrap_or_default();
            self.skip(memchr::memchr(b'\n', rest).unwrap_or(rest.len()));
        }
        Ok(())
    }

    /// Skips a comment. One that a newer server executes is a statement when it begins one, and left out inside of one.
    fn comment(&mut self, open: &mut Open) -> Result<(), DumpError> {
        if self.peek(2)? == Some(b'!') && open.statement.text.is_empty() {
            self.skip(3);
            while self.peek(0)?.is_some_and(|byte| byte.is_ascii_digit()) {
                self.skip(1);
            }
            open.conditional = true;
            return Ok(());
        }
        let begun = self.line;
        self.skip(2);
        while !self.looking_at(b"*/")? {
            if self.peek(0)?.is_none() {
                return Err(DumpError::CutOff(begun));
            }
            self.skip(1);
        }
        self.skip(2);
        Ok(())
    }

    /// `DELIMITER ;;`, a command of the client, which dumps with triggers have.
    fn delimiter_command(&mut self) -> Result<bool, DumpError> {
        const COMMAND: &[u8] = b"delimiter ";
        if !self.looking_at(COMMAND)? {
            return Ok(false);
        }
        self.skip(COMMAND.len());
        let mut delimiter = Vec::new();
        while let Some(byte) = self.peek(0)?.filter(|byte| *byte != b'\n') {
            if delimiter.len() > 16 {
                return Err(DumpError::Unreadable(self.line));
            }
            delimiter.push(byte);
            self.skip(1);
        }
        let delimiter = delimiter.trim_ascii();
        if delimiter.is_empty() {
            return Err(DumpError::Unreadable(self.line));
        }
        self.delimiter = delimiter.to_vec();
        Ok(true)
    }

    fn at_delimiter(&mut self, byte: u8) -> Result<bool, DumpError> {
        if self.delimiter.first() != Some(&byte) {
            return Ok(false);
        }
        let delimiter = self.delimiter.clone();
        self.looking_at(&delimiter)
    }

    /// Whether this follows, whatever its case.
    fn looking_at(&mut self, text: &[u8]) -> Result<bool, DumpError> {
        self.fill(text.len())?;
        let next = self.window.get(self.at..self.at + text.len());
        Ok(next.is_some_and(|next| next.eq_ignore_ascii_case(text)))
    }

    fn peek(&mut self, ahead: usize) -> Result<Option<u8>, DumpError> {
        self.fill(ahead + 1)?;
        Ok(self.window.get(self.at + ahead).copied())
    }

    fn skip(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.window.len());
        let skipped = self.window.get(self.at..end).unwrap_or_default();
        self.line += memchr::memchr_iter(b'\n', skipped).count() as u64;
        self.at = end;
    }

    /// Sees to it that so many bytes are in the window, if there are as many.
    fn fill(&mut self, wanted: usize) -> Result<(), DumpError> {
        while self.window.len() < self.at + wanted {
            if self.at >= CHUNK {
                self.window.drain(..self.at);
                self.at = 0;
            }
            let had = self.window.len();
            self.window.resize(had + CHUNK, 0);
            let read = self.input.read(self.window.get_mut(had..).unwrap_or_default());
            self.window.truncate(had + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) => break,
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Open {
    /// Takes a byte over that is neither quoted nor a comment.
    fn code(&mut self, byte: u8, line: u64) {
        let statement = &mut self.statement;
        if statement.text.is_empty() {
            if byte.is_ascii_whitespace() {
                return;
            }
            statement.line = line;
        }
        match byte {
            b'(' => {
                if self.depth == 0 && statement.head.is_none() && begins_rows(&statement.text) {
                    statement.head = Some(statement.text.len());
                }
                self.depth += 1;
            }
            b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        statement.text.push(byte);
    }

    fn ends_part(&self) -> bool {
        self.depth == 0
            && self
                .statement
                .head
                .is_some_and(|head| self.statement.text.len() > head + PART)
    }
}

/// Whether this is an `insert` up to its first row.
fn begins_rows(text: &[u8]) -> bool {
    let starts = |word: &[u8]| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let text_before = text.trim_ascii_end();
    let ends = |word: &[u8]| {
        let from = text_before.len().saturating_sub(word.len());
        text_before
            .get(from..)
            .is_some_and(|end| end.eq_ignore_ascii_case(word))
    };
    (starts(b"insert") || starts(b"replace")) && (ends(b"values") || ends(b"value"))
}

#[cfg(test)]
mod tests;
