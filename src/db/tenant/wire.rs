//! The extended protocol with one synchronisation for many statements.
//!
//! All statements are written at once and end with a single `Sync`. Without a `begin` among them the server takes
//! them as one transaction, which the `Sync` commits; after an error it skips the rest, and the `Sync` rolls back.
//! Nothing outside this file starts a statement.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf as _, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{ErrorResponseBody, Header, Message, RowDescriptionBody};
use postgres_protocol::message::frontend::{self, BindError};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio_postgres::types::Type;

use super::answer::Answer;
use super::query::Statement;
use crate::db::DbError;
use crate::db::stream::Stream;

/// Binary, for parameters and columns alike.
const BINARY: [i16; 1] = [1];
const DATA_ROW: u8 = b'D';
/// Bytes that there is room for whenever the socket is read.
const READ_AT_ONCE: usize = 8 * 1024;
/// The largest buffer that a connection keeps between two flights.
const KEPT: usize = 256 * 1024;

/// A connection on which statements are sent together.
pub(super) struct Wire {
    stream: Stream,
    outgoing: BytesMut,
    incoming: BytesMut,
    /// How many statements have been prepared: their names are numbers.
    names: u32,
    /// Prepared statements that nobody will use again: closed with the next flight.
    unused: Vec<u32>,
    state: State,
}

/// What the server said at the last synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transaction is open.
    Idle,
    /// A transaction is open, perhaps a failed one.
    InTransaction,
    /// It has not answered to the end: what it does is unknown.
    Unknown,
}

/// A statement that the server keeps under a number.
#[derive(Clone)]
pub(super) struct Prepared {
    name: u32,
    columns: Arc<[Type]>,
}

/// How a statement is sent.
pub(super) enum How {
    /// Parsed for this use only.
    Once,
    /// Parsed, and kept for later uses under this name.
    Prepare(u32),
    /// Parsed before.
    Prepared(Prepared),
}

/// What came back from one flight.
pub(super) struct Landed {
    /// Of the statements that were completed, in their order.
    pub(super) answers: Vec<Answer>,
    /// Statements that the server keeps from now on, by position.
    pub(super) prepared: Vec<(usize, Prepared)>,
    /// The error that ended the flight, and the position of the statement it came from; that of the end itself is the
    /// number of statements.
    pub(super) failed: Option<(usize, ServerError)>,
}

/// An error of the server, without anything that could hold a row's values.
pub(super) struct ServerError {
    pub(super) state: String,
    constraint: Option<String>,
    message: String,
}

impl From<ServerError> for DbError {
    fn from(error: ServerError) -> Self {
        Self::from_state(&error.state, error.constraint.as_deref(), &error.message)
    }
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            outgoing: BytesMut::with_capacity(1024),
            incoming: BytesMut::with_capacity(16 * 1024),
            names: 0,
            unused: Vec::new(),
            state: State::Idle,
        }
    }

    /// Whether no transaction is open and everything that was asked has been answered.
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether a transaction is open that the server waits in.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.state == State::InTransaction
    }

    /// Whether nothing more can be asked. Nobody has asked anything, so whatever the server has sent is its farewell, or
    /// a notice: such a connection is not worth reading.
    pub(super) fn is_closed(&self) -> bool {
        !self.incoming.is_empty() || !self.stream.is_quiet()
    }

    /// The name of a statement that is to be kept.
    pub(super) fn name(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    /// Has a kept statement closed along with the next flight.
    pub(super) fn close(&mut self, prepared: &Prepared) {
        self.unused.push(prepared.name);
    }

    /// Sends the statements and reads all answers, in one round trip.
    ///
    /// Dropping the future leaves the outcome unknown: the server may still commit.
    ///
    /// # Errors
    /// When a parameter cannot be encoded, before anything is sent; when the connection is lost.
    pub(super) async fn send(&mut self, flight: &[(&Statement, How)]) -> Result<Landed, DbError> {
        self.outgoing.clear();
        self.encode(flight).map_err(|error| DbError::Other {
            code: "driver".to_owned(),
            message: error.to_string(),
        })?;
        self.state = State::Unknown;
        let landed = async {
            self.write().await?;
            self.receive(flight).await
        };
        let landed = landed.await;
        self.outgoing.clear();
        shrink(&mut self.outgoing);
        shrink(&mut self.incoming);
        landed.map_err(|error: io::Error| DbError::Unavailable(error.to_string()))
    }

    /// Writes what is to be sent, and reads meanwhile: with much to say, the server reads on only when it has been heard.
    async fn write(&mut self) -> io::Result<()> {
        let (stream, outgoing, incoming) = (&mut self.stream, &self.outgoing, &mut self.incoming);
        let mut rest: &[u8] = outgoing;
        poll_fn(|context| {
            loop {
                let written = if rest.is_empty() {
                    Pin::new(&mut *stream).poll_flush(context).map_ok(|()| 0)
                } else {
                    Pin::new(&mut *stream).poll_write(context, rest)
                };
                match written? {
                    Poll::Ready(0) if rest.is_empty() => return Poll::Ready(Ok(())),
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(length) => {
                        rest = rest.get(length..).unwrap_or_default();
                        continue;
                    }
                    Poll::Pending => {}
                }
                incoming.reserve(READ_AT_ONCE);
                match pin!(stream.read_buf(incoming)).poll(context)? {
                    // It says no more; what it has said before says why.
                    Poll::Ready(0) => return Poll::Ready(Ok(())),
                    Poll::Ready(_) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    fn encode(&mut self, flight: &[(&Statement, How)]) -> io::Result<()> {
        let out = &mut self.outgoing;
        for (statement, how) in flight {
            let name = match how {
                How::Once => String::new(),
                How::Prepare(name) => server_name(*name),
                How::Prepared(prepared) => server_name(prepared.name),
            };
            if !matches!(how, How::Prepared(_)) {
                frontend::parse(&name, statement.text, statement.types(), out)?;
                frontend::describe(b'S', &name, out)?;
            }
            let encode = |(value, kind): &super::query::Param, out: &mut BytesMut| {
                Ok(match value.to_sql_checked(kind, out)? {
                    tokio_postgres::types::IsNull::Yes => IsNull::Yes,
                    tokio_postgres::types::IsNull::No => IsNull::No,
                })
            };
            frontend::bind("", &name, BINARY, &statement.params, encode, BINARY, out).map_err(|error| {
                match error {
                    BindError::Conversion(error) => io::Error::other(error),
                    BindError::Serialization(error) => error,
                }
            })?;
            frontend::execute("", 0, out)?;
        }
        // Last, because what this flight has pushed out of the cache may be used in it.
        for name in &self.unused {
            frontend::close(b'S', &server_name(*name), out)?;
        }
        frontend::sync(out);
        Ok(())
    }

    /// Reads up to the synchronisation.
    async fn receive(&mut self, flight: &[(&Statement, How)]) -> io::Result<Landed> {
        let mut landed = Landed {
            answers: Vec::with_capacity(flight.len()),
            prepared: Vec::new(),
            failed: None,
        };
        let mut answer = Answer::default();
        loop {
            while let Some(message) = self.next_message(&mut answer)? {
                let position = landed.answers.len();
                let how = flight.get(position).map(|(_, how)| how);
                match message {
                    Message::RowDescription(body) => answer.columns = columns(&body)?,
                    Message::BindComplete => match how {
                        Some(How::Prepared(prepared)) => answer.columns = Arc::clone(&prepared.columns),
                        // Parsed and described: what the server keeps outlives the transaction.
                        Some(How::Prepare(name)) => landed.prepared.push((
                            position,
                            Prepared {
                                name: *name,
                                columns: Arc::clone(&answer.columns),
                            },
                        )),
                        _ => {}
                    },
                    Message::CommandComplete(body) => {
                        answer.affected = affected(body.tag()?);
                        landed.answers.push(std::mem::take(&mut answer));
                    }
                    Message::ErrorResponse(body) => {
                        // Parsed perhaps, and not bound: nobody knows its name.
                        if let Some(How::Prepare(name)) = how
                            && landed.prepared.last().is_none_or(|(last, _)| *last != position)
                        {
                            self.unused.push(*name);
                        }
                        let error = server_error(&body)?;
                        landed.failed.get_or_insert((position, error));
                    }
                    Message::ReadyForQuery(body) => {
                        if landed.failed.is_none() {
                            self.unused.clear();
                        }
                        self.state = match body.status() {
                            b'I' => State::Idle,
                            _ => State::InTransaction,
                        };
                        return Ok(landed);
                    }
                    Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                        return Err(io::Error::other("a tenant's statement may not copy"));
                    }
                    _ => {}
                }
            }
            self.incoming.reserve(READ_AT_ONCE);
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return match landed.failed {
                    // The server's last words say why it ended the connection.
                    Some(_) => Ok(landed),
                    None => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// The next whole message that is not a row; rows go to the answer that is being read.
    fn next_message(&mut self, answer: &mut Answer) -> io::Result<Option<Message>> {
        while let Some(header) = Header::parse(&self.incoming)? {
            let length = usize::try_from(header.len()).map_err(io::Error::other)? + 1;
            if header.tag() != DATA_ROW {
                break;
            }
            let Some(row) = self.incoming.get(HEAD + COLUMN_COUNT..length) else {
                self.incoming.reserve(length.saturating_sub(self.incoming.len()));
                return Ok(None);
            };
            answer.push(row);
            self.incoming.advance(length);
        }
        Message::parse(&mut self.incoming)
    }
}

/// Gives memory back that one large flight has taken, once nothing in it is needed.
fn shrink(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = BytesMut::new();
    }
}

/// Tag and length of a message.
const HEAD: usize = 5;
/// The count of columns, which a row begins with.
const COLUMN_COUNT: usize = 2;

fn server_name(name: u32) -> String {
    format!("s{name}")
}

fn columns(body: &RowDescriptionBody) -> io::Result<Arc<[Type]>> {
    body.fields()
        .map(|field| Ok(Type::from_oid(field.type_oid()).unwrap_or(Type::UNKNOWN)))
        .collect::<Vec<_>>()
        .map(Arc::from)
}

/// The count at the end of `insert 0 1`, `update 3`, `select 50`.
fn affected(tag: &str) -> u64 {
    tag.rsplit(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or_default()
}

fn server_error(body: &ErrorResponseBody) -> io::Result<ServerError> {
    let mut error = ServerError {
        state: String::new(),
        constraint: None,
        message: String::new(),
    };
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => error.state = value(),
            b'n' => error.constraint = Some(value()),
            b'M' => error.message = value(),
            _ => {}
        }
    }
    Ok(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_is_not_kept() {
        let mut large = BytesMut::with_capacity(KEPT + 1);
        shrink(&mut large);
        assert_eq!(large.capacity(), 0);
        // What has not been read yet stays, as does what is small.
        let mut unread = BytesMut::zeroed(KEPT + 1);
        shrink(&mut unread);
        assert_eq!(unread.len(), KEPT + 1);
        let mut small = BytesMut::with_capacity(KEPT);
        shrink(&mut small);
        assert_eq!(small.capacity(), KEPT);
    }
}
